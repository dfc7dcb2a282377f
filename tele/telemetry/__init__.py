"""CAPTURE: spans, events, metrics, experiments, prices, redaction, and foreign traces."""

from tele.telemetry.calls import batch, llm_call, timer
from tele.telemetry.configure import configure
from tele.telemetry.experiment import current_run, experiment
from tele.telemetry.points import event, metric, score
from tele.telemetry.process import dropped, flush
from tele.telemetry.propagate import attach, propagate
from tele.telemetry.redact import redacted
from tele.telemetry.runnable import Runnable
from tele.telemetry.span import current_span, span

__all__ = [
    "Runnable",
    "attach",
    "batch",
    "configure",
    "current_run",
    "current_span",
    "dropped",
    "event",
    "experiment",
    "flush",
    "llm_call",
    "metric",
    "propagate",
    "redacted",
    "score",
    "span",
    "timer",
]
