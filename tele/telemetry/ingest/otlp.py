"""OTLP JSON: spans, their events, log records and metric data points (one document, or one for each line).

Identifiers are hex of any case, enums integers, 64-bit integers decimal text or numbers, unknown fields are ignored
(opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"). `record` says where fields without a column are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tele.telemetry.ingest.carried import lifted, own
from tele.telemetry.ingest.enums import numbered
from tele.telemetry.ingest.record import (
    Place,
    Problem,
    Record,
    RecordError,
    Span,
    each,
    event_record,
    hex_id,
    instant,
    merged,
    parent,
    required_id,
    shown,
    span_record,
    without_empty,
)

__all__ = [
    "NAME",
    "Log",
    "any_value",
    "double_text",
    "finite",
    "kind",
    "log_record",
    "read",
    "resource_of",
    "scope_of",
    "snake",
    "sniff",
    "status",
]

NAME = "otlp"

MAX_DEPTH = 64
"""Levels of arrays and maps within one attribute."""

_SIGNALS = ("resourceSpans", "resourceLogs", "resourceMetrics")
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUS = {1: "ok", 2: "error"}
_POINTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def sniff(document: object) -> bool:
    """Say whether the document is an OTLP request."""
    return isinstance(document, Mapping) and any(signal in document for signal in _SIGNALS)


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of one OTLP document of any signal, or of several; what is malformed becomes a Problem."""
    if not isinstance(document, Mapping):
        yield place.problem(f"expected an OTLP object, found {shown(document)}")
        return
    for signal, scopes, items, reader in (
        ("resourceSpans", ("scopeSpans", "instrumentationLibrarySpans"), "spans", _spans),
        ("resourceLogs", ("scopeLogs", "instrumentationLibraryLogs"), "logRecords", _logs),
        ("resourceMetrics", ("scopeMetrics", "instrumentationLibraryMetrics"), "metrics", _metrics),
    ):
        yield from each(document.get(signal), place, signal, _Walk(scopes, items, reader).resource)


class _Walk:
    """Walk one signal: resource, scope, item. The names of the scope's list are the current one and OTLP 0.x's."""

    def __init__(self, scopes: tuple[str, str], items: str, reader: Any) -> None:
        self.scopes, self.items, self.reader = scopes, items, reader

    def resource(self, group: Mapping[str, Any], place: Place) -> Iterator[Record | Problem]:
        resource, about = resource_of(group)
        for name in self.scopes:
            yield from each(group.get(name), place, name, lambda scope, here: self.scope(scope, here, resource, about))

    def scope(
        self, group: Mapping[str, Any], place: Place, resource: dict[str, Any], about: dict[str, Any]
    ) -> Iterator[Record | Problem]:
        around = scope_of(group, about)
        return each(
            group.get(self.items), place, self.items, lambda item, here: self.reader(item, here, resource, around)
        )


