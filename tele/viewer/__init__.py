"""The page: one self-contained HTML file of an experiment, a run, a trace or a chain."""

from tele.viewer.page import page, view

__all__ = ["page", "view"]
