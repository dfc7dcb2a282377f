"""The wire format against protobuf's own encoder."""

from __future__ import annotations

import pytest
from google.protobuf.internal.decoder import _DecodeVarint
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tele.telemetry.ingest.wire import WireError, fields, signed, varint


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_what_protobuf_writes(value):
    data = _VarintBytes(value)

    assert varint(data + b"x", 0) == _DecodeVarint(data, 0) == (value, len(data))
    with pytest.raises(WireError):
        varint(data[:-1], 0)


def test_the_fields_of_a_message_stand_in_order():
    span = Span(trace_id=b"1" * 16, span_id=b"2" * 8, name="n", kind=3, start_time_unix_nano=5)

    found = [(number, value) for number, _, value in fields(span.SerializeToString())]

    assert found == [(1, b"1" * 16), (2, b"2" * 8), (5, b"n"), (6, 3), (7, (5).to_bytes(8, "little"))]


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(data):
    try:
        assert all(field.number > 0 for field in fields(data))
    except WireError:
        pass


@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_numbers_are_written_in_twos_complement(value):
    assert signed(value % (1 << 64)) == value
