"""Tempo's answers: OTLP in protobuf's own JSON."""

from __future__ import annotations

import base64

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from tele.telemetry.ingest import Place
from tele.telemetry.ingest.tempo import read, sniff

TRACE, SPAN, PARENT = bytes(range(1, 17)), bytes(range(8)), bytes(range(1, 9))


def as_tempo_writes_it():
    """The message by protobuf's own JSON: ids in base64, enums by name."""
    message = TracesData()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.parent_span_id, span.name = TRACE, SPAN, PARENT, "GET /"
    span.kind, span.status.code = 2, 2
    span.start_time_unix_nano, span.end_time_unix_nano = 1_700_000_000_123_456_789, 1_700_000_001_000_000_000
    return MessageToDict(message)["resourceSpans"]


def test_ids_in_base64_and_enums_by_name_are_read_in_both_envelopes():
    groups = as_tempo_writes_it()
    assert groups[0]["scopeSpans"][0]["spans"][0]["traceId"] == base64.b64encode(TRACE).decode()

    for document in ({"batches": groups}, {"trace": {"resourceSpans": groups}, "metrics": {}}):
        assert sniff(document)
        (row,) = read(document, Place("f"))
        assert (row["trace_id"], row["span_id"], row["parent_id"]) == (TRACE.hex(), SPAN.hex(), PARENT.hex())
        assert (row["status"], row["attributes"]["otel.kind"]) == ("error", "server")
        assert row["end_ns"] - row["start_ns"] == 876_543_211
