"""OTLP that came in goes out as it was; what tele recorded goes out in the conventions' words and reads back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.telemetry.ingest import Place, otlp, protobuf
from tele.telemetry.otel.outward import request
from tele.telemetry.otel.wire import encoded

pytest.importorskip("opentelemetry.proto")

from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.logs.v1 import logs_pb2 as logs_pb
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics_pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as trace_pb

PLACE = Place("f")
SIGNALS = ["traces", "logs", "metrics"]
TEXT = st.text(min_size=1, max_size=4)
TIMES = st.integers(1, 2**63 - 1)
FLOATS = st.floats(allow_nan=False) | st.just(float("nan"))  # which NaN it is, JSON cannot say
COUNTS = st.integers(0, 2**32 - 1)


def values():
    scalars = st.one_of(
        st.text(max_size=4).map(lambda v: common.AnyValue(string_value=v)),
        st.booleans().map(lambda v: common.AnyValue(bool_value=v)),
        st.integers(-(2**63), 2**63 - 1).map(lambda v: common.AnyValue(int_value=v)),
        FLOATS.map(lambda v: common.AnyValue(double_value=v)),
        st.binary(max_size=4).map(lambda v: common.AnyValue(bytes_value=v)),
        st.just(common.AnyValue()),
    )
    lists = st.lists(scalars, max_size=2).map(lambda v: common.AnyValue(array_value=common.ArrayValue(values=v)))
    pairs = st.dictionaries(TEXT, scalars, max_size=2).map(key_values)
    return scalars | lists | pairs.map(lambda v: common.AnyValue(kvlist_value=common.KeyValueList(values=v)))


def key_values(found):
    return [common.KeyValue(key=key, value=value) for key, value in found.items()]


KEYS = ["a", "otel.kind", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.cost", "error.type"]
ATTRIBUTES = st.dictionaries(st.sampled_from(KEYS), values(), max_size=4).map(key_values)


@st.composite
def around(draw, group, inner, items, found):
    """A group of one scope. A scope has a name, as every library's has."""
    scope = common.InstrumentationScope(
        name=draw(TEXT), version=draw(TEXT), attributes=draw(ATTRIBUTES), dropped_attributes_count=draw(COUNTS)
    )
    one = inner(scope=scope, schema_url=draw(st.text(max_size=3)), **{items: found})
    resource = Resource(attributes=draw(ATTRIBUTES), dropped_attributes_count=draw(COUNTS))
    name = {"spans": "scope_spans", "log_records": "scope_logs", "metrics": "scope_metrics"}[items]
    return group(resource=resource, schema_url=draw(st.text(max_size=3)), **{name: [one]})


@st.composite
def traces(draw):
    ids = [draw(st.binary(min_size=16, max_size=16)), draw(st.binary(min_size=8, max_size=8))]
    status = trace_pb.Status(code=draw(st.integers(0, 2)), message=draw(TEXT))
    event = trace_pb.Span.Event(
        time_unix_nano=draw(TIMES), name=draw(TEXT), attributes=draw(ATTRIBUTES), dropped_attributes_count=draw(COUNTS)
    )
    link = trace_pb.Span.Link(
        trace_id=ids[0], span_id=ids[1], trace_state=draw(TEXT), attributes=draw(ATTRIBUTES), flags=draw(COUNTS)
    )
    span = trace_pb.Span(
        trace_id=ids[0],
        span_id=ids[1],
        parent_span_id=draw(st.sampled_from([b"", b"\x01" * 8])),
        trace_state=draw(st.text(max_size=3)),
        flags=draw(COUNTS),
        name=draw(st.text(max_size=5)),
        kind=draw(st.integers(0, 6)),
        start_time_unix_nano=draw(TIMES),
        end_time_unix_nano=draw(TIMES | st.just(0)),
        attributes=draw(ATTRIBUTES),
        dropped_attributes_count=draw(COUNTS),
        events=[event] * draw(st.integers(0, 2)),
        dropped_events_count=draw(COUNTS),
        links=[link] * draw(st.integers(0, 2)),
        dropped_links_count=draw(COUNTS),
        status=draw(st.sampled_from([None, status])),
    )
    found = protobuf.message("traces")
    found.resource_spans.append(draw(around(trace_pb.ResourceSpans, trace_pb.ScopeSpans, "spans", [span])))
    return found


@st.composite
def logs(draw):
    record = logs_pb.LogRecord(
        time_unix_nano=draw(TIMES | st.just(0)),
        observed_time_unix_nano=draw(TIMES | st.just(0)),
        severity_number=draw(st.integers(0, 24)),
        severity_text=draw(st.text(max_size=3)),
        body=draw(st.none() | values().filter(lambda v: v.WhichOneof("value"))),
        attributes=draw(ATTRIBUTES),
        dropped_attributes_count=draw(COUNTS),
        flags=draw(COUNTS),
        trace_id=draw(st.sampled_from([b"", b"\x02" * 16])),
        span_id=draw(st.sampled_from([b"", b"\x03" * 8])),
        event_name=draw(st.text(max_size=3)),
    )
    found = protobuf.message("logs")
    found.resource_logs.append(draw(around(logs_pb.ResourceLogs, logs_pb.ScopeLogs, "log_records", [record])))
    return found


