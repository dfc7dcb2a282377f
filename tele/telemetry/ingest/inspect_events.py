"""The events of one sample of an Inspect log: what lasts becomes spans, the rest point events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tele.telemetry.ingest.record import (
    Place,
    Problem,
    Record,
    Span,
    each,
    event_record,
    span_record,
    without_empty,
)
from tele.telemetry.ingest.times import time_ns
from tele.telemetry.normalise import provider_named
from tele.telemetry.usage import Usage, settled

__all__ = ["Sample", "events"]

_ATTACHED = ("attachment://", "tc://")
_MOST_LEVELS = 64
_MODEL_OWN = frozenset({"input", "input_refs", "output", "call", "timestamp", "completed", "event", "span_id"})
Said = Mapping[str, Any]


@dataclass(slots=True)
class Sample:
    """What the events of a sample share, and what has begun and not ended."""

    trace_id: str
    root_id: str
    attachments: Mapping[str, Any]
    """Texts that stand elsewhere as `attachment://HASH`."""
    messages: list[Any]
    """Messages that newer logs keep once, and name by ranges of their numbers."""
    count: int = 0
    begun: dict[str, Said] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    """Older logs nest by order: steps that have begun."""

    def id_of(self, value: object) -> str:
        """Give a span's id from the log's own, which is known within the sample alone."""
        return hashlib.sha256(f"{self.trace_id}/{value}".encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def next_id(self) -> str:
        """Give the id of an event that has none: its number."""
        self.count += 1
        return self.id_of(f"#{self.count}")

    def parent_of(self, event: Said) -> str:
        """Give the span that an event belongs to: the one it names, else the step that has begun, else the sample."""
        if event.get("span_id"):
            return self.id_of(event["span_id"])
        return self.id_of(self.steps[-1]) if self.steps else self.root_id

    def text(self, value: Any, level: int = 0) -> Any:
        """Put attached texts back in their places."""
        if isinstance(value, str):
            for mark in _ATTACHED:
                if value.startswith(mark):
                    return self.attachments.get(value[len(mark) :], value)
            return value
        if level > _MOST_LEVELS:
            return value
        if isinstance(value, Mapping):
            return {key: self.text(item, level + 1) for key, item in value.items()}
        return [self.text(item, level + 1) for item in value] if isinstance(value, list) else value


def events(found: object, place: Place, sample: Sample) -> Iterator[Record | Problem]:
    """Give the rows of a sample's events; spans that never end stand as open at the end."""
    yield from each(found, place, "events", lambda event, at: _rows(event, at, sample))
    for name, event in sample.begun.items():
        yield _lasting(event, sample, name, None)
    sample.begun.clear()


def _rows(event: Said, place: Place, sample: Sample) -> Iterator[Record | Problem]:
    kind = event.get("event")
    if kind == "model":
        yield _model(event, sample)
    elif kind == "tool":
        yield from _tool(event, place, sample)
    elif kind == "span_begin":
        sample.begun[str(event.get("id"))] = event
    elif kind == "span_end" and str(event.get("id")) in sample.begun:
        name = str(event.get("id"))
        yield _lasting(sample.begun.pop(name), sample, name, event)
    elif kind == "step":
        yield from _step(event, sample)
    elif kind == "subtask":
        yield from _subtask(event, place, sample)
    else:
        yield _point(event, sample)


def _lasting(begin: Said, sample: Sample, name: str, end: Said | None) -> Record:
    """Give the span between two events; without the second one it has no end."""
    parent = begin.get("parent_id")
    kind = begin.get("type")
    record = span_record(
        Span(
            trace_id=sample.trace_id,
            span_id=sample.id_of(name),
            parent_id=sample.id_of(parent) if parent else _above(begin, sample, name),
            name=begin.get("name") or kind,
            start_ns=time_ns(begin.get("timestamp"), "timestamp"),
            end_ns=None if end is None else time_ns(end.get("timestamp"), "timestamp"),
            otel=_rest(begin, {"event", "timestamp", "span_id", "parent_id", "name"}),
        )
    )
    if kind == "agent":
        record["operation"] = "invoke_agent"
    return record


def _above(begin: Said, sample: Sample, name: str) -> str:
    """Give the step around one of an older log, else the sample."""
    above = begin.get("_above")
    return sample.id_of(above) if above and above != name else sample.root_id


def _step(event: Said, sample: Sample) -> Iterator[Record]:
    """Older logs: `step` events begin and end in order, and what stands between belongs to them."""
    if event.get("action") == "begin":
        sample.count += 1
        name = f"step {sample.count}"
        sample.begun[name] = {**event, "_above": sample.steps[-1] if sample.steps else None}
        sample.steps.append(name)
    elif sample.steps:
        name = sample.steps.pop()
        yield _lasting(sample.begun.pop(name), sample, name, event)


