"""A large request cut in pieces is the request: as protobuf's and JSON's own libraries read it."""

from __future__ import annotations

import json
from unittest import mock

import orjson
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tele.telemetry.collect import documents as json_cut
from tele.telemetry.collect import pieces as protobuf_cut
from tele.telemetry.collect.answer import Refused, varint

names = st.text(max_size=12)
layouts = st.lists(st.tuples(names, st.lists(st.tuples(names, st.lists(names, max_size=6)), max_size=3)), max_size=3)


def message(layout):
    made = ExportTraceServiceRequest()
    for resource, scopes in layout:
        group = made.resource_spans.add(schema_url=resource)
        group.resource.attributes.add(key="name").value.string_value = resource
        for scope, spans in scopes:
            inner = group.scope_spans.add()
            inner.scope.name = scope
            for name in spans:
                inner.spans.add(name=name, trace_id=b"t" * 16)
    return made


def document(layout):
    """As a client may write it: what is said of a list may stand before or behind it."""
    return {
        "resourceSpans": [
            {
                "schemaUrl": resource,
                "scopeSpans": [
                    {
                        "spans": [{"name": name, "links": [{"a": [resource]}]} for name in spans],
                        "scope": {"name": scope},
                    }
                    for scope, spans in scopes
                ],
                "resource": {"attributes": [{"key": "name", "value": {"stringValue": resource}}]},
            }
            for resource, scopes in layout
        ]
    }


def spans_of(request):
    return [
        (group.resource.attributes[0].value.string_value, inner.scope.name, span.name)
        for group in request.resource_spans
        for inner in group.scope_spans
        for span in inner.spans
    ]


def json_spans_of(request):
    return [
        (group["resource"]["attributes"][0]["value"]["stringValue"], inner["scope"]["name"], span["name"])
        for group in request["resourceSpans"]
        for inner in group["scopeSpans"]
        for span in inner["spans"]
    ]


@given(layouts, st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_pieces_of_protobuf_are_the_request(layout, size):
    whole = message(layout)
    with mock.patch.object(protobuf_cut, "PIECE_BYTES", size):
        found = list(protobuf_cut.pieces(whole.SerializeToString(), "traces", 1000))
    parsed = [ExportTraceServiceRequest.FromString(piece.body) for piece in found]
    assert [span for piece in parsed for span in spans_of(piece)] == spans_of(whole)
    assert sum(piece.items for piece in found) == len(spans_of(whole))


@given(layouts, st.integers(1, 200), st.sampled_from([None, 2]))
@settings(max_examples=60, deadline=None)
def test_pieces_of_json_are_the_request(layout, size, indent):
    whole = document(layout)
    body = bytearray(json.dumps(whole, indent=indent).encode())
    with mock.patch.multiple(json_cut, WHOLE_BYTES=1, PIECE_BYTES=size, _PER_VALUE=0, _parsed=orjson.loads):
        found = list(json_cut.documents(body, "traces", 1000))
    assert [span for piece, _ in found for span in json_spans_of(piece)] == json_spans_of(whole)
    assert sum(items for _, items in found) == len(json_spans_of(whole))


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_no_protobuf_never_make_more_than_a_refusal(body):
    with mock.patch.object(protobuf_cut, "PIECE_BYTES", 4):
        try:
            for piece in protobuf_cut.pieces(body, "traces", 1000):
                ExportTraceServiceRequest.FromString(piece.body)
        except (Refused, DecodeError):
            return


@given(st.text('{}[]",:\\ resourceSpans', max_size=60))
@settings(max_examples=200, deadline=None)
def test_text_that_is_no_json_never_makes_more_than_a_refusal(text):
    with mock.patch.multiple(json_cut, WHOLE_BYTES=0, PIECE_BYTES=4):
        try:
            list(json_cut.documents(bytearray(text.encode()), "traces", 1000))
        except Refused:
            return


def test_an_item_that_is_too_large_is_left_out_and_its_neighbours_are_not():
    layout = [("r", [("s", ["a", "b" * 5000, "c"]), ("t", ["d"])]), ("q" * 5000, [("u", ["e", "f"])])]
    with mock.patch.multiple(protobuf_cut, PIECE_BYTES=100, ITEM_BYTES=1000):
        found = list(protobuf_cut.pieces(message(layout).SerializeToString(), "traces", 1000))
    taken = [
        span for piece in found if piece.body for span in spans_of(ExportTraceServiceRequest.FromString(piece.body))
    ]
    assert [name for *_, name in taken] == ["a", "c", "d"]
    assert sum(piece.items for piece in found if piece.body is None) == 3
    body = bytearray(json.dumps(document(layout)).encode())
    with mock.patch.multiple(
        json_cut, WHOLE_BYTES=1, PIECE_BYTES=100, ITEM_BYTES=1000, _PER_VALUE=0, _parsed=orjson.loads
    ):
        parts = list(json_cut.documents(body, "traces", 1000))
    assert [name for part in parts if part.value for *_, name in json_spans_of(part.value)] == ["a", "c", "d"]
    assert sum(part.items for part in parts if part.value is None) == 3


def test_a_large_resource_is_not_repeated_for_each_few_spans():
    whole = message([("r" * 1_000_000, [("s", ["n" * 1000] * 2000)])])
    body = whole.SerializeToString()
    assert sum(len(piece.body) for piece in protobuf_cut.pieces(body, "traces", 10_000)) < 3 * len(body)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63 - 1])
def test_numbers_are_written_as_protobuf_writes_them(number):
    span = message([("r", [("s", ["n"])])]).resource_spans[0].scope_spans[0].spans[0]
    span.ClearField("name")
    span.ClearField("trace_id")
    span.dropped_attributes_count = number if number < 2**32 else 0
    if 0 < number < 2**32:
        assert span.SerializeToString() == b"\x50" + varint(number)
    assert protobuf_cut._varint(memoryview(varint(number)), 0) == (number, len(varint(number)))
