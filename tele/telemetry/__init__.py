"""CAPTURE: spans, events, metrics, experiments, prices, redaction, and foreign traces."""

from tele.telemetry.experiment import experiment
from tele.telemetry.points import event, metric, score
from tele.telemetry.process import configure, dropped, flush
from tele.telemetry.propagate import attach, propagate
from tele.telemetry.span import current_span, span

__all__ = [
    "attach",
    "configure",
    "current_span",
    "dropped",
    "event",
    "experiment",
    "flush",
    "metric",
    "propagate",
    "score",
    "span",
]
