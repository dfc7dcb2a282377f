"""Jaeger JSON: microseconds, typed tags, references."""

from __future__ import annotations

from tele.telemetry.ingest import Place, Problem, jaeger


def read(span, **trace):
    document = {"data": [{"traceID": "1a", "spans": [span], "processes": {}, **trace}]}
    assert jaeger.sniff(document)
    return list(jaeger.read(document, Place("f")))


def tag(key, kind, value):
    return {"key": key, "type": kind, "value": value}


def test_a_span_its_process_and_its_logs_become_rows():
    span = {
        "traceID": "1A",
        "spanID": "2b",
        "operationName": "GET",
        "startTime": 1_000_001,
        "duration": 250,
        "processID": "p1",
        "tags": [
            tag("span.kind", "string", "client"),
            tag("n", "int64", "9007199254740993"),
            tag("f", "float64", "0.5"),
            tag("b", "bool", "true"),
            tag("raw", "binary", "AAE="),
            tag("odd", "int64", "many"),
        ],
        "logs": [{"timestamp": 1_000_100, "fields": [tag("event", "string", "retry"), tag("n", "int64", 2)]}],
    }

    records = read(span, processes={"p1": {"serviceName": "s", "tags": [tag("host", "string", "h")]}})

    ids = {"trace_id": "0" * 30 + "1a", "span_id": "0" * 14 + "2b"}
    assert records == [
        {
            "kind": "span",
            "name": "GET",
            "start_ns": 1_000_001_000,
            "end_ns": 1_000_251_000,
            **ids,
            "status": "unset",
            "success": True,
            "attributes": {
                "span.kind": "client",
                "n": 9007199254740993,
                "f": 0.5,
                "b": True,
                "raw": {"$bytes": "AAE="},
                "odd": "many",
                "otel.kind": "client",
            },
            "resource": {"service.name": "s", "host": "h"},
        },
        {
            "kind": "event",
            "name": "retry",
            "start_ns": 1_000_100_000,
            **ids,
            "attributes": {"event": "retry", "n": 2, "otel.source": "span_event"},
        },
    ]


def reference(kind, span, trace="1a"):
    return {"refType": kind, "traceID": trace, "spanID": span}


def test_the_parent_is_the_first_child_of_in_the_trace_and_the_rest_are_links():
    references = [reference("FOLLOWS_FROM", "5"), reference("CHILD_OF", "6", "ff"), reference("CHILD_OF", "7")]

    (record,) = read({"spanID": "2", "references": references})

    assert record["parent_id"] == "7".zfill(16)
    assert record["links"] == [
        {"trace_id": "1a".zfill(32), "span_id": "5".zfill(16), "attributes": {"opentracing.ref_type": "follows_from"}},
        {"trace_id": "ff".zfill(32), "span_id": "6".zfill(16), "attributes": {"opentracing.ref_type": "child_of"}},
    ]


def test_without_a_child_of_the_span_that_is_followed_is_the_parent():
    (record,) = read({"spanID": "2", "references": [reference("FOLLOWS_FROM", "5")]})

    assert record["parent_id"] == "5".zfill(16)


def test_an_error_tag_is_an_error_and_opentelemetrys_status_wins_over_it():
    plain = read({"spanID": "2", "tags": [tag("error", "bool", True)]})
    ok = read({"spanID": "2", "tags": [tag("error", "bool", True), tag("otel.status_code", "string", "OK")]})

    assert [(r["status"], r.get("success")) for r in (*plain, *ok)] == [("error", False), ("ok", None)]


def test_a_duration_without_a_start_is_kept_and_no_time_is_invented():
    (record,) = read({"spanID": "2", "duration": 1500})

    assert {k: record.get(k) for k in ("start_ns", "end_ns", "duration_ms", "success")} == {
        "start_ns": None,
        "end_ns": None,
        "duration_ms": 1.5,
        "success": True,
    }
    assert record["attributes"]["tele.flags"] == ["no_start", "no_end"]


def test_a_single_trace_without_its_envelope_is_read():
    trace = {"traceID": "1", "spans": [{"spanID": "2"}, {"spanID": "zz"}, {"spanID": "3"}]}

    found = list(jaeger.read(trace, Place("f")))

    assert jaeger.sniff(trace)
    assert [i.position if isinstance(i, Problem) else i["span_id"][-1] for i in found] == ["2", "data[0].spans[1]", "3"]
