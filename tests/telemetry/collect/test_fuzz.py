"""Whatever bytes a client sends, it is an answer that it gets: never a failure of the collector's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tele.store.layout import prepare
from tele.telemetry.collect.answer import JSON, PROTOBUF, Refused, accepted
from tele.telemetry.collect.bounds import Bounds
from tele.telemetry.collect.intake import Intake

from .clients import request, span


@pytest.fixture(scope="module")
def intake(tmp_path_factory):
    made = Intake(prepare(tmp_path_factory.mktemp("fuzz") / ".tele"), "process", None, Bounds())
    yield made
    made.close()


def bodies() -> dict[str, bytes]:
    traces = ExportTraceServiceRequest()
    group = traces.resource_spans.add(schema_url="u")
    group.resource.attributes.add(key="service.name").value.string_value = "s"
    one = group.scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="n", start_time_unix_nano=5)
    one.attributes.add(key="a").value.array_value.values.add().kvlist_value.values.add(key="k").value.double_value = 1
    one.events.add(name="e").attributes.add(key="b").value.bytes_value = b"x"
    one.links.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(event_name="x").body.int_value = 7
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m", unit="1")
    metric.histogram.data_points.add(count=2, bucket_counts=[1, 1], explicit_bounds=[0.5])
    return {
        "traces": traces.SerializeToString(),
        "logs": logs.SerializeToString(),
        "metrics": metrics.SerializeToString(),
    }


BODIES = bodies()
SIGNALS = st.sampled_from(sorted(BODIES))


def answered(intake, signal, kind, body):
    try:
        assert accepted(intake.take(signal, kind, bytearray(body)), signal, kind).status == 200
    except Refused as refused:
        assert refused.status in (400, 413), refused.message  # noqa: PT017


@given(
    SIGNALS, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 9)
)
@settings(max_examples=200, deadline=None)
def test_protobuf_with_wrong_bytes(intake, signal, changes, cut):
    body = bytearray(BODIES[signal])
    for at, byte in changes:
        body[at % len(body)] = byte
    answered(intake, signal, PROTOBUF, body[: len(body) - cut])


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
KEYS = st.sampled_from(
    [
        "resource",
        "attributes",
        "scopeSpans",
        "spans",
        "traceId",
        "spanId",
        "name",
        "key",
        "value",
        "stringValue",
        "status",
        "events",
        "links",
        "scope",
        "scopeLogs",
        "logRecords",
        "body",
        "intValue",
        "arrayValue",
        "values",
        "scopeMetrics",
        "metrics",
        "gauge",
        "dataPoints",
        "asInt",
        "flags",
        "kind",
        "code",
    ]
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)


@given(SIGNALS, TREES)
@settings(max_examples=200, deadline=None)
def test_json_of_any_shape(intake, signal, tree):
    names = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}
    answered(intake, signal, JSON, json.dumps({names[signal]: tree}).encode())


@pytest.mark.parametrize("depth", [60, 200, 900])
def test_what_is_nested_deeply(intake, depth):
    value: dict = {"stringValue": "x"}
    plain: list = []
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}} if depth < 900 else value
        plain = [plain]
    point = {"asInt": "1", "exemplars": plain}
    answered(intake, "traces", JSON, json.dumps(request(span(1, attributes=[{"key": "a", "value": value}]))).encode())
    for metric in (
        {"name": "m", "gauge": {"dataPoints": [point]}},
        {"name": "m", "odd": plain, "sum": {"dataPoints": [{}]}},
    ):
        document = {"resourceMetrics": [{"odd": plain, "scopeMetrics": [{"odd": plain, "metrics": [metric]}]}]}
        answered(intake, "metrics", JSON, json.dumps(document).encode())
