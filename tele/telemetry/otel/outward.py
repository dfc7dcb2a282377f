"""Rows of `events` as OTLP: the inverse of `ingest.otlp`, so that what came in as OTLP goes out as it was.

`otel.*` attributes go back to their fields. A column that the attributes do not say is said in the GenAI conventions'
words, and where they have none as `tele.*`, which reading it again understands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tele.telemetry.families import WRITTEN
from tele.telemetry.ingest.carried import EXPERIMENT, PREFIX, RESERVED, SOURCE, UNKNOWN
from tele.telemetry.normalise import normalise
from tele.telemetry.otel.document import any_value, camel, key_values

__all__ = ["Row", "log", "metric", "request", "span"]

Row = Mapping[str, Any]
"""A row of `events`, its JSON columns parsed; `events` of a span are rows of its own, in `span_events`."""

_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUS = {"ok": 1, "error": 2}
_SAID = {
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.response.model",
    "request_model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "cost_usd": "gen_ai.usage.cost",
    "conversation_id": "gen_ai.conversation.id",
    "error_type": "error.type",
    "input": "input.value",
    "output": "output.value",
}
"""Column to the attribute that the normaliser reads first."""
_ALSO = {"model": "llm.model_name", "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens"}
"""What is said a second time, in words that more backends know."""
_OURS = ("run_id", "condition", "replicate", "item_id", "seed", "cluster", "tags", "step", "price_ref")
_COUNTS = ("attributes", "events", "links")
_FAILURE = ("exception.type", "error.type")
_LOG_FIELDS = ("otel.severity_number", "otel.severity_text", "otel.flags")


class _Fields:
    """Attributes of a row, taken apart: what is OTLP's own, and the rest."""

    def __init__(self, row: Row) -> None:
        self.own: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}
        for key, value in (row.get("attributes") or {}).items():
            if _field(key):
                self.own[key] = value
            elif key.startswith(SOURCE) and _field(key.removeprefix(SOURCE)):
                self.rest[key.removeprefix(SOURCE)] = value
            else:
                self.rest[key] = value


def _field(key: str) -> bool:
    """Whether an attribute stands for a field of OTLP, or is `tele.flags`, which reading it again finds again."""
    return key in RESERVED or key.startswith(("otel.resource.", "otel.scope."))


def span(row: Row) -> dict[str, Any]:
    """Give a span with its events; times in nanoseconds as OTLP has them."""
    fields = _Fields(row)
    own, attributes = fields.own, dict(fields.rest)
    events = row.get("span_events") or []
    _say(row, attributes, _spoken(row, attributes, events))
    failed = row.get("status") == "error"
    _say_success(row, attributes, failed=failed)
    end = row.get("end_ns")
    if end is None and row.get("duration_ms") is not None and row.get("start_ns") is not None:
        end = row["start_ns"] + round(row["duration_ms"] * 1e6)
    status = {
        "code": _STATUS.get(row.get("status") or ""),
        "message": row.get("error_message") if failed else own.get("otel.status_description"),
    }
    return _present(
        {
            "traceId": row.get("trace_id"),
            "spanId": row.get("span_id"),
            "parentSpanId": row.get("parent_id"),
            "traceState": own.get("otel.trace_state"),
            "flags": own.get("otel.flags"),
            "name": row.get("name"),
            "kind": _KINDS.get(kind, kind) if isinstance(kind := own.get("otel.kind"), str) else kind,
            "startTimeUnixNano": _nanos(row.get("start_ns")),
            "endTimeUnixNano": _nanos(end),
            "attributes": key_values(attributes),
            "events": [_span_event(event) for event in events],
            "links": [_link(link) for link in row.get("links") or []],
            "status": _present(status),
            **_dropped(own),
        }
    )


def _span_event(row: Row) -> dict[str, Any]:
    fields = _Fields(row)
    return _present(
        {
            "timeUnixNano": _nanos(row.get("start_ns")),
            "name": fields.own.get(WRITTEN, row.get("name")),
            "attributes": key_values(fields.rest),
            **_dropped(fields.own),
        }
    )


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    said = {camel(key): value for key, value in link.items() if key != "attributes"}
    return _present({**said, "attributes": key_values(link.get("attributes"))})


