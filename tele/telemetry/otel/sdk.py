"""The SDK's own objects as records: the same ones that their OTLP would give."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tele.telemetry.ingest import otlp
from tele.telemetry.ingest.carried import lifted, own
from tele.telemetry.ingest.record import Record, Span, event_record, span_record, without_empty

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext

__all__ = ["START", "Ended", "attributes_of", "ended", "log_record", "span_records"]

_HAS_REMOTE, _IS_REMOTE = 0x100, 0x200
"""Bits of OTLP's flags (trace.proto, SpanFlags): whether it is known that the parent is remote, and whether it is."""
_PLAIN = (str, int, bool)
_MOST_AROUND = 1000


Ended = tuple[Any, ...]
"""What of an ended span becomes its record, in the order of `_FIELDS`, then its events and its links."""

_FIELDS = (
    "_name",
    "_context",
    "_parent",
    "_kind",
    "_start_time",
    "_end_time",
    "_status._status_code",
    "_status._description",
    "_attributes._dict",
    "_attributes.dropped",
    "_events.dropped",
    "_links.dropped",
    "_resource",
    "_instrumentation_scope",
)
START = _FIELDS.index("_start_time")
_take = attrgetter(*_FIELDS)


def ended(span: ReadableSpan) -> Ended:
    """Take of an ended span what its record needs, and let go of the rest.

    A span of the SDK is a dozen objects, and one that waits to be written costs its application's thread more in the
    garbage collector than all else here, so its own fields are read, where it has them.
    """
    try:
        events, links = span._events, span._links  # noqa: SLF001  # see above
        return (*_take(span), tuple(events) if events else (), tuple(links) if links else ())
    except AttributeError:  # made by hand, or by an SDK that is built otherwise
        status = span.status
        facts = (span.name, span.context, span.parent, span.kind, span.start_time, span.end_time)
        said = (status.status_code, status.description, dict(span.attributes or {}))
        dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)
        return (*facts, *said, *dropped, span.resource, span.instrumentation_scope, span.events, span.links)


def span_records(span: Ended, parent_id: str | None = None) -> list[Record]:
    """Give the record of an ended span and those of its events; `parent_id` stands over the span's own parent."""
    (
        name,
        context,
        above,
        kind,
        start,
        end,
        status,
        description,
        attributes,
        *dropped,
        resource,
        scope,
        events,
        links,
    ) = span
    trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    around = _around(resource, scope)
    extra = {
        **around.otel,
        "otel.kind": otlp.kind(kind.value + 1),
        "otel.flags": _flags(above),
        "otel.trace_state": context.trace_state.to_header() if context.trace_state else None,
        "otel.dropped_attributes_count": dropped[0],
        "otel.dropped_events_count": dropped[1],
        "otel.dropped_links_count": dropped[2],
    }
    rows = [_event(event, trace_id, span_id) for event in events]
    record = span_record(
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent_id or (f"{above.span_id:016x}" if above is not None and above.span_id else None),
            name=name,
            start_ns=start or None,
            end_ns=end or None,
            status=otlp.status(status.value),
            message=description,
            attributes=own(attributes_of(attributes)),
            otel=extra,
            events=[(row.get("name", ""), row.get("attributes", {})) for row in rows],
            resource=around.resource,
            links=[_link(link) for link in links],
        )
    )
    return [lifted(record), *rows]


def _event(event: Event, trace_id: str, span_id: str) -> Record:
    return event_record(
        name=event.name,
        start_ns=event.timestamp or None,
        trace_id=trace_id,
        span_id=span_id,
        attributes=own(attributes_of(event.attributes)),
        otel={"otel.source": "span_event", "otel.dropped_attributes_count": event.dropped_attributes},
    )


def _link(link: Link) -> dict[str, Any]:
    context = link.context
    return without_empty(
        {
            "trace_id": f"{context.trace_id:032x}",
            "span_id": f"{context.span_id:016x}",
            "trace_state": context.trace_state.to_header() or None if context.trace_state else None,
            "flags": _flags(context),
            "attributes": attributes_of(link.attributes),
            "dropped_attributes_count": link.dropped_attributes or None,
        }
    )


def _flags(context: SpanContext | None) -> int:
    return _HAS_REMOTE | (_IS_REMOTE if context is not None and context.is_remote else 0)


def log_record(emitted: ReadWriteLogRecord | ReadableLogRecord) -> Record:
    """Give the record of a log record, by the name of its event where it has one."""
    log = emitted.log_record
    around = _around(emitted.resource, emitted.instrumentation_scope)
    said = otlp.Log(
        name=log.event_name,
        stated=log.timestamp or None,
        observed=log.observed_timestamp or None,
        trace_id=f"{log.trace_id:032x}" if log.trace_id else None,
        span_id=f"{log.span_id:016x}" if log.span_id else None,
        attributes=own(attributes_of(log.attributes)),
        body=_value(log.body),
        severity_number=log.severity_number.value if log.severity_number is not None else None,
        severity_text=log.severity_text,
        flags=int(log.trace_flags or 0) if log.trace_id else None,
    )
    return otlp.log_record(
        said, {**around.otel, "otel.dropped_attributes_count": emitted.dropped_attributes}, around.resource
    )


def attributes_of(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give attributes as plain JSON, as OTLP would bring them."""
    return {str(key): value if type(value) in _PLAIN else _value(value) for key, value in (attributes or {}).items()}


def _value(value: Any) -> Any:
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        return otlp.finite(value) if not math.isfinite(value) else value
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_value(item) for item in value]
    return value  # the encoder takes anything


class _Around(NamedTuple):
    """What stands around spans and log records."""

    resource: dict[str, Any]
    otel: dict[str, Any]
    kept: tuple[Any, Any]
    """The SDK's own two objects, so that no others take their identity."""


_known: dict[tuple[int, int], _Around] = {}
"""By the identity of resource and scope."""


def _around(resource: Resource | None, scope: InstrumentationScope | None) -> _Around:
    key = (id(resource), id(scope))
    found = _known.get(key)
    if found is None:
        if len(_known) >= _MOST_AROUND:
            _known.clear()
        found = _known[key] = _described(resource, scope)
    return found


def _described(resource: Resource | None, scope: InstrumentationScope | None) -> _Around:
    about: dict[str, Any] = {"otel.schema_url": resource.schema_url} if resource is not None else {}
    if scope is not None:
        about["otel.scope.name"] = scope.name
        about["otel.scope.version"] = scope.version
        about["otel.scope.schema_url"] = scope.schema_url
        about["otel.scope.attributes"] = attributes_of(scope.attributes)
    said = attributes_of(resource.attributes) if resource is not None else {}
    return _Around(said, {key: value for key, value in about.items() if value}, (resource, scope))
