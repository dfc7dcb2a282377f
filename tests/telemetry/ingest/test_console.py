"""Console span JSON: what the SDK itself prints, and its relatives."""

from __future__ import annotations

import json

import pytest

from tele.telemetry.ingest import Place, Problem, console

CONTEXT = {"trace_id": "0x7d675c7ccfcbecbc581510d4873bedca", "span_id": "0x543b6c7c35b4f0bf", "trace_state": "[]"}


def read(document):
    return list(console.read(document, Place("f")))


def test_what_the_sdk_prints_is_read_to_the_nanosecond():
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.trace import SpanKind, Status, StatusCode

    tracer = trace.TracerProvider().get_tracer("t")
    parent = tracer.start_span("outer", start_time=1_700_000_000_123_456_000)
    from opentelemetry.trace import set_span_in_context

    span = tracer.start_span(
        "inner", set_span_in_context(parent), SpanKind.CLIENT, {"n": 1}, start_time=1_700_000_000_200_000_000
    )
    span.add_event("e", {"k": [1, 2]}, timestamp=1_700_000_000_300_000_000)
    span.set_status(Status(StatusCode.ERROR, "broken"))
    span.end(end_time=1_700_000_000_400_001_000)

    document = json.loads(span.to_json())
    record, event = read(document)

    ids = span.get_span_context()
    assert console.sniff(document)
    assert {key: record[key] for key in record if key not in {"resource", "attributes"}} == {
        "kind": "span",
        "name": "inner",
        "start_ns": 1_700_000_000_200_000_000,
        "end_ns": 1_700_000_000_400_001_000,
        "trace_id": f"{ids.trace_id:032x}",
        "span_id": f"{ids.span_id:016x}",
        "parent_id": f"{parent.get_span_context().span_id:016x}",
        "status": "error",
        "error_message": "broken",
        "success": False,
    }
    assert record["attributes"] == {"n": 1, "otel.kind": "client"}
    assert record["resource"]["telemetry.sdk.name"] == "opentelemetry"
    assert (event["name"], event["start_ns"], event["attributes"]) == (
        "e",
        1_700_000_000_300_000_000,
        {"k": [1, 2], "otel.source": "span_event"},
    )


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T02:00:01.5+02:00", 1_500_000_000),
        ("1969-12-31 23:30:01-0030", 10**9),
        ("1970-01-01T00:00:02", 2 * 10**9),
        (3, 3),
        ("4", 4),
    ],
)
def test_times_are_iso_text_or_nanoseconds(text, ns):
    (record,) = read({"name": "n", "context": CONTEXT, "start_time": text, "end_time": text})

    assert (record["start_ns"], record["end_ns"]) == (ns, ns)


@pytest.mark.parametrize("text", ["2025-13-01T00:00:00Z", "yester-day", "2025-01-01", {}, True])
def test_what_is_no_time_is_a_problem(text):
    (problem,) = read({"name": "n", "context": CONTEXT, "start_time": text})

    assert isinstance(problem, Problem)
    assert (problem.position, problem.message[:10]) == ("spans[0]", "start_time")


def test_integer_ids_become_hex():
    context = {"trace_id": 255, "span_id": 4096, "trace_state": {"entries": {"a": "1"}}, "trace_flags": {"value": 1}}
    span = {"name": "n", "kind": "internal", "context": context, "parent": {"trace_id": 255, "span_id": 17}}

    (record,) = read({"spans": [span]})

    assert [record[k] for k in ("trace_id", "span_id", "parent_id")] == [
        "0" * 30 + "ff",
        "0" * 12 + "1000",
        "0" * 14 + "11",
    ]
    assert record["attributes"] == {
        "otel.kind": "internal",
        "otel.trace_state": "a=1",
        "otel.flags": 1,
        "tele.flags": ["no_start", "no_end"],
    }


def test_the_printed_trace_state_becomes_the_w3c_form():
    trace = pytest.importorskip("opentelemetry.trace")
    state = trace.TraceState([("a", "1"), ("b", "2")])

    (record,) = read({"name": "n", "context": {**CONTEXT, "trace_state": repr(state)}})

    assert record["attributes"]["otel.trace_state"] == state.to_header()


def test_links_are_kept():
    (record,) = read({"name": "n", "context": CONTEXT, "links": [{"context": CONTEXT, "attributes": {"why": "retry"}}]})

    assert record["links"] == [
        {"trace_id": CONTEXT["trace_id"][2:], "span_id": CONTEXT["span_id"][2:], "attributes": {"why": "retry"}}
    ]
