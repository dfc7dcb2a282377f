"""Jaeger's JSON: what its query service answers and its UI saves.

`{"data": [{"traceID", "spans": [...], "processes": {...}}]}`, or one such trace. Times are microseconds. Tags are
typed, logs are point events, references are the parent and the links.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tele.telemetry.ingest.record import (
    SNIFFED,
    Place,
    Problem,
    Record,
    RecordError,
    Span,
    each,
    event_record,
    hex_id,
    instant,
    nanos,
    parent,
    required_id,
    shown,
    span_record,
    without_empty,
)

__all__ = ["NAME", "read", "sniff"]

NAME = "jaeger"

US = 1000
"""Nanoseconds in a microsecond."""

_KINDS = frozenset({"internal", "server", "client", "producer", "consumer"})


def sniff(document: object) -> bool:
    """Say whether the document is Jaeger JSON."""
    traces = document.get("data") if isinstance(document, Mapping) and "data" in document else [document]
    return isinstance(traces, list) and any(
        isinstance(trace, Mapping) and "traceID" in trace and "spans" in trace for trace in traces[:SNIFFED]
    )


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of every trace; what is malformed becomes a Problem."""
    if isinstance(document, Mapping) and "data" in document:
        yield from each(document["data"], place, "data", _trace)
    else:
        yield from each([document], place, "data", _trace)


def _trace(trace: Mapping[str, Any], place: Place) -> Iterator[Record | Problem]:
    processes = trace.get("processes")
    resources = {}
    for name, process in processes.items() if isinstance(processes, Mapping) else ():
        if isinstance(process, Mapping):
            resources[name] = without_empty({"service.name": process.get("serviceName"), **_tags(process.get("tags"))})
    trace_id = trace.get("traceID")
    return each(trace.get("spans"), place, "spans", lambda span, here: _rows(span, here, trace_id, resources))


def _rows(
    span: Mapping[str, Any], place: Place, of_trace: object, resources: Mapping[str, dict[str, Any]]
) -> Iterator[Record | Problem]:
    trace_id = required_id(span.get("traceID") or of_trace, 32, "traceID")
    span_id = required_id(span.get("spanID"), 16, "spanID")
    tags = _tags(span.get("tags"))
    parent_id, links = _references(span, trace_id)
    start_ns = instant(span.get("startTime"), "startTime", US)
    duration_ns = nanos(span.get("duration"), "duration", US)
    events = list(each(span.get("logs"), place, "logs", lambda item, _: [_event(item, trace_id, span_id)]))
    yield span_record(
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent_id,
            name=span.get("operationName"),
            start_ns=start_ns,
            end_ns=None if start_ns is None or duration_ns is None else start_ns + duration_ns,
            duration_ms=None if start_ns is not None or duration_ns is None else duration_ns / 1e6,
            status=_status(tags),
            message=tags.get("otel.status_description"),
            attributes=tags,
            otel={"otel.kind": _kind(tags), "jaeger.flags": span.get("flags"), "jaeger.warnings": span.get("warnings")},
            events=[(event.get("name", ""), event["attributes"]) for event in events if isinstance(event, dict)],
            resource=_resource(span, resources),
            links=links,
        )
    )
    yield from events


def _resource(span: Mapping[str, Any], resources: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Give the span's process: named by `processID`, or (as Elasticsearch stores it) inside the span."""
    process = span.get("process")
    if isinstance(process, Mapping):
        return without_empty({"service.name": process.get("serviceName"), **_tags(process.get("tags"))})
    return resources.get(str(span.get("processID")), {})


def _event(log: Mapping[str, Any], trace_id: str, span_id: str) -> Record:
    fields = _tags(log.get("fields"))
    return event_record(
        name=fields.get("event") or "log",
        start_ns=instant(log.get("timestamp"), "timestamp", US),
        trace_id=trace_id,
        span_id=span_id,
        attributes=fields,
        otel={"otel.source": "span_event"},
    )


def _references(span: Mapping[str, Any], trace_id: str) -> tuple[str | None, list[dict[str, Any]]]:
    """Give the parent and the links.

    The parent is the first CHILD_OF of the same trace, else the first FOLLOWS_FROM of it, as Jaeger itself reads them.
    """
    references = span.get("references")
    found = [
        _reference(item) for item in (references if isinstance(references, list) else ()) if isinstance(item, Mapping)
    ]
    near = [item for item in found if item["trace_id"] == trace_id]
    first = next((item for item in near if item["type"] == "child_of"), near[0] if near else None)
    links = [
        {**_link_ids(item), "attributes": {"opentracing.ref_type": item["type"]}} for item in found if item is not first
    ]
    return parent(first["span_id"] if first else span.get("parentSpanID"), "parentSpanID"), links


def _reference(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": str(item.get("refType", "")).lower(),
        "trace_id": hex_id(item.get("traceID"), 32, "reference's traceID"),
        "span_id": hex_id(item.get("spanID"), 16, "reference's spanID"),
    }


def _link_ids(item: Mapping[str, Any]) -> dict[str, Any]:
    return without_empty({"trace_id": item["trace_id"], "span_id": item["span_id"]})


def _tags(tags: object) -> dict[str, Any]:
    """Give tags as a mapping; of a key that stands twice the last value counts."""
    if tags is None:
        return {}
    if isinstance(tags, Mapping):
        return dict(tags)
    if not isinstance(tags, list):
        raise RecordError(f"expected tags as a list, found {shown(tags)}")
    return {str(tag.get("key", "")): _value(tag) for tag in tags if isinstance(tag, Mapping)}


def _value(tag: Mapping[str, Any]) -> Any:
    """Give a tag's value by its type; a 64-bit integer may be text, and what is not of its type stays as it is."""
    kind, value = tag.get("type"), tag.get("value")
    if kind == "binary":
        return {"$bytes": value}
    if not isinstance(value, str):
        return value
    if kind == "bool":
        return {"true": True, "false": False}.get(value.lower(), value)
    try:
        return int(value) if kind == "int64" else (float(value) if kind == "float64" else value)
    except ValueError:
        return value


def _status(tags: Mapping[str, Any]) -> str:
    """Give the status by OpenTelemetry's tag, else by OpenTracing's `error`."""
    code = str(tags.get("otel.status_code", "")).lower()
    if code in {"ok", "error"}:
        return code
    return "error" if tags.get("error") in (True, "true") else "unset"


def _kind(tags: Mapping[str, Any]) -> str | None:
    kind = str(tags.get("span.kind", "")).lower()
    return kind if kind in _KINDS else None
