"""The SDK's objects become the records that their OTLP gives, as the SDK's own exporter encodes it."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.common")

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from tele.telemetry.ingest import Place, protobuf
from tele.telemetry.otel.measured import metric_records
from tele.telemetry.otel.sdk import ended, log_record, span_records

PLACE = Place("f")
RESOURCE = Resource({"service.name": "s", "list": ("a", "b")}, schema_url="https://example.org/r")
SCALARS = st.text(max_size=4) | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()
VALUES = SCALARS | st.lists(st.text(max_size=3), max_size=3) | st.binary(max_size=3)
KEYS = st.sampled_from(["a", "otel.kind", "gen_ai.request.model", "gen_ai.usage.input_tokens", "tele.condition"])
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)


def through_otlp(message, signal):
    return list(protobuf.records(message.SerializeToString(), signal, PLACE))


class Counted(IdGenerator):
    """The SDK's own draws from `random`, which is hypothesis's here."""

    def generate_span_id(self):
        return 0xABCDEF

    def generate_trace_id(self):
        return 0xFEDCBA


@st.composite
def spans(draw):
    exporter = InMemorySpanExporter()
    limits = SpanLimits(max_span_attributes=3, max_events=1, max_links=1)
    ids = Counted()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False, span_limits=limits, id_generator=ids)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", draw(st.sampled_from(["", "1.0"])), "https://x", {"scope": 1})
    remote = trace.SpanContext(
        draw(st.integers(1, 2**128 - 1)), 7, is_remote=draw(st.booleans()), trace_flags=trace.TraceFlags(1)
    )
    around = trace.set_span_in_context(trace.NonRecordingSpan(remote)) if draw(st.booleans()) else None
    span = tracer.start_span(
        draw(st.text(max_size=5)),
        context=around,
        kind=draw(st.sampled_from(list(trace.SpanKind))),
        attributes=draw(ATTRIBUTES),
        links=[trace.Link(remote, draw(ATTRIBUTES)) for _ in range(draw(st.integers(0, 2)))],
    )
    for _ in range(draw(st.integers(0, 2))):
        span.add_event(draw(st.text(max_size=4)), draw(ATTRIBUTES), timestamp=draw(st.integers(1, 2**62)))
    if draw(st.booleans()):
        span.record_exception(ValueError("no"))
    if draw(st.booleans()):
        span.set_status(draw(st.sampled_from(list(trace.StatusCode))), "why")
    span.end(draw(st.integers(1, 2**62)))
    return exporter.get_finished_spans()[0]


@settings(max_examples=60, deadline=None)
@given(spans())
def test_a_span_gives_the_records_of_its_otlp(span):
    assert span_records(ended(span)) == through_otlp(encode_spans([span]), "traces")


@settings(max_examples=20, deadline=None)
@given(spans())
def test_a_span_without_the_sdks_own_fields_gives_the_same(span):
    class Other:
        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(span, name)

    assert span_records(ended(Other())) == span_records(ended(span))


def test_a_span_that_is_made_by_hand_is_taken_too():
    context = trace.SpanContext(1, 2, is_remote=False)
    (record,) = span_records(ended(ReadableSpan("by hand", context, resource=RESOURCE, start_time=5, end_time=7)))
    assert (record["name"], record["start_ns"], record["end_ns"]) == ("by hand", 5, 7)


BODIES = st.none() | VALUES | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)


@settings(max_examples=40, deadline=None)
@given(BODIES, ATTRIBUTES, st.sampled_from(["", "my.event"]), st.sampled_from([None, *SeverityNumber]))
def test_a_log_record_gives_the_record_of_its_otlp(body, attributes, name, severity):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    around = trace.set_span_in_context(
        trace.NonRecordingSpan(trace.SpanContext(3, 4, is_remote=False, trace_flags=trace.TraceFlags(1)))
    )
    provider.get_logger("l", "2").emit(
        timestamp=9,
        observed_timestamp=10,
        context=around,
        body=body,
        attributes=attributes,
        event_name=name,
        severity_number=severity,
        severity_text="INFO",
    )
    (log,) = exporter.get_finished_logs()

    assert [log_record(log)] == through_otlp(encode_logs([log]), "logs")


def test_metrics_give_the_records_of_their_otlp():
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], RESOURCE, shutdown_on_exit=False).get_meter("m", "1", "https://x", {"scope": 1})
    meter.create_counter("counter", "1", "counts").add(3, {"a": "b", "n": 1})
    meter.create_up_down_counter("float").add(-0.5)
    meter.create_histogram("latency", "s").record(0.25, {"a": "b"})
    meter.create_gauge("zero").set(0)
    meter.create_gauge("nan").set(float("nan"))
    collected = reader.get_metrics_data()

    assert list(metric_records(collected)) == through_otlp(encode_metrics(collected), "metrics")


def test_an_exponential_histogram_gives_the_record_of_its_otlp():
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

    reader = InMemoryMetricReader()
    view = View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())
    meter = MeterProvider([reader], RESOURCE, views=[view], shutdown_on_exit=False).get_meter("m")
    for value in (0.0, 0.5, 3.0, 40.0):
        meter.create_histogram("h").record(value)
    collected = reader.get_metrics_data()

    assert list(metric_records(collected)) == through_otlp(encode_metrics(collected), "metrics")
