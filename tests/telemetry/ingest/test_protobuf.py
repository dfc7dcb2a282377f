"""OTLP protobuf: the same records as the OTLP JSON of the same data, and one sentence for what is none."""

from __future__ import annotations

import base64
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.telemetry.ingest import Place, Problem, otlp, protobuf

pytest.importorskip("opentelemetry.proto")
json_format = pytest.importorskip("google.protobuf.json_format")

PLACE = Place("f")
ID_KEYS = {"traceId", "spanId", "parentSpanId"}


def by_the_library(message):
    """OTLP JSON by protobuf's own encoder; ids become hex, as the specification asks, enums numbers."""

    def hexed(value, key=None):
        if isinstance(value, dict):
            return {name: hexed(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [hexed(item) for item in value]
        return base64.b64decode(value).hex() if key in ID_KEYS else value

    text = json_format.MessageToJson(message, use_integers_for_enums=True)
    return hexed(json.loads(text))


def common():
    from opentelemetry.proto.common.v1 import common_pb2

    return common_pb2


def any_values():
    pb = common()
    scalars = st.one_of(
        st.text(max_size=5).map(lambda v: pb.AnyValue(string_value=v)),
        st.booleans().map(lambda v: pb.AnyValue(bool_value=v)),
        st.integers(-(2**63), 2**63 - 1).map(lambda v: pb.AnyValue(int_value=v)),
        st.floats().map(lambda v: pb.AnyValue(double_value=v)),
        st.binary(max_size=5).map(lambda v: pb.AnyValue(bytes_value=v)),
        st.just(pb.AnyValue()),
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=2).map(lambda v: pb.AnyValue(array_value=pb.ArrayValue(values=v)))
            | attributes(inner).map(lambda v: pb.AnyValue(kvlist_value=pb.KeyValueList(values=v)))
        ),
        max_leaves=4,
    )


def attributes(values=None):
    pb = common()
    keys = st.sampled_from(
        ["a", "otel.kind", "gen_ai.request.model", "gen_ai.usage.input_tokens", "tele.condition", "exception.message"]
    )
    return st.dictionaries(keys, any_values() if values is None else values, max_size=4).map(
        lambda found: [pb.KeyValue(key=key, value=value) for key, value in found.items()]
    )


FIXED32, FIXED64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=6)
TRACE_IDS = st.binary(min_size=16, max_size=16) | st.binary(max_size=20)
SPAN_IDS = st.binary(min_size=8, max_size=8) | st.binary(max_size=10)


def headed(draw, make, what, items):
    """One group around `items`: resource, scope and their schema urls."""
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    group = make()
    if draw(st.booleans()):
        group.resource.CopyFrom(Resource(attributes=draw(attributes()), dropped_attributes_count=draw(FIXED32)))
    group.schema_url = draw(TEXT)
    inner = getattr(group, f"scope_{what}").add()
    inner.schema_url = draw(TEXT)
    if draw(st.booleans()):
        scope = common().InstrumentationScope(name=draw(TEXT), version=draw(TEXT), attributes=draw(attributes()))
        inner.scope.CopyFrom(scope)
    getattr(inner, "log_records" if what == "logs" else what).extend(items)
    return group


@st.composite
def traces(draw):
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

    def span(number):
        return Span(
            trace_id=draw(TRACE_IDS),
            span_id=draw(SPAN_IDS),
            parent_span_id=draw(SPAN_IDS),
            trace_state=draw(TEXT),
            flags=draw(FIXED32),
            name=draw(TEXT),
            kind=draw(st.integers(0, 7)),
            start_time_unix_nano=draw(FIXED64),
            end_time_unix_nano=draw(FIXED64),
            attributes=draw(attributes()),
            dropped_attributes_count=draw(FIXED32),
            events=[
                Span.Event(time_unix_nano=draw(FIXED64), name=draw(TEXT), attributes=draw(attributes()))
                for _ in range(draw(st.integers(0, 2)))
            ],
            links=[
                Span.Link(trace_id=draw(TRACE_IDS), span_id=draw(SPAN_IDS), flags=draw(FIXED32)) for _ in range(number)
            ],
            status=Status(code=draw(st.integers(0, 2)), message=draw(TEXT)) if draw(st.booleans()) else None,
        )

    request = protobuf.message("traces")
    request.resource_spans.append(
        headed(draw, ResourceSpans, "spans", [span(n) for n in range(draw(st.integers(0, 2)))])
    )
    return request


