"""Event-sourced telemetry and trace analysis for experiments with language models.

An experiment is an append-only log of events. Spans, chains, metrics, reports and pages are folds over it.
"""

from tele.telemetry.experiment import experiment
from tele.telemetry.points import event, metric, score
from tele.telemetry.process import configure, dropped, flush
from tele.telemetry.propagate import attach, from_environment, propagate
from tele.telemetry.span import current_span, span

from_environment()
