"""OTLP JSON: every field is kept, every AnyValue read."""

from __future__ import annotations

import base64
import json
import math

from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ingest import Place, Problem, otlp

TRACE, SPAN = "5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174"


def read(document):
    return list(otlp.read(document, Place("f")))


def spans(*items, **around):
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(items), **around}]}]}


def test_a_span_keeps_every_field():
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "parentSpanId": "EEE19B7EC3C1B173",
        "traceState": "a=1",
        "flags": 257,
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": "1544712660000000001",
        "endTimeUnixNano": 1544712661000000003,
        "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": "m"}}, {"key": "empty", "value": {}}],
        "droppedAttributesCount": 1,
        "events": [{"timeUnixNano": "5", "name": "e", "attributes": [], "droppedAttributesCount": 2}],
        "droppedEventsCount": 3,
        "links": [{"traceId": TRACE, "spanId": SPAN, "traceState": "b=2", "flags": 1, "droppedAttributesCount": 4}],
        "droppedLinksCount": 5,
        "status": {"code": 1, "message": "fine"},
        "unknownField": {"x": 1},
    }
    document = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "s"}}],
                    "droppedAttributesCount": 6,
                },
                "schemaUrl": "r",
                "scopeSpans": [{"scope": {"name": "n", "version": "v"}, "schemaUrl": "u", "spans": [span]}],
            }
        ]
    }

    records = read(document)

    assert records == [
        {
            "kind": "span",
            "name": "chat m",
            "start_ns": 1544712660000000001,
            "end_ns": 1544712661000000003,
            "trace_id": TRACE.lower(),
            "span_id": SPAN.lower(),
            "parent_id": "eee19b7ec3c1b173",
            "status": "ok",
            "success": True,
            "model": "m",
            "request_model": "m",
            "attributes": {
                "gen_ai.request.model": "m",
                "empty": None,
                "otel.kind": "client",
                "otel.trace_state": "a=1",
                "otel.flags": 257,
                "otel.dropped_attributes_count": 1,
                "otel.dropped_events_count": 3,
                "otel.dropped_links_count": 5,
                "otel.status_description": "fine",
                "otel.schema_url": "r",
                "otel.resource.dropped_attributes_count": 6,
                "otel.scope.name": "n",
                "otel.scope.version": "v",
                "otel.scope.schema_url": "u",
            },
            "resource": {"service.name": "s"},
            "links": [
                {
                    "trace_id": TRACE.lower(),
                    "span_id": SPAN.lower(),
                    "trace_state": "b=2",
                    "flags": 1,
                    "dropped_attributes_count": 4,
                }
            ],
        },
        {
            "kind": "event",
            "name": "e",
            "start_ns": 5,
            "trace_id": TRACE.lower(),
            "span_id": SPAN.lower(),
            "attributes": {"otel.source": "span_event", "otel.dropped_attributes_count": 2},
        },
    ]


SCALARS = {bool: "boolValue", float: "doubleValue", str: "stringValue"}


