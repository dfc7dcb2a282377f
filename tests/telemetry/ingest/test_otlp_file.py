"""Files of OTLP protobuf, as the Collector and others write them: the same rows as OTLP JSON of the same data."""

from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tele.telemetry.ingest import Place, Problem, otlp
from tele.telemetry.ingest.otlp_file import read, sniff
from tele.telemetry.ingest.sources import Format, Source


def traces(count=3, name="chat"):
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    attribute = group.resource.attributes.add()
    attribute.key, attribute.value.string_value = "service.name", "s"
    spans = group.scope_spans.add().spans
    for number in range(1, count + 1):
        span = spans.add()
        span.trace_id, span.span_id, span.name = bytes([7]) * 16, number.to_bytes(8, "big"), name
        span.start_time_unix_nano, span.end_time_unix_nano = number * 10**9, (number + 1) * 10**9
    return message


def logs():
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano, record.event_name = 5, "e"
    return message


def metrics():
    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.name, metric.description, metric.unit = "sixteen.letters.", "8letters", "ms"  # as long as a span's ids
    point = metric.gauge.data_points.add()
    point.time_unix_nano, point.as_double = 5, 1.5
    return message


def collector(*messages):
    return b"".join(len(body).to_bytes(4, "big") + body for body in (m.SerializeToString() for m in messages))


def delimited(*messages):
    def length(size):
        return bytes([size]) if size < 128 else bytes([size & 127 | 128]) + length(size >> 7)

    return b"".join(length(len(body)) + body for body in (m.SerializeToString() for m in messages))


def as_json(*messages):
    """The rows of the same data by the reader of OTLP JSON, ids in base64 and enums by name."""
    found = [row for m in messages for row in otlp.read(MessageToDict(m), Place("f"))]
    return json.loads(json.dumps(found))


def rows(path):
    found = list(read(path, Place("f")))
    assert [item for item in found if isinstance(item, Problem)] == []
    return json.loads(json.dumps(found))


@pytest.mark.parametrize("framed", [collector, delimited])
def test_many_requests_of_any_signal_follow_each_other(tmp_path, framed):
    messages = [traces(), logs(), metrics(), traces(200, "x" * 40)]
    path = tmp_path / "traces.binpb"
    path.write_bytes(framed(*messages))

    assert rows(path) == as_json(*messages)
    assert next(Source().items(path)) == Format("otlp-protobuf")


@pytest.mark.parametrize("message", [traces(), logs(), metrics()], ids=["traces", "logs", "metrics"])
def test_one_request_alone_is_read(tmp_path, message):
    path = tmp_path / "a.pb"
    path.write_bytes(message.SerializeToString())

    assert sniff(path.read_bytes())
    assert rows(path) == as_json(message)


def test_one_large_request_is_read_group_by_group(tmp_path):
    message = traces(50)
    for _ in range(5):
        message.resource_spans.add().CopyFrom(traces(50).resource_spans[0])
    path = tmp_path / "a.pb"
    path.write_bytes(message.SerializeToString())

    assert len(rows(path)) == 300


@pytest.mark.parametrize("framed", [collector, delimited, lambda *ms: ms[0].SerializeToString()])
def test_a_file_that_is_cut_off_gives_the_requests_before_and_a_problem(tmp_path, framed):
    data = framed(traces(5), traces(5), traces(5))
    path = tmp_path / "a.pb"

    for cut in (1, 2, 7, 30):
        path.write_bytes(data[:-cut])
        found = list(read(path, Place("f")))
        assert isinstance(found[-1], Problem)
        assert (len(found) - 1) % 5 == 0


@pytest.mark.parametrize("head", [b"", b"\n", b"\x89PNG\r\n\x1a\n\0\0\0\r", b"\n\x05hello", b"\0\0\0\x04abcd", b"hi"])
def test_other_bytes_are_no_request(head):
    assert not sniff(head)
