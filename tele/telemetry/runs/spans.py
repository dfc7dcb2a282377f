"""Spans that were timed elsewhere: the record of one that ends now and took so many milliseconds."""

from __future__ import annotations

from typing import Any

from tele.telemetry.ambient import ambient
from tele.telemetry.fields import fill
from tele.telemetry.pricing import add_cost
from tele.telemetry.process import process
from tele.telemetry.sampling import keeps
from tele.telemetry.scope import INHERITED, Node
from tele.telemetry.span import counted, failure, inherited

__all__ = ["number", "record_span"]

_LONGEST_MS = 1e12
"""Thirty years: a duration beyond it is a mistake of units."""
_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def number(value: object) -> float | None:
    """`value` as a finite number; None where it is none. A bool counts as 0 or 1."""
    try:
        found = float(value)  # type: ignore[arg-type]  # what it cannot take, it says
    except Exception:  # noqa: BLE001  # the user's own conversion may raise anything
        return None
    return found if found - found == 0 else None


def record_span(
    node: Node,
    name: str,
    duration_ms: object,
    fields: dict[str, Any],
    *,
    answer: object = None,
    error: BaseException | str | None = None,
) -> str:
    """Record a span below `node` that ends now; return its event id. Never raises.

    A duration that is negative is kept and flagged, one that is none or absurd stands in `user.duration_ms`. `answer`
    is what a provider returned; `error` says that it failed.
    """
    now = ambient.now()
    event_id = ambient.ids.event(now)
    try:
        took, odd = _timed(duration_ms)
        _record(node, name, (now, took), event_id, {**odd, **_said(answer), **fields, **_failed(error)})
    except Exception as fault:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(fault)
    return event_id


def _record(node: Node, name: str, when: tuple[int, int | None], event_id: str, fields: dict[str, Any]) -> None:
    now, took = when
    start = now - (took or 0)
    scope = node.scope
    if not INHERITED.isdisjoint(fields):
        scope = scope.with_columns(inherited(fields))
    trace = node.trace_id or ambient.ids.trace(now)
    sampled = node.sampled
    if not node.trace_id:
        admitted = scope.samples is None or scope.samples.admits(scope.columns.get("item_id"))
        sampled = admitted and keeps(trace, scope.sampling_rate)
    if not sampled:
        return
    record: dict[str, Any] = {
        "event_id": event_id,
        "kind": "span",
        "name": name,
        "start_ns": start,
        "trace_id": trace,
        "span_id": ambient.ids.span(),
        "status": "ok",
        "success": True,
    }
    if took is not None:
        record["end_ns"] = now
    if node.span_id:
        record["parent_id"] = node.span_id
    fill(record, fields, None)
    if "error_type" in record and "success" not in fields:
        record["success"] = False
    if record["success"] is False:
        record["status"] = "error"
    if "input_tokens" in record or "output_tokens" in record or "cost_usd" in record:
        add_cost(record)
        counted(record, node)
    process.write(record, scope.encoded)


def _timed(duration_ms: object) -> tuple[int | None, dict[str, Any]]:
    """Nanoseconds, where they are known, and attributes that say what is odd."""
    if duration_ms is None:
        return None, {}
    known = number(duration_ms)
    if known is None or abs(known) > _LONGEST_MS:
        return None, {"user.duration_ms": duration_ms, "tele.flags": ["absurd_duration"]}
    return round(known * 1e6), {"tele.flags": ["negative_duration"]} if known < 0 else {}


def _said(answer: object) -> dict[str, Any]:
    """Columns and attributes that a provider's answer speaks of."""
    if answer is None or isinstance(answer, (str, bytes, int, float)):
        return {}
    from tele.telemetry.calls.results import read

    said = read(answer)
    found = {key: value for key in _USAGE if (value := getattr(said, key)) is not None}
    if said.provider:
        found["provider"] = said.provider
    if said.finish_reasons:
        found["gen_ai.response.finish_reasons"] = list(said.finish_reasons)
    if said.response_id:
        found["gen_ai.response.id"] = said.response_id
    return found


def _failed(error: BaseException | str | None) -> dict[str, Any]:
    if error is None:
        return {}
    if not isinstance(error, BaseException):
        return {"error_type": "error", "error_message": error}
    found: dict[str, Any] = {}
    return failure(found, error) | found