def encoded(value):
    """Encode plain JSON as an AnyValue: the inverse, written from the specification."""
    if value is None:
        return {}
    if isinstance(value, list):
        return {"arrayValue": {"values": [encoded(item) for item in value]}}
    if isinstance(value, dict) and value.keys() == {"$bytes"}:
        return {"bytesValue": value["$bytes"]}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": encoded(v)} for k, v in value.items()]}}
    return {SCALARS[type(value)]: value} if type(value) in SCALARS else {"intValue": str(value)}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.binary(max_size=5).map(lambda b: {"$bytes": base64.b64encode(b).decode()}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_any_value_reads_back_what_was_encoded(value):
    assert otlp.any_value(json.loads(json.dumps(encoded(value)))) == value


def test_numbers_that_json_lacks_are_marked_as_everywhere_in_tele():
    assert [otlp.any_value({"doubleValue": text}) for text in ("NaN", "Infinity", "-Infinity", "1.5")] == [
        {"$float": "nan"},
        {"$float": "inf"},
        {"$float": "-inf"},
        1.5,
    ]


def test_a_key_of_the_source_that_is_ours_is_kept_beside_ours():
    attribute = {"key": "otel.kind", "value": {"stringValue": "theirs"}}

    (record,) = read(spans({"traceId": TRACE, "spanId": SPAN, "kind": 2, "attributes": [attribute]}))

    assert record["attributes"] == {
        "source.otel.kind": "theirs",
        "otel.kind": "server",
        "tele.flags": ["no_start", "no_end"],
    }


def test_a_span_without_end_is_neither_success_nor_failure():
    (record,) = read(spans({"traceId": TRACE, "spanId": SPAN, "startTimeUnixNano": "7", "endTimeUnixNano": "0"}))

    assert record == {
        "kind": "span",
        "start_ns": 7,
        "trace_id": TRACE.lower(),
        "span_id": SPAN.lower(),
        "status": "unset",
        "attributes": {"tele.flags": ["no_end"]},
    }


def test_a_span_that_ends_before_it_starts_is_flagged_and_kept():
    (record,) = read(spans({"traceId": TRACE, "spanId": SPAN, "startTimeUnixNano": 9, "endTimeUnixNano": 4}))

    assert (record["start_ns"], record["end_ns"]) == (9, 4)
    assert record["attributes"] == {"tele.flags": ["negative_duration"]}


def test_a_failed_span_takes_its_error_from_its_exception_event():
    exception = {
        "name": "exception",
        "timeUnixNano": "3",
        "attributes": [
            {"key": "exception.type", "value": {"stringValue": "ValueError"}},
            {"key": "exception.message", "value": {"stringValue": "bad"}},
        ],
    }
    failed = {"traceId": TRACE, "spanId": SPAN, "status": {"code": 2}, "events": [exception]}

    span, event = read(spans(failed))
    handled, _ = read(spans({**failed, "status": {}}))

    assert [span[k] for k in ("status", "success", "error_type", "error_message")] == [
        "error",
        False,
        "ValueError",
        "bad",
    ]
    assert [event[k] for k in ("kind", "error_type", "error_message")] == ["event", "ValueError", "bad"]
    assert "error_type" not in handled


def test_an_all_zero_parent_is_none():
    (record,) = read(spans({"traceId": TRACE, "spanId": SPAN, "parentSpanId": "0" * 16}))

    assert "parent_id" not in record


def test_a_log_record_without_its_own_time_takes_the_observed_one_and_says_so():
    log = {"observedTimeUnixNano": "9", "body": {"stringValue": "hello"}, "severityNumber": 9, "severityText": "INFO"}

    (record,) = read({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]})

    assert record == {
        "kind": "event",
        "name": "log",
        "start_ns": 9,
        "attributes": {
            "otel.source": "log",
            "otel.body": "hello",
            "otel.severity_number": 9,
            "otel.severity_text": "INFO",
            "otel.observed_time_unix_nano": 9,
            "tele.flags": ["observed_time"],
        },
    }


def test_a_number_is_a_metrics_value_and_a_distribution_keeps_all_its_parts():
    total = {
        "name": "n",
        "unit": "1",
        "sum": {"isMonotonic": True, "dataPoints": [{"timeUnixNano": "4", "asInt": "5"}]},
    }
    spread = {
        "name": "h",
        "histogram": {"dataPoints": [{"timeUnixNano": "4", "count": "2", "bucketCounts": ["1", "1"]}]},
    }

    records = read({"resourceMetrics": [{"scopeMetrics": [{"metrics": [total, spread]}]}]})

    assert records == [
        {
            "kind": "metric",
            "name": "n",
            "unit": "1",
            "value": 5.0,
            "start_ns": 4,
            "attributes": {"otel.metric": {"sum": {"isMonotonic": True}}, "otel.point": {"asInt": "5"}},
        },
        {
            "kind": "metric",
            "name": "h",
            "start_ns": 4,
            "attributes": {
                "otel.metric": {"histogram": {}},
                "otel.point": {"count": "2", "bucketCounts": ["1", "1"]},
            },
        },
    ]


def test_a_metric_that_is_no_number_has_no_value():
    gauge = {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": "4", "asDouble": "NaN"}]}}

    (record,) = read({"resourceMetrics": [{"scopeMetrics": [{"metrics": [gauge]}]}]})

    assert "value" not in record
    assert record["attributes"]["otel.point"] == {"asDouble": "NaN"}
    assert math.isnan(float(record["attributes"]["otel.point"]["asDouble"]))


def test_the_older_name_of_scopes_is_read():
    document = {"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [{"traceId": TRACE, "spanId": SPAN}]}]}]}

    assert [record["span_id"] for record in read(document)] == [SPAN.lower()]


def test_malformed_spans_are_named_with_their_place_and_the_rest_is_read():
    good = {"traceId": TRACE, "spanId": SPAN}
    deep: dict = {"stringValue": "x"}
    for _ in range(100):
        deep = {"arrayValue": {"values": [deep]}}
    bad = [
        {"traceId": "xyz", "spanId": SPAN},
        {"traceId": TRACE},
        {**good, "startTimeUnixNano": "soon"},
        {**good, "attributes": [{"key": "deep", "value": deep}]},
        7,
    ]

    found = read(spans(good, *bad, good))

    at = "resourceSpans[0].scopeSpans[0].spans"
    assert [item if isinstance(item, Problem) else item["span_id"] for item in found] == [
        SPAN.lower(),
        Problem("f", f"{at}[1]", "traceId 'xyz' is not an id of 32 hex digits"),
        Problem("f", f"{at}[2]", "it has no spanId"),
        Problem("f", f"{at}[3]", "startTimeUnixNano 'soon' is not a number"),
        Problem("f", f"{at}[4]", "an attribute's value is nested deeper than 64 levels"),
        Problem("f", f"{at}[5]", "expected an object, found 7"),
        SPAN.lower(),
    ]