def _model(event: Said, sample: Sample) -> Record:
    output = _mapping(event.get("output"))
    start = time_ns(event.get("timestamp"), "timestamp")
    error = event.get("error") or output.get("error")
    asked = str(event.get("model") or "")
    usage = _mapping(output.get("usage"))
    record = span_record(
        Span(
            trace_id=sample.trace_id,
            span_id=sample.id_of(event["uuid"]) if event.get("uuid") else sample.next_id(),
            parent_id=sample.parent_of(event),
            name=f"chat {asked}".rstrip(),
            start_ns=start,
            end_ns=_ended(event, start, output.get("time")),
            status="error" if error else "unset",
            message=error,
            otel={**_rest(event, _MODEL_OWN), **_rest(output, {"choices", "model", "completion"}, "inspect.output.")},
            flags=["pending"] if event.get("pending") else [],
        )
    )
    cost = usage.get("total_cost")
    stated = float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0 else None
    cached = event.get("cache") == "read"
    said = {
        "success": True if output.get("choices") and not error else None,  # logs of 2024 do not say when it ended
        "operation": "chat",
        "provider": provider_named(asked.partition("/")[0]) if "/" in asked else None,
        "model": output.get("model") or asked.partition("/")[2] or asked,
        "request_model": asked.partition("/")[2] or asked,
        "cost_usd": 0.0 if cached and stated is None else stated,  # Inspect's own cache: nothing was called
        "price_ref": "source" if cached or stated is not None else None,
        "error_type": "ModelError" if error else None,
        "input": sample.text(_asked(event, sample)),
        "output": sample.text(output.get("choices")),
        **_tokens(usage),
    }
    return without_empty({**record, **without_empty(said)})


def _tokens(usage: Said) -> dict[str, int]:
    counts = {key: value for key, value in usage.items() if type(value) is int}
    if not counts:
        return {}
    return settled(
        Usage(
            input=counts.get("input_tokens"),
            output=counts.get("output_tokens"),
            cache_read=counts.get("input_tokens_cache_read"),
            cache_write=counts.get("input_tokens_cache_write"),
            reasoning=counts.get("reasoning_tokens"),
            total=counts.get("total_tokens"),
        )
    )


def _asked(event: Said, sample: Sample) -> Any:
    """Give the messages sent; newer logs name ranges of the sample's own list."""
    ranges = event.get("input_refs")
    if event.get("input") or not isinstance(ranges, list):
        return event.get("input")
    found: list[Any] = []
    for part in ranges:
        if isinstance(part, list) and len(part) == 2 and all(type(n) is int for n in part):  # noqa: PLR2004  # from, to
            found += sample.messages[max(part[0], 0) : max(part[1], 0)]
    return found


def _tool(event: Said, place: Place, sample: Sample) -> Iterator[Record | Problem]:
    error = event.get("error")
    start = time_ns(event.get("timestamp"), "timestamp")
    own = sample.next_id()
    record = span_record(
        Span(
            trace_id=sample.trace_id,
            span_id=own,
            parent_id=sample.parent_of(event),
            name=f"execute_tool {event.get('function') or ''}".rstrip(),
            start_ns=start,
            end_ns=_ended(event, start, event.get("working_time")),
            status="error" if error else "unset",
            message=error.get("message") if isinstance(error, Mapping) else None,
            otel={
                "gen_ai.tool.name": event.get("function"),
                "gen_ai.tool.call.id": event.get("id"),
                **_rest(event, {"event", "timestamp", "completed", "arguments", "result", "events", "function", "id"}),
            },
            flags=["pending"] if event.get("pending") else [],
        )
    )
    said = {
        "operation": "execute_tool",
        "error_type": str(error.get("type") or "ToolError") if isinstance(error, Mapping) else None,
        "input": sample.text(event.get("arguments")),
        "output": sample.text(event.get("result")),
    }
    yield without_empty({**record, **without_empty(said)})
    yield from _within(event, place, sample, own)


def _subtask(event: Said, place: Place, sample: Sample) -> Iterator[Record | Problem]:
    start = time_ns(event.get("timestamp"), "timestamp")
    own = sample.next_id()
    yield span_record(
        Span(
            trace_id=sample.trace_id,
            span_id=own,
            parent_id=sample.parent_of(event),
            name=event.get("name") or "subtask",
            start_ns=start,
            end_ns=_ended(event, start, event.get("working_time")),
            otel=_rest(event, {"event", "timestamp", "completed", "events", "name"}),
        )
    )
    yield from _within(event, place, sample, own)


def _within(event: Said, place: Place, sample: Sample, own: str) -> Iterator[Record | Problem]:
    """Older logs hold what a tool or subtask did inside it."""
    if event.get("events"):
        inner = Sample(sample.trace_id, own, sample.attachments, sample.messages, sample.count)
        yield from events(event["events"], place, inner)
        sample.count = inner.count


def _ended(event: Said, start: int | None, seconds: object) -> int | None:
    """Give when a call ended: as it says, else by the seconds that it took."""
    stated = time_ns(event.get("completed"), "completed")
    if stated is not None or start is None:
        return stated
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and abs(seconds) < 1e9  # noqa: PLR2004
    return start + round(seconds * 1e9) if known else None  # type: ignore[operator]  # a number, by the line above


def _point(event: Said, sample: Sample) -> Record:
    return event_record(
        name=f"inspect.{event.get('event')}",
        start_ns=time_ns(event.get("timestamp"), "timestamp"),
        trace_id=sample.trace_id,
        span_id=sample.parent_of(event),
        attributes={},
        otel={
            "otel.source": "inspect.event",
            **{key: sample.text(value) for key, value in _rest(event, {"event", "timestamp", "span_id"}).items()},
        },
    )


def _mapping(value: object) -> Said:
    return value if isinstance(value, Mapping) else {}


def _rest(said: Said, known: set[str] | frozenset[str], prefix: str = "inspect.") -> dict[str, Any]:
    return {
        f"{prefix}{key}": value
        for key, value in said.items()
        if key not in known and value not in (None, "", [], {}) and not key.startswith("_")
    }
