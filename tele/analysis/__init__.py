"""Ask: latency, cost, reliability and tokens of an experiment, whole, in windows and while it runs."""

from tele.analysis.analyze import analyze
from tele.analysis.figures import Analysis, Group
from tele.analysis.intervals import quantile_ranks, wilson
from tele.analysis.live import LiveMetrics
from tele.analysis.scope import Reader
from tele.analysis.streaming import StreamingMetrics
from tele.analysis.table import render
from tele.analysis.windows import between, events_in, figures_in, last, last_n, sliding

__all__ = [
    "Analysis",
    "Group",
    "LiveMetrics",
    "Reader",
    "StreamingMetrics",
    "analyze",
    "between",
    "events_in",
    "figures_in",
    "last",
    "last_n",
    "quantile_ranks",
    "render",
    "sliding",
    "wilson",
]
