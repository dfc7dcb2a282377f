"""Event-sourced telemetry and trace analysis for experiments with language models.

An experiment is an append-only log of events. Spans, chains, metrics, reports and pages are folds over it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tele.face import analyze, open, view  # noqa: A004  # `tele.open` is the name that users expect
    from tele.telemetry import (
        attach,
        configure,
        current_span,
        dropped,
        event,
        experiment,
        flush,
        metric,
        propagate,
        score,
        span,
    )
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
_ROOMS = dict.fromkeys(__all__, "tele.telemetry") | _FACE | _TRACE


def __getattr__(name: str) -> Any:
    """Import a room when something of it is first asked for: the command reads without what records, and back."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'tele' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_ROOMS[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
