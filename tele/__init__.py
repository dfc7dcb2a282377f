"""Event-sourced telemetry and trace analysis for experiments with language models.

An experiment is an append-only log of events. Spans, chains, metrics, reports and pages are folds over it.
"""

from typing import TYPE_CHECKING, Any

from tele.telemetry.experiment import experiment
from tele.telemetry.points import event, metric, score
from tele.telemetry.process import configure, dropped, flush
from tele.telemetry.propagate import attach, from_environment, propagate
from tele.telemetry.span import current_span, span

if TYPE_CHECKING:
    from tele.face import analyze, open, view  # noqa: A004  # `tele.open` is the name that users expect
    from tele.trace import Chain, parse_chain, record_chain

__all__ = [
    "Chain",
    "analyze",
    "attach",
    "configure",
    "current_span",
    "dropped",
    "event",
    "experiment",
    "flush",
    "metric",
    "open",
    "parse_chain",
    "propagate",
    "record_chain",
    "score",
    "span",
    "view",
]

_FACE = dict.fromkeys(("analyze", "open", "view"), "tele.face")
_TRACE = dict.fromkeys(("Chain", "parse_chain", "record_chain"), "tele.trace")
_LATER = _FACE | _TRACE


def __getattr__(name: str) -> Any:
    """Import what only readers need when it is first asked for: recording stays light."""
    if name not in _LATER:
        raise AttributeError(f"module 'tele' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


from_environment()