@st.composite
def metrics(draw):
    def number(**value):
        exemplar = metrics_pb.Exemplar(span_id=b"12345678", trace_id=b"\x01" * 16, as_double=draw(FLOATS))
        return metrics_pb.NumberDataPoint(
            time_unix_nano=draw(TIMES),
            start_time_unix_nano=1,
            attributes=draw(ATTRIBUTES),
            exemplars=[exemplar],
            **value,
        )

    points = [number(as_double=draw(FLOATS)), number(as_int=draw(st.integers(-(2**63), 2**63 - 1)))]
    bounds = {"bucket_counts": [0, 2**63], "explicit_bounds": [0.5], "count": 2**63, "sum": 0.0}
    histogram = metrics_pb.HistogramDataPoint(time_unix_nano=5, attributes=draw(ATTRIBUTES), **bounds)
    kinds = [
        {"gauge": metrics_pb.Gauge(data_points=points)},
        {"sum": metrics_pb.Sum(data_points=points, is_monotonic=True, aggregation_temporality=1)},
        {"histogram": metrics_pb.Histogram(data_points=[histogram], aggregation_temporality=2)},
        {"summary": metrics_pb.Summary(data_points=[metrics_pb.SummaryDataPoint(time_unix_nano=3, count=1, sum=2)])},
    ]
    metric = metrics_pb.Metric(
        name=draw(TEXT), unit=draw(st.text(max_size=2)), description="d", **draw(st.sampled_from(kinds))
    )
    found = protobuf.message("metrics")
    found.resource_metrics.append(
        draw(around(metrics_pb.ResourceMetrics, metrics_pb.ScopeMetrics, "metrics", [metric]))
    )
    return found


def rows_of(items):
    """Records as a store gives them back: those of a span's events stand with their span."""
    spans = [dict(item) for item in items if item["kind"] == "span"]
    events = [item for item in items if item["attributes"].get("otel.source") == "span_event"] if spans else []
    for span in spans:
        span["span_events"] = events
    return spans or [dict(item) for item in items]


def ordered(message):
    """Attributes are a set: their order says nothing. NaN equals itself in bytes."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        inner = value if field.is_repeated else [value]
        for item in inner:
            ordered(item)
        if field.is_repeated and field.message_type.name == "KeyValue":
            found = sorted(value, key=lambda pair: pair.key)
            del value[:]
            value.extend(found)
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize(("signal", "requests"), [("traces", traces), ("logs", logs), ("metrics", metrics)])
def test_what_came_in_goes_out_as_it_was(signal, requests, protocol):
    @settings(max_examples=30, deadline=None)
    @given(requests())
    def law(came):
        records = list(protobuf.records(came.SerializeToString(), signal, PLACE))
        assert not [item for item in records if not isinstance(item, dict)]
        body = encoded(request(rows_of(records), signal), signal, protocol)
        if protocol == "http/json":
            assert [*otlp.read(json.loads(body), PLACE)] == records
        else:
            went = protobuf.message(signal)
            went.ParseFromString(body)
            assert ordered(went) == ordered(came)

    law()


def test_columns_that_nothing_says_are_said_in_the_conventions_words():
    row = {
        "kind": "span",
        "name": "chat m",
        "start_ns": 1,
        "end_ns": 2,
        "trace_id": "1" * 32,
        "span_id": "2" * 16,
        "status": "ok",
        "success": None,
        "experiment": "e",
        "run_id": "r1",
        "condition": "c",
        "replicate": 2,
        "item_id": "i",
        "seed": 7,
        "tags": ["t"],
        "operation": "chat",
        "provider": "openai",
        "model": "m",
        "input_tokens": 3,
        "output_tokens": 4,
        "cache_read_tokens": 1,
        "reasoning_tokens": 2,
        "cost_usd": 0.5,
        "price_ref": "list 2026",
        "ttft_ms": 250.0,
        "input": [{"role": "user", "content": "hi"}],
        "output": "ok",
        "attributes": {"own": 1},
    }
    (back,) = otlp.read(request([row], "traces"), PLACE)

    kept = set(row) - {"attributes", "experiment", "success"}
    assert {key: back.get(key) for key in kept} == {key: row[key] for key in kept}
    assert "success" not in back
    assert back["attributes"]["own"] == 1
    assert back["attributes"]["tele.experiment"] == "e"


def test_a_correction_stands_over_what_came():
    came = {"gen_ai.usage.cost": 1.0, "gen_ai.usage.input_tokens": 5}
    row = {
        "kind": "span",
        "trace_id": "1" * 32,
        "span_id": "2" * 16,
        "attributes": came,
        "input_tokens": 5,
        "cost_usd": 2.0,
    }
    (back,) = otlp.read(request([row], "traces"), PLACE)
    assert (back["cost_usd"], back["input_tokens"]) == (2.0, 5)
