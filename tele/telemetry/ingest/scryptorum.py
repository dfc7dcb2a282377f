"""Scryptorum's three logs, one object for each line: `run.jsonl`, `metrics.jsonl` and `timings.jsonl`.

A line of the first names its `event_type`, of the second `name` and `value`, of the third `operation` and
`duration_ms`. Metrics and timings stand in `run.jsonl` too (`metric_logged`, `timing_logged`); there they are point
events, so that the three files together count each once. Times are local and name no zone: they are taken as UTC and
flagged `no_zone`. A call and a timing are logged when they end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tele.telemetry.ingest.record import Place, Problem, Record, event_record, guarded, merged, without_empty
from tele.telemetry.ingest.times import has_zone, time_ns
from tele.telemetry.ingest.window import held

__all__ = ["NAME", "read", "sniff"]

NAME = "scryptorum"

Said = Mapping[str, Any]


def sniff(document: object) -> bool:
    """Say whether the document is a line of one of the three logs."""
    if not isinstance(document, Mapping) or "timestamp" not in document:
        return False
    keys = document.keys()
    return "event_type" in keys or (
        "run_id" in keys and ({"name", "value"} <= keys or {"operation", "duration_ms"} <= keys)
    )


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the row of one line; what is malformed becomes a Problem."""
    yield from guarded(held(document), place, _row)  # a line may hold anything, under any name


def _row(line: Said, _place: Place) -> Iterator[Record]:
    if line.get("event_type") == "llm_call":
        yield _call(line)
    elif "event_type" in line:
        yield _event(line)
    elif "operation" in line:
        yield _lasting(line, str(line["operation"]), {"operation"})
    else:
        yield _metric(line)


def _event(line: Said) -> Record:
    record = event_record(
        name=str(line["event_type"]),
        start_ns=time_ns(line.get("timestamp"), "timestamp"),
        trace_id=None,
        span_id=None,
        attributes=_rest(line, {"event_type"}),
        otel={"otel.source": "scryptorum"},
        flags=_flags(line),
    )
    return without_empty({**record, "run_id": _run(line), "error_message": _text(line.get("error"))})


def _metric(line: Said) -> Record:
    value = line.get("value")
    number = isinstance(value, int | float) and math.isfinite(value)
    rest = _rest(line, {"name", "value"} if number else {"name"})
    return without_empty(
        {
            "kind": "metric",
            "name": _text(line.get("name")),
            "value": float(value) if number and value is not None else None,
            "start_ns": time_ns(line.get("timestamp"), "timestamp"),
            "run_id": _run(line),
            "attributes": merged(rest, {"otel.source": "scryptorum", "tele.flags": _flags(line)}),
        }
    )


def _call(line: Said) -> Record:
    error = line.get("error")
    record = _lasting(line, f"chat {line.get('model') or ''}".rstrip(), {"event_type", "model", "input", "output"})
    model = _text(line.get("model"))
    said = {
        "operation": "chat",
        "model": None if model == "unknown" else model,  # what Scryptorum writes where it found none
        "input": line.get("input"),
        "output": line.get("output"),
        "error_message": _text(error) or (str(error) if error else None),
    }
    record |= without_empty(said)
    if error:
        record |= {"status": "error", "success": False, "error_type": "_OTHER"}
    return record


def _lasting(line: Said, name: str, known: set[str]) -> Record:
    """Give a span that ended when it was logged."""
    end_ns = time_ns(line.get("timestamp"), "timestamp")
    lasted = line.get("duration_ms")
    fits = isinstance(lasted, int | float) and not isinstance(lasted, bool) and abs(lasted) < 1e12  # noqa: PLR2004
    span_ns = round(lasted * 1e6) if fits and lasted is not None else None
    flags = [*_flags(line), *(["negative_duration"] if span_ns is not None and span_ns < 0 else [])]
    rest = _rest(line, known | ({"duration_ms"} if fits else set()))
    return without_empty(
        {
            "kind": "span",
            "name": name,
            "start_ns": None if end_ns is None or span_ns is None else end_ns - span_ns,
            "end_ns": end_ns,
            "duration_ms": float(lasted) if fits and lasted is not None else None,
            "run_id": _run(line),
            "status": "unset",
            "success": True,
            "attributes": merged(rest, {"otel.source": "scryptorum", "tele.flags": flags}),
        }
    )


def _rest(line: Said, known: set[str]) -> dict[str, Any]:
    return {str(key): value for key, value in line.items() if key not in known | {"timestamp", "run_id"}}


def _flags(line: Said) -> list[str]:
    return [] if line.get("timestamp") is None or has_zone(line["timestamp"]) else ["no_zone"]


def _run(line: Said) -> str | None:
    return _text(line.get("run_id"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
