"""Event-sourced telemetry and trace analysis for experiments with language models.

An experiment is an append-only log of events. Spans, chains, metrics, reports and pages are folds over it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tele import otel as otel  # that is how a module is re-exported to a type checker
    from tele.face import analyze, compare, load_run, open, runs, view  # noqa: A004  # users expect `tele.open`
    from tele.telemetry import (
        Runnable,
        attach,
        batch,
        configure,
        current_run,
        current_span,
        dropped,
        event,
        experiment,
        flush,
        llm_call,
        metric,
        propagate,
        redacted,
        score,
        span,
        timer,
    )
    from tele.telemetry.ensembles import ensemble, hedge
    from tele.telemetry.instrument import instrument
    from tele.trace import Chain, ChainStream, extract_code, parse_chain, record_chain, validate_text

__all__ = [
    "Chain",
    "ChainStream",
    "Runnable",
    "analyze",
    "attach",
    "batch",
    "compare",
    "configure",
    "current_run",
    "current_span",
    "dropped",
    "ensemble",
    "event",
    "experiment",
    "extract_code",
    "flush",
    "hedge",
    "instrument",
    "llm_call",
    "load_run",
    "metric",
    "open",
    "parse_chain",
    "propagate",
    "record_chain",
    "redacted",
    "runs",
    "score",
    "span",
    "timer",
    "validate_text",
    "view",
]

_FACE = dict.fromkeys(("analyze", "compare", "load_run", "open", "runs", "view"), "tele.face")
_TRACE = dict.fromkeys(
    ("Chain", "ChainStream", "extract_code", "parse_chain", "record_chain", "validate_text"), "tele.trace"
)
_LIBRARIES = {"instrument": "tele.telemetry.instrument"}
_ENSEMBLES = dict.fromkeys(("ensemble", "hedge"), "tele.telemetry.ensembles")
_ROOMS = dict.fromkeys(__all__, "tele.telemetry") | _FACE | _TRACE | _ENSEMBLES | _LIBRARIES


def __getattr__(name: str) -> Any:
    """Import a room when something of it is first asked for: the command reads without what records, and back."""
    from importlib import import_module

    if name == "otel":
        return import_module("tele.otel")
    if name not in _ROOMS:
        raise AttributeError(f"module 'tele' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_ROOMS[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
