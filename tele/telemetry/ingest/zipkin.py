"""Zipkin v2 JSON: a list of spans (or of traces, each a list of spans).

Times are microseconds and may be missing; 64-bit trace ids are padded to 32 digits. Client and server may share one
span id (`shared`): both rows are kept as they are. Annotations are point events. A tag `error`, whatever it holds, is
an error (zipkin.io/zipkin-api).
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
    guarded,
    instant,
    nanos,
    parent,
    required_id,
    shown,
    span_record,
)

__all__ = ["NAME", "read", "sniff"]

NAME = "zipkin"

US = 1000
"""Nanoseconds in a microsecond."""


def sniff(document: object) -> bool:
    """Say whether the document is a list of Zipkin v2 spans; one among its first items is enough."""
    return isinstance(document, list) and any(_is_span(item) for item in document[:SNIFFED])


def _is_span(item: object) -> bool:
    first = item[0] if isinstance(item, list) and item else item
    return isinstance(first, Mapping) and "traceId" in first and "id" in first


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of every span; what is malformed becomes a Problem."""
    if not isinstance(document, list):
        yield place.problem(f"expected a list of spans, found {shown(document)}")
        return
    for number, item in enumerate(document):
        if isinstance(item, list):
            yield from each(item, place, f"traces[{number}]", _rows)
        else:
            yield from guarded(item, place.at(f"spans[{number}]"), _rows)


def _rows(span: Mapping[str, Any], place: Place) -> Iterator[Record | Problem]:
    trace_id = required_id(span.get("traceId"), 32, "traceId")
    span_id = required_id(span.get("id"), 16, "id")
    tags = _mapping(span.get("tags"), "tags")
    local = _mapping(span.get("localEndpoint"), "localEndpoint")
    start_ns = instant(span.get("timestamp"), "timestamp", US)
    duration_ns = nanos(span.get("duration"), "duration", US)
    events = list(
        each(span.get("annotations"), place, "annotations", lambda item, _: [_event(item, trace_id, span_id)])
    )
    yield span_record(
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent(span.get("parentId"), "parentId"),
            name=span.get("name"),
            start_ns=start_ns,
            end_ns=None if start_ns is None or duration_ns is None else start_ns + duration_ns,
            duration_ms=None if start_ns is not None or duration_ns is None else duration_ns / 1e6,
            status="error" if "error" in tags else "unset",
            message=tags.get("error"),
            attributes=tags,
            otel={
                "otel.kind": str(span.get("kind") or "").lower(),
                "zipkin.local_endpoint": {key: value for key, value in local.items() if key != "serviceName"},
                "zipkin.remote_endpoint": span.get("remoteEndpoint"),
                "zipkin.shared": span.get("shared"),
                "zipkin.debug": span.get("debug"),
            },
            resource={"service.name": local["serviceName"]} if local.get("serviceName") else {},
        )
    )
    yield from events


def _event(annotation: Mapping[str, Any], trace_id: str, span_id: str) -> Record:
    return event_record(
        name=annotation.get("value"),
        start_ns=instant(annotation.get("timestamp"), "timestamp", US),
        trace_id=trace_id,
        span_id=span_id,
        attributes={},
        otel={"otel.source": "span_event"},
    )


def _mapping(value: object, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RecordError(f"expected {what} as an object, found {shown(value)}")
    return dict(value)
