"""Zipkin v2 JSON: padded ids, shared spans, missing times."""

from __future__ import annotations

from tele.telemetry.ingest import Place, Problem, zipkin


def read(*spans):
    return list(zipkin.read(list(spans), Place("f")))


def test_a_span_and_its_annotations_become_rows():
    span = {
        "traceId": "ef86c83c0a05a6d6",
        "id": "ecc00062ceef4bf0",
        "parentId": "ef86c83c0a05a6d6",
        "kind": "SERVER",
        "name": "get",
        "timestamp": 10,
        "duration": 5,
        "localEndpoint": {"serviceName": "s", "ipv4": "10.0.0.1"},
        "remoteEndpoint": {"port": 80},
        "shared": True,
        "tags": {"http.method": "GET"},
        "annotations": [{"timestamp": 12, "value": "wire"}],
    }

    records = read(span)

    ids = {"trace_id": "0" * 16 + "ef86c83c0a05a6d6", "span_id": "ecc00062ceef4bf0"}
    assert records == [
        {
            "kind": "span",
            "name": "get",
            "start_ns": 10_000,
            "end_ns": 15_000,
            **ids,
            "parent_id": "ef86c83c0a05a6d6",
            "status": "unset",
            "success": True,
            "attributes": {
                "http.method": "GET",
                "otel.kind": "server",
                "zipkin.local_endpoint": {"ipv4": "10.0.0.1"},
                "zipkin.remote_endpoint": {"port": 80},
                "zipkin.shared": True,
            },
            "resource": {"service.name": "s"},
        },
        {"kind": "event", "name": "wire", "start_ns": 12_000, **ids, "attributes": {"otel.source": "span_event"}},
    ]


def test_an_error_tag_is_an_error_even_when_it_is_empty():
    records = read(
        {"traceId": "1", "id": "2", "tags": {"error": ""}}, {"traceId": "1", "id": "3", "tags": {"error": "no"}}
    )

    assert [(r["status"], r["success"], r.get("error_message")) for r in records] == [
        ("error", False, None),
        ("error", False, "no"),
    ]


def test_times_that_are_missing_are_flagged_and_not_invented():
    no_time, no_duration = read({"traceId": "1", "id": "2"}, {"traceId": "1", "id": "3", "timestamp": 1})

    assert no_time["attributes"] == {"tele.flags": ["no_start", "no_end"]}
    assert no_duration["attributes"] == {"tele.flags": ["no_end"]}
    assert [(r.get("start_ns"), r.get("end_ns"), r.get("success")) for r in (no_time, no_duration)] == [
        (None, None, None),
        (1000, None, None),
    ]


def test_a_list_of_traces_is_read():
    document = [[{"traceId": "1", "id": "2"}], [{"traceId": "3", "id": "4"}]]

    records = list(zipkin.read(document, Place("f")))

    assert zipkin.sniff(document)
    assert [r["trace_id"][-1] for r in records] == ["1", "3"]


def test_malformed_spans_are_named_and_the_rest_is_read():
    found = read(
        {"traceId": "1", "id": "2"},
        {"id": "2"},
        "x",
        {"traceId": "1", "id": "3", "tags": 5},
        {"traceId": "1", "id": "4"},
    )

    assert [str(i) if isinstance(i, Problem) else i["span_id"][-1] for i in found] == [
        "2",
        "f, spans[1]: it has no traceId",
        "f, spans[2]: expected an object, found 'x'",
        "f, spans[3]: expected tags as an object, found 5",
        "4",
    ]
