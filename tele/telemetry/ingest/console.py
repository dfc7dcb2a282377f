"""Span JSON as OpenTelemetry's Python SDK prints it, and its relatives.

One span, a list of them, one after another, or `{"spans": [...]}` (any-agent). Ids are hex text with or without 0x, or
integers; times ISO 8601 text, or integer nanoseconds; kinds `SpanKind.CLIENT` or `client`.
"""

from __future__ import annotations

import re
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
    parent,
    required_id,
    shown,
    span_record,
    without_empty,
)
from tele.telemetry.ingest.times import time_ns

__all__ = ["NAME", "read", "sniff"]

NAME = "console"

_KINDS = frozenset({"internal", "server", "client", "producer", "consumer"})
_STATE = re.compile(r"\{key=(.*?), value=(.*?)\}")


def sniff(document: object) -> bool:
    """Say whether the document is console span JSON; of a list, one among its first items is enough."""
    if isinstance(document, Mapping) and isinstance(document.get("spans"), list):
        document = document["spans"]
    return any(_is_span(item) for item in (document[:SNIFFED] if isinstance(document, list) else [document]))


def _is_span(item: object) -> bool:
    context = item.get("context") if isinstance(item, Mapping) else None
    return isinstance(context, Mapping) and "span_id" in context


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of the document's spans; what is malformed becomes a Problem."""
    if isinstance(document, Mapping) and "spans" in document:
        yield from each(document["spans"], place, "spans", _rows)
    else:
        yield from each(document if isinstance(document, list) else [document], place, "spans", _rows)


def _rows(span: Mapping[str, Any], place: Place) -> Iterator[Record | Problem]:
    context = _mapping(span.get("context"), "context")
    trace_id = required_id(context.get("trace_id"), 32, "trace_id")
    span_id = required_id(context.get("span_id"), 16, "span_id")
    attributes = dict(_mapping(span.get("attributes"), "attributes"))
    resource = _mapping(span.get("resource"), "resource")
    events = list(each(span.get("events"), place, "events", lambda item, _: [_event(item, trace_id, span_id)]))
    status, message = _status(span.get("status"))
    yield span_record(
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=_parent(span),
            name=span.get("name"),
            start_ns=time_ns(span.get("start_time"), "start_time"),
            end_ns=time_ns(span.get("end_time"), "end_time"),
            status=status,
            message=message,
            attributes=attributes,
            otel={
                "otel.kind": _kind(span.get("kind")),
                "otel.trace_state": _trace_state(context.get("trace_state")),
                "otel.flags": _flags(context.get("trace_flags")),
                "otel.schema_url": resource.get("schema_url"),
            },
            events=[(event.get("name", ""), event["attributes"]) for event in events if isinstance(event, dict)],
            resource=dict(_mapping(resource.get("attributes", resource), "resource")),
            links=_links(span.get("links")),
        )
    )
    yield from events


def _event(event: Mapping[str, Any], trace_id: str, span_id: str) -> Record:
    return event_record(
        name=event.get("name"),
        start_ns=time_ns(event.get("timestamp"), "timestamp"),
        trace_id=trace_id,
        span_id=span_id,
        attributes=dict(_mapping(event.get("attributes"), "attributes")),
        otel={"otel.source": "span_event"},
    )


def _parent(span: Mapping[str, Any]) -> str | None:
    """Give the parent: the SDK prints its id, any-agent its context."""
    context = span.get("parent")
    return parent(context.get("span_id") if isinstance(context, Mapping) else span.get("parent_id"), "parent_id")


def _links(links: object) -> list[dict[str, Any]]:
    if not isinstance(links, list):
        return []
    return [_link(link) for link in links if isinstance(link, Mapping)]


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    context = _mapping(link.get("context"), "link's context")
    return without_empty(
        {
            "trace_id": hex_id(context.get("trace_id"), 32, "link's trace_id"),
            "span_id": hex_id(context.get("span_id"), 16, "link's span_id"),
            "trace_state": _trace_state(context.get("trace_state")),
            "attributes": dict(_mapping(link.get("attributes"), "attributes")),
        }
    )


def _status(status: object) -> tuple[str, object]:
    """Give `ok`, `error` or `unset`, and the description."""
    said = status if isinstance(status, Mapping) else {"status_code": status}
    code = str(said.get("status_code")).rpartition(".")[2].lower()
    return (code if code in {"ok", "error"} else "unset"), said.get("description")


def _kind(kind: object) -> str | None:
    name = str(kind).rpartition(".")[2].lower()
    return name if name in _KINDS else None


def _trace_state(state: object) -> str | None:
    """Give the W3C form; the SDK prints `['{key=a, value=b}']`, any-agent `{"entries": {"a": "b"}}`."""
    if isinstance(state, Mapping):
        entries = state.get("entries")
        pairs = list(entries.items()) if isinstance(entries, Mapping) else []
    else:
        pairs = _STATE.findall(state) if isinstance(state, str) else []
    return ",".join(f"{key}={value}" for key, value in pairs) or None


def _flags(flags: object) -> int | None:
    value = flags.get("value") if isinstance(flags, Mapping) else flags
    return value if isinstance(value, int) else None


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RecordError(f"expected {what} as an object, found {shown(value)}")
    return value