def log(row: Row) -> dict[str, Any]:
    """Give a point event as a log record; its name is the record's event name, unless it came as a plain log."""
    fields = _Fields(row)
    own, attributes = fields.own, dict(fields.rest)
    _say(row, attributes, normalise({key: attributes[key] for key in _FAILURE if key in attributes}))
    if row.get("error_message") and row["error_message"] != attributes.get("exception.message"):
        attributes["exception.message"] = row["error_message"]
    came_as_log = own.get("otel.source") == "log"
    observed_only = "observed_time" in (own.get("tele.flags") or ())
    body = {"body": any_value(own["otel.body"])} if own.get("otel.body") is not None else {}
    severity = {camel(key.removeprefix("otel.")): own.get(key) for key in _LOG_FIELDS}
    said = {
        "timeUnixNano": None if observed_only else _nanos(row.get("start_ns")),
        "observedTimeUnixNano": _nanos(own.get("otel.observed_time_unix_nano") if came_as_log else row.get("start_ns")),
        "traceId": row.get("trace_id"),
        "spanId": row.get("span_id"),
        "eventName": own.get("otel.event_name") if came_as_log else own.get(WRITTEN, row.get("name")),
        "attributes": key_values(attributes),
        **severity,
        **_dropped(own),
    }
    return {**_present(said), **body}


