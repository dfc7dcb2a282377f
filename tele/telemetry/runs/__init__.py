"""Runs: trials and milestones, what a milestone keeps, and recording by hand."""

from tele.telemetry.runs.kinds import RunType

__all__ = ["RunType"]
