"""Ask: latency, cost, reliability and tokens of an experiment, as figures and as a table."""

from tele.analysis.analyze import analyze
from tele.analysis.figures import Analysis, Group
from tele.analysis.intervals import quantile_ranks, wilson
from tele.analysis.scope import Reader
from tele.analysis.table import render

__all__ = ["Analysis", "Group", "Reader", "analyze", "quantile_ranks", "render", "wilson"]