def metric(row: Row) -> dict[str, Any]:
    """Give a metric with one data point: as it came, else as a gauge, with the span around it as an exemplar."""
    fields = _Fields(row)
    attributes = dict(fields.rest)
    _say(row, attributes, {column: row.get(column) for column in _SAID})
    described = dict(fields.own.get("otel.metric") or {})
    point = dict(fields.own.get("otel.point") or {})
    kind = next(
        (kind for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary") if kind in described),
        "gauge",
    )
    value, at = row.get("value"), _nanos(row.get("start_ns"))
    if value is not None and "asInt" not in point and "asDouble" not in point and kind in {"gauge", "sum"}:
        point["asDouble"] = value
    if "otel.metric" not in fields.own and row.get("span_id") and value is not None:
        exemplar = {"timeUnixNano": at, "asDouble": value, "spanId": row["span_id"], "traceId": row.get("trace_id")}
        point["exemplars"] = [_present(exemplar)]
    whole = {**_present({"timeUnixNano": at, "attributes": key_values(attributes)}), **point}
    about = _present({"name": row.get("name"), "unit": row.get("unit")})
    return {**about, **described, kind: {**(described.get(kind) or {}), "dataPoints": [whole]}}


# ── what surrounds them ──────────────────────────────────────────────────────────────────────────────────────────────

_SIGNALS = {
    "traces": ("Spans", "spans", span),
    "logs": ("Logs", "logRecords", log),
    "metrics": ("Metrics", "metrics", metric),
}


def request(rows: Iterable[Row], signal: str) -> dict[str, Any]:
    """Give one export request of rows that are all of `signal`; what has one resource and scope stands together."""
    plural, items, write = _SIGNALS[signal]
    groups: dict[bytes, dict[str, Any]] = {}
    scopes: dict[bytes, list[dict[str, Any]]] = {}
    for row in rows:
        group, scope = _around(row)
        at = orjson.dumps(group)
        if at not in groups:
            groups[at] = {**group, f"scope{plural}": []}
        key = at + orjson.dumps(scope)
        if key not in scopes:
            scopes[key] = []
            groups[at][f"scope{plural}"].append({**scope, items: scopes[key]})
        _join(scopes[key], write(row))
    return {f"resource{plural}": list(groups.values())}


def _join(items: list[dict[str, Any]], item: dict[str, Any]) -> None:
    """Add an item; a data point of the metric before it joins that one."""
    if items:
        for kind, data in item.items():
            if isinstance(data, dict) and "dataPoints" in data and _but_points(items[-1]) == _but_points(item):
                items[-1][kind]["dataPoints"] += data["dataPoints"]
                return
    items.append(item)


def _but_points(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {name: field for name, field in value.items() if name != "dataPoints"}
        if isinstance(value, dict)
        else value
        for key, value in item.items()
    }


def _around(row: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the resource's group and the scope's, without their items."""
    own = {key: value for key, value in (row.get("attributes") or {}).items() if _field(key)}
    resource: dict[str, Any] = {"attributes": key_values(row.get("resource"))}
    scope: dict[str, Any] = {"attributes": key_values(own.get("otel.scope.attributes"))}
    for key, value in own.items():
        if key.startswith("otel.resource."):
            resource[camel(key.removeprefix("otel.resource."))] = value
        elif key.startswith("otel.scope.") and key not in {"otel.scope.attributes", "otel.scope.schema_url"}:
            scope[camel(key.removeprefix("otel.scope."))] = value
    if not row.get("resource") and not any(key.startswith("otel.") for key in own):
        # Recorded by tele: a backend wants to know which service that was.
        resource["attributes"] = key_values({"service.name": row.get("experiment") or "tele"})
        scope["name"] = "tele"
    group = {"resource": _present(resource), **_present({"schemaUrl": own.get("otel.schema_url")})}
    return group, {"scope": _present(scope), **_present({"schemaUrl": own.get("otel.scope.schema_url")})}


# ── columns that the attributes do not say ───────────────────────────────────────────────────────────────────────────


def _spoken(row: Row, attributes: dict[str, Any], events: Iterable[Row]) -> dict[str, Any]:
    """Give the columns that the normaliser finds in what stands there already."""
    said = dict(attributes)
    for event in events:
        more = {key: value for key, value in (event.get("attributes") or {}).items() if not _field(key)}
        if event.get("name") != "exception":
            said = {**{f"{event.get('name')}.{key}": value for key, value in more.items()}, **said}
        elif row.get("status") == "error":
            said = {**more, **said}
    return normalise(said)


def _say(row: Row, attributes: dict[str, Any], said: Mapping[str, Any]) -> None:
    """Put the columns of a row that nothing says among its attributes; a correction stands over what came."""
    for column, key in _SAID.items():
        value = row.get(column)
        if value is None or said.get(column) == value:
            continue
        is_json = isinstance(value, (list, dict))
        attributes[key] = orjson.dumps(value).decode() if is_json else value
        if column in _ALSO:
            attributes.setdefault(_ALSO[column], value)
        if column in {"input", "output"}:
            kind = "application/json" if is_json else "text/plain"
            attributes.setdefault(key.replace(".value", ".mime_type"), kind)
    if row.get("ttft_ms") is not None and said.get("ttft_ms") != row["ttft_ms"]:
        attributes["gen_ai.response.time_to_first_chunk"] = row["ttft_ms"] / 1000
    for column in _OURS:
        value = row.get(column)
        if value is not None and value != [] and said.get(column) != value:
            attributes[PREFIX + column] = value
    if row.get("experiment"):
        attributes[EXPERIMENT] = row["experiment"]


def _say_success(row: Row, attributes: dict[str, Any], *, failed: bool) -> None:
    ended = row.get("end_ns") is not None or row.get("duration_ms") is not None
    follows = False if failed or row.get("error_type") else (True if ended else None)
    if row.get("success") != follows:
        success = row.get("success")
        attributes[PREFIX + "success"] = UNKNOWN if success is None else success


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what proto3 leaves out: nothing, zero, empty."""
    return {key: value for key, value in fields.items() if value}


def _nanos(value: object) -> str | None:
    """64-bit integers are text in proto3 JSON."""
    return str(value) if isinstance(value, int) and value else None


def _dropped(own: Mapping[str, Any]) -> dict[str, Any]:
    return {f"dropped{what.capitalize()}Count": own.get(f"otel.dropped_{what}_count") for what in _COUNTS}
