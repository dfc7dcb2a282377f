"""OTLP protobuf: the three export requests, as records or as the document that OTLP JSON would have.

`records` goes straight from a message's fields to records; `document` makes the JSON shape first. Both give the same
records for the same data (opentelemetry.io/docs/specs/otlp). Needs opentelemetry-proto, of the extra `otel`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from tele.errors import BadInput
from tele.telemetry.ingest import otlp
from tele.telemetry.ingest.carried import lifted, own
from tele.telemetry.ingest.record import (
    Place,
    Problem,
    Record,
    RecordError,
    Span,
    event_record,
    hex_id,
    instant,
    parent,
    required_id,
    span_record,
    without_empty,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["IDS", "Signal", "document", "message", "records"]

Signal = Literal["traces", "logs", "metrics"]

IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
"""Fields of bytes that OTLP JSON writes as hex; all others are base64 there."""
_TRACE, _SPAN = 16, 8
"""Bytes of an id."""
_PLAIN = frozenset({"string_value", "bool_value", "int_value"})


def message(signal: Signal) -> Message:
    """Give an empty export request of `signal`; raises BadInput where opentelemetry-proto is not installed."""
    return _request(signal)()


def document(body: bytes, signal: Signal) -> dict[str, Any]:
    """Give the OTLP JSON document of an export request in protobuf, as `otlp.read` takes it.

    Raises BadInput where `body` is no such message, and where opentelemetry-proto is not installed.
    """
    return _object(_parsed(body, signal))


def records(body: bytes, signal: Signal, place: Place) -> Iterator[Record | Problem]:
    """Give the records of an export request in protobuf; what is malformed within it becomes a Problem.

    Raises BadInput, before the first record, where `body` is no such message or opentelemetry-proto is not installed.
    """
    request: Any = _parsed(body, signal)
    if signal == "traces":
        return _walk(request.resource_spans, ("resourceSpans", "scopeSpans", "spans"), place, _span)
    if signal == "logs":
        return _walk(request.resource_logs, ("resourceLogs", "scopeLogs", "logRecords"), place, _log)
    return otlp.read(_object(request), place)


@cache
def _request(signal: Signal) -> Callable[[], Message]:
    try:
        if signal == "traces":
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Traces

            return Traces
        if signal == "logs":
            from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest as Logs

            return Logs
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest as Metrics
    except ImportError as error:
        raise BadInput("OTLP protobuf needs opentelemetry-proto: pip install 'tele[otel]'.") from error
    return Metrics


def _parsed(body: bytes, signal: Signal) -> Message:
    if signal not in get_args(Signal):
        raise BadInput(f"An OTLP signal is traces, logs or metrics, not {signal!r}.")
    request = message(signal)
    from google.protobuf.message import DecodeError

    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise BadInput(f"{len(body):,} bytes are no OTLP protobuf request of {signal}: {error}.") from error
    return request


# ── straight to records ──────────────────────────────────────────────────────────────────────────────────────────────

_Reader = Callable[[Any, dict[str, Any], dict[str, Any], Callable[[], Place]], list[Record | Problem]]


def _walk(
    groups: Iterable[Any], steps: tuple[str, str, str], place: Place, read: _Reader
) -> Iterator[Record | Problem]:
    """Walk resource, scope and item; `steps` are the names of the three lists in OTLP JSON."""
    scopes, items = (otlp.snake(step) for step in steps[1:])
    for number, group in enumerate(groups):
        resource, about = otlp.resource_of(_head(group, "resource"))
        for at, inner in enumerate(getattr(group, scopes)):
            around = otlp.scope_of(_head(inner, "scope"), about)
            around = {key: value for key, value in around.items() if value}
            for index, item in enumerate(getattr(inner, items)):

                def where(here: tuple[int, int, int] = (number, at, index)) -> Place:
                    return place.at(".".join(f"{step}[{n}]" for step, n in zip(steps, here, strict=True)))

                try:
                    yield from read(item, resource, around, where)
                except RecordError as error:
                    yield where().problem(str(error))


def _head(group: Any, what: str) -> dict[str, Any]:
    """Give what stands above the items of a group, in the JSON shape: once for each group, so it may take its time."""
    found: dict[str, Any] = {"schemaUrl": group.schema_url} if group.schema_url else {}
    if group.HasField(what):
        found[what] = _object(getattr(group, what))
    return found


def _span(
    span: Any, resource: dict[str, Any], around: dict[str, Any], where: Callable[[], Place]
) -> list[Record | Problem]:
    trace_id, span_id = span.trace_id, span.span_id
    trace_id = trace_id.hex() if len(trace_id) == _TRACE else required_id(trace_id.hex(), 32, "traceId")
    span_id = span_id.hex() if len(span_id) == _SPAN else required_id(span_id.hex(), 16, "spanId")
    events: list[Record | Problem] = []
    spoken: list[tuple[str, Mapping[str, Any]]] = []
    if span.events:
        for number, event in enumerate(span.events):
            try:
                record = _span_event(event, trace_id, span_id)
            except RecordError as error:
                events.append(where().at(f"events[{number}]").problem(str(error)))
                continue
            events.append(record)
            spoken.append((record.get("name", ""), record["attributes"]))
    status, extra = "unset", dict(around)
    message = None
    if span.HasField("status"):
        status, message = otlp.status(span.status.code), span.status.message
    if kind := span.kind:
        extra["otel.kind"] = otlp.kind(kind)
    if flags := span.flags:
        extra["otel.flags"] = flags
    if state := span.trace_state:
        extra["otel.trace_state"] = state
    _dropped(span, extra, ("attributes", "events", "links"))
    above = span.parent_span_id
    found = lifted(
        span_record(
            Span(
                trace_id=trace_id,
                span_id=span_id,
                parent_id=parent(above.hex(), "parentSpanId") if above else None,
                name=span.name,
                start_ns=instant(span.start_time_unix_nano, "startTimeUnixNano"),
                end_ns=instant(span.end_time_unix_nano, "endTimeUnixNano"),
                status=status,
                message=message,
                attributes=own(_attributes(span.attributes)),
                otel=extra,
                events=spoken,
                resource=resource,
                links=[_link(link) for link in span.links] if span.links else [],
            )
        )
    )
    return [found, *events]


def _span_event(event: Any, trace_id: str, span_id: str) -> Record:
    extra = {"otel.source": "span_event"}
    _dropped(event, extra, ("attributes",))
    return event_record(
        name=event.name,
        start_ns=instant(event.time_unix_nano, "timeUnixNano"),
        trace_id=trace_id,
        span_id=span_id,
        attributes=own(_attributes(event.attributes)),
        otel=extra,
    )


def _link(link: Any) -> dict[str, Any]:
    return without_empty(
        {
            "trace_id": hex_id(link.trace_id.hex(), 32, "link's traceId"),
            "span_id": hex_id(link.span_id.hex(), 16, "link's spanId"),
            "trace_state": link.trace_state or None,
            "flags": link.flags or None,
            "attributes": _attributes(link.attributes),
            "dropped_attributes_count": link.dropped_attributes_count or None,
        }
    )


def _log(
    log: Any, resource: dict[str, Any], around: dict[str, Any], _where: Callable[[], Place]
) -> list[Record | Problem]:
    stated = instant(log.time_unix_nano, "timeUnixNano")
    observed = instant(log.observed_time_unix_nano, "observedTimeUnixNano")
    extra = dict(around)
    _dropped(log, extra, ("attributes",))
    said = otlp.Log(
        name=log.event_name,
        stated=stated,
        observed=observed,
        trace_id=hex_id(log.trace_id.hex(), 32, "traceId"),
        span_id=hex_id(log.span_id.hex(), 16, "spanId"),
        attributes=own(_attributes(log.attributes)),
        body=_value(log.body) if log.HasField("body") else None,
        severity_number=log.severity_number,
        severity_text=log.severity_text,
        flags=log.flags,
    )
    return [otlp.log_record(said, extra, resource)]


def _dropped(item: Any, extra: dict[str, Any], what: tuple[str, ...]) -> None:
    for name in what:
        if count := getattr(item, f"dropped_{name}_count"):
            extra[f"otel.dropped_{name}_count"] = count


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        value = pair.value
        found[pair.key] = value.string_value or value.int_value or _value(value)  # what is not said reads as nothing
    return found


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "double_value":
        return otlp.finite(value.double_value)
    if kind == "bytes_value":
        return {"$bytes": base64.b64encode(value.bytes_value).decode()}
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind in _PLAIN else None


# ── as OTLP JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _object(message: Message) -> dict[str, Any]:
    """Give a message as proto3 JSON, with the exceptions that OTLP makes: enums are numbers, ids are hex."""
    return {field.json_name: _json(field, value) for field, value in message.ListFields()}


def _json(field: Any, value: Any) -> Any:
    write = _write(field)
    return [write(item) for item in value] if _repeated(field) else write(value)


@cache
def _write(field: Any) -> Callable[[Any], Any]:
    """How one value of a field is written."""
    if field.cpp_type == field.CPPTYPE_MESSAGE:
        return _object
    if field.type == field.TYPE_BYTES:
        return bytes.hex if field.name in IDS else lambda value: base64.b64encode(value).decode()
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return str
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return otlp.double_text
    return _same


def _same(value: Any) -> Any:
    return value


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)