def resource_of(group: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the attributes of a group's resource, and what else is said of it as `otel.*`."""
    said = _object(group.get("resource"), "resource")
    about = {"otel.schema_url": group.get("schemaUrl"), **_rest("otel.resource", said, ("attributes",))}
    return _attributes(said.get("attributes")), about


def scope_of(group: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is said of a group's scope as `otel.*`, beside what is said `about` its resource."""
    said = _object(group.get("scope") or group.get("instrumentationLibrary"), "scope")
    return {
        **about,
        "otel.scope.attributes": _attributes(said.get("attributes")),
        "otel.scope.schema_url": group.get("schemaUrl"),
        **_rest("otel.scope", said, ("attributes",)),
    }


def _spans(
    span: Mapping[str, Any], place: Place, resource: dict[str, Any], around: dict[str, Any]
) -> Iterator[Record | Problem]:
    trace_id = required_id(span.get("traceId"), 32, "traceId")
    span_id = required_id(span.get("spanId"), 16, "spanId")
    said = _object(span.get("status"), "status")
    events = list(each(span.get("events"), place, "events", lambda item, _: [_span_event(item, trace_id, span_id)]))
    record = span_record(
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent(span.get("parentSpanId"), "parentSpanId"),
            name=span.get("name"),
            start_ns=instant(span.get("startTimeUnixNano"), "startTimeUnixNano"),
            end_ns=instant(span.get("endTimeUnixNano"), "endTimeUnixNano"),
            status=status(_integer(numbered(said.get("code")))),
            message=said.get("message"),
            attributes=own(_attributes(span.get("attributes"))),
            otel={
                **around,
                "otel.kind": kind(_integer(numbered(span.get("kind")))),
                "otel.trace_state": span.get("traceState"),
                "otel.flags": _integer(span.get("flags")),
                **_dropped(span),
            },
            events=[(event.get("name", ""), event["attributes"]) for event in events if isinstance(event, dict)],
            resource=resource,
            links=_links(span.get("links")),
        )
    )
    yield lifted(record)
    yield from events


def _span_event(event: Mapping[str, Any], trace_id: str, span_id: str) -> Record:
    return event_record(
        name=event.get("name"),
        start_ns=instant(event.get("timeUnixNano"), "timeUnixNano"),
        trace_id=trace_id,
        span_id=span_id,
        attributes=own(_attributes(event.get("attributes"))),
        otel={"otel.source": "span_event", **_dropped(event)},
    )


def _links(links: object) -> list[dict[str, Any]]:
    if not isinstance(links, list):
        return []
    return [
        without_empty(
            {
                "trace_id": hex_id(link.get("traceId"), 32, "link's traceId"),
                "span_id": hex_id(link.get("spanId"), 16, "link's spanId"),
                "trace_state": link.get("traceState") or None,
                "flags": _integer(link.get("flags")),
                "attributes": _attributes(link.get("attributes")),
                "dropped_attributes_count": _integer(link.get("droppedAttributesCount")),
            }
        )
        for link in links
        if isinstance(link, Mapping)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log record in plain terms."""

    name: object
    stated: int | None
    """When it happened, nanoseconds since the epoch."""
    observed: int | None
    """When it was seen."""
    trace_id: str | None
    span_id: str | None
    attributes: dict[str, Any]
    body: Any
    severity_number: int | None
    severity_text: object
    flags: int | None


def log_record(log: Log, around: dict[str, Any], resource: dict[str, Any]) -> Record:
    """Give the record of a log record, by the name of its event where it has one."""
    record = event_record(
        name=log.name or log.attributes.get("event.name") or "log",
        # the log data model asks receivers to take the observed time where the event's own is not known
        start_ns=log.stated if log.stated is not None else log.observed,
        trace_id=log.trace_id,
        span_id=log.span_id,
        attributes=log.attributes,
        otel={
            **around,
            "otel.source": "log",
            "otel.event_name": log.name,
            "otel.body": log.body,
            "otel.severity_number": log.severity_number,
            "otel.severity_text": log.severity_text,
            "otel.observed_time_unix_nano": log.observed,
            "otel.flags": log.flags,
        },
        resource=resource,
        flags=["observed_time"] if log.stated is None and log.observed is not None else [],
    )
    if log.body is not None and not log.body:  # false, 0 and an empty text are bodies
        record.setdefault("attributes", {})["otel.body"] = log.body
    return lifted(record)


def _logs(
    log: Mapping[str, Any], _place: Place, resource: dict[str, Any], around: dict[str, Any]
) -> Iterator[Record | Problem]:
    said = Log(
        name=log.get("eventName"),
        stated=instant(log.get("timeUnixNano"), "timeUnixNano"),
        observed=instant(log.get("observedTimeUnixNano"), "observedTimeUnixNano"),
        trace_id=hex_id(log.get("traceId"), 32, "traceId"),
        span_id=hex_id(log.get("spanId"), 16, "spanId"),
        attributes=own(_attributes(log.get("attributes"))),
        body=None if log.get("body") is None else any_value(log["body"]),
        severity_number=_integer(numbered(log.get("severityNumber"))),
        severity_text=log.get("severityText"),
        flags=_integer(log.get("flags")),
    )
    yield log_record(said, {**around, **_dropped(log)}, resource)


def _metrics(
    metric: Mapping[str, Any], place: Place, resource: dict[str, Any], around: dict[str, Any]
) -> Iterator[Record | Problem]:
    """Give one row for each data point; a distribution has no single value, so only numbers fill `value`."""
    for kind in _POINTS:
        if isinstance(metric.get(kind), Mapping):
            yield from _points(metric, kind, place, resource, around)


def _points(
    metric: Mapping[str, Any], kind: str, place: Place, resource: dict[str, Any], around: dict[str, Any]
) -> Iterator[Record | Problem]:
    described = {key: value for key, value in metric.items() if key not in {"name", "unit", kind}}
    described[kind] = {key: value for key, value in metric[kind].items() if key != "dataPoints"}

    def row(point: Mapping[str, Any], _place: Place) -> list[Record]:
        value = _double(point.get("asDouble", point.get("asInt")))
        known = {"attributes", "timeUnixNano"} | ({"asDouble"} if value is not None and math.isfinite(value) else set())
        rest = {key: item for key, item in point.items() if key not in known}
        otel = {**around, "otel.metric": described, "otel.point": rest}
        record = {
            "kind": "metric",
            "name": metric.get("name") or None,
            "unit": metric.get("unit") or None,
            "value": value if "asDouble" not in rest else None,
            "start_ns": instant(point.get("timeUnixNano"), "timeUnixNano"),
            "attributes": merged(own(_attributes(point.get("attributes"))), otel),
            "resource": resource,
        }
        return [lifted(without_empty(record))]

    return each(metric[kind].get("dataPoints"), place, f"{kind}.dataPoints", row)


# Values


def any_value(value: object, depth: int = 0) -> Any:
    """Give an AnyValue as plain JSON; bytes are `{"$bytes": base64}`, and an empty one is null.

    Raises RecordError for what is none, and beyond 64 levels.
    """
    if not isinstance(value, Mapping):
        raise RecordError(f"expected an attribute's value as an object, found {shown(value)}")
    if depth > MAX_DEPTH:
        raise RecordError(f"an attribute's value is nested deeper than {MAX_DEPTH} levels")
    for kind, content in value.items():
        if kind in _PLAIN and content is not None:
            return _PLAIN[kind](content)
        if kind == "arrayValue" and isinstance(content, Mapping):
            return [any_value(item, depth + 1) for item in _list(content.get("values"))]
        if kind == "kvlistValue" and isinstance(content, Mapping):
            return _attributes(content.get("values"), depth + 1)
    return None


def _attributes(pairs: object, depth: int = 0) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for pair in _list(pairs):
        if not isinstance(pair, Mapping):
            raise RecordError(f"expected an attribute as an object, found {shown(pair)}")
        value = pair.get("value")
        attributes[str(pair.get("key", ""))] = None if value is None else any_value(value, depth)
    return attributes


def _integer(value: object) -> int | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]  # anything may stand here; int() decides
    except (TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"{shown(value)} is not an integer") from error


def _double(value: object) -> float | None:
    """Proto3 JSON writes `NaN` and `Infinity` as text."""
    if value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]  # anything may stand here; float() decides
    except (TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"{shown(value)} is not a number") from error


_PLAIN: dict[str, Any] = {
    "stringValue": lambda value: value if isinstance(value, str) else str(value),
    "boolValue": lambda value: value is True or value == "true",
    "intValue": _integer,
    "doubleValue": lambda value: finite(_double(value)),
    "bytesValue": lambda value: {"$bytes": str(value)},
}


def finite(value: float | None) -> float | dict[str, str] | None:
    """Give a double as JSON: it has no NaN, which is marked as `plain` marks it."""
    return value if value is None or math.isfinite(value) else {"$float": repr(value)}


def double_text(value: float) -> float | str:
    """Give a double as proto3 JSON writes it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _object(value: object, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RecordError(f"expected {what} as an object, found {shown(value)}")
    return value


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise RecordError(f"expected a list, found {shown(value)}")
    return value


def kind(code: int | None) -> str | int | None:
    """Give the name of a span's kind; one that this version does not know stays a number."""
    return _KINDS.get(code, code) if code else None


def status(code: int | None) -> str:
    """Give the name of a status."""
    return _STATUS.get(code or 0, "unset")


def _dropped(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"otel.dropped_{what}_count": _integer(item.get(f"dropped{what.capitalize()}Count"))
        for what in ("attributes", "events", "links")
    }


def _rest(prefix: str, item: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Keep the other fields of a resource or scope: `name`, `version`, `droppedAttributesCount`, `entityRefs`."""
    return {f"{prefix}.{snake(key)}": value for key, value in item.items() if key not in known}


def snake(key: str) -> str:
    """Give the name that a field has in the protobuf: `schema_url` of `schemaUrl`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