@st.composite
def logs(draw):
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs

    record = LogRecord(
        time_unix_nano=draw(FIXED64),
        observed_time_unix_nano=draw(FIXED64),
        severity_number=draw(st.integers(0, 24)),
        severity_text=draw(TEXT),
        body=draw(st.none() | any_values()),
        attributes=draw(attributes()),
        dropped_attributes_count=draw(FIXED32),
        flags=draw(FIXED32),
        trace_id=draw(TRACE_IDS),
        span_id=draw(SPAN_IDS),
        event_name=draw(TEXT),
    )
    request = protobuf.message("logs")
    request.resource_logs.append(headed(draw, ResourceLogs, "logs", [record]))
    return request


@st.composite
def metrics(draw):
    from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

    numbers = [
        pb.NumberDataPoint(time_unix_nano=draw(st.integers(0, 2**63)), as_double=draw(st.floats())),
        pb.NumberDataPoint(
            as_int=draw(st.integers(-(2**63), 2**63 - 1)),
            attributes=draw(attributes()),
            exemplars=[pb.Exemplar(span_id=b"12345678", trace_id=bytes(16), as_double=draw(st.floats()))],
        ),
    ]
    histogram = pb.HistogramDataPoint(
        count=draw(FIXED64), sum=1.5, bucket_counts=[1, draw(FIXED64)], explicit_bounds=[2]
    )
    metric = draw(
        st.sampled_from(
            [
                pb.Metric(name="g", unit="s", gauge=pb.Gauge(data_points=numbers)),
                pb.Metric(name="s", sum=pb.Sum(data_points=numbers, is_monotonic=True, aggregation_temporality=2)),
                pb.Metric(name="h", histogram=pb.Histogram(data_points=[histogram])),
            ]
        )
    )
    request = protobuf.message("metrics")
    request.resource_metrics.append(headed(draw, pb.ResourceMetrics, "metrics", [metric]))
    return request


def shown(items):
    """Records as they are, problems without the quotes that JSON has around large numbers."""
    return [str(item).replace("'", "") if isinstance(item, Problem) else item for item in items]


@pytest.mark.parametrize(("signal", "requests"), [("traces", traces), ("logs", logs), ("metrics", metrics)])
def test_protobuf_gives_the_records_of_its_json(signal, requests):
    @settings(max_examples=40, deadline=None)
    @given(requests())
    def law(request):
        expected = shown(otlp.read(by_the_library(request), PLACE))
        body = request.SerializeToString()
        assert shown(protobuf.records(body, signal, PLACE)) == expected
        assert shown(otlp.read(protobuf.document(body, signal), PLACE)) == expected

    law()


def test_the_document_is_the_json_of_the_specification():
    request = protobuf.message("traces")
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.start_time_unix_nano, span.kind = b"\x01" * 16, b"\xab" * 8, 2**63, 3
    attribute = span.attributes.add()
    attribute.key, attribute.value.bytes_value = "b", b"\xff"

    assert protobuf.document(request.SerializeToString(), "traces") == {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "01" * 16,
                                "spanId": "ab" * 8,
                                "startTimeUnixNano": "9223372036854775808",
                                "kind": 3,
                                "attributes": [{"key": "b", "value": {"bytesValue": "/w=="}}],
                            }
                        ]
                    }
                ]
            }
        ]
    }


def test_a_bad_span_costs_itself_alone_and_says_where_it_stands():
    request = protobuf.message("traces")
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=bytes(20), span_id=b"12345678", name="too long")
    spans.add(trace_id=b"\x01" * 16, span_id=b"12345678", name="good")

    problem, good = protobuf.records(request.SerializeToString(), "traces", PLACE)

    assert isinstance(problem, Problem)
    assert problem.position == "resourceSpans[0].scopeSpans[0].spans[0]"
    assert good["name"] == "good"


@pytest.mark.parametrize("body", [b"\xff", b"{}", b'{"resourceSpans": []}', b"\x0a\x05abc"])
@pytest.mark.parametrize("read", [protobuf.document, lambda body, signal: protobuf.records(body, signal, PLACE)])
def test_bytes_that_are_no_request_are_refused_before_the_first_record(body, read):
    with pytest.raises(BadInput, match="no OTLP protobuf request of traces"):
        read(body, "traces")


def test_attributes_nested_without_end_are_refused_not_followed():
    def field(number, content):
        size, length = len(content), b""
        while True:
            length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
            size >>= 7
            if not size:
                return bytes([number << 3 | 2]) + length + content

    value = field(1, b"x")
    for _ in range(500):
        value = field(5, field(1, value))
    span = field(1, b"1" * 16) + field(2, b"1" * 8) + field(9, field(1, b"deep") + field(2, value))
    body = field(1, field(2, field(2, span)))

    with pytest.raises(BadInput):
        protobuf.records(body, "traces", PLACE)


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch):
    protobuf._request.cache_clear()
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)

    with pytest.raises(BadInput, match=r"pip install 'tele\[otel\]'"):
        protobuf.document(b"", "traces")
