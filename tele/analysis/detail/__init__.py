"""Deeper sections of an analysis: each is asked for by name, and reads the log again."""

from tele.analysis.detail.asked import Asked, Wanted
from tele.analysis.detail.sections import SECTIONS, chosen_sections, look
from tele.analysis.detail.traces import Span, critical_path

__all__ = ["SECTIONS", "Asked", "Span", "Wanted", "chosen_sections", "critical_path", "look"]
