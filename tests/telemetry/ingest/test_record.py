"""What all readers share: ids of every spelling, and what is odd about a span."""

from __future__ import annotations

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ingest.record import RecordError, Span, foreign_id, hex_id, span_record


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_the_same_in_every_spelling(data):
    hexed = data.hex()
    plain, url = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    spelled = [hexed, hexed.upper(), f"0x{hexed}", int(hexed, 16), plain, url]
    if set(plain.lower().rstrip("=")) - set("0123456789abcdef"):  # else it is shorter hex without its zeros
        spelled.append(plain.rstrip("="))

    assert [hex_id(each, 32, "id") for each in spelled] == [hexed] * len(spelled)


@given(st.binary(min_size=8, max_size=8))
def test_a_span_id_in_base64_keeps_its_padding_apart_from_hex(data):
    assert hex_id(base64.b64encode(data).decode(), 16, "id") == data.hex()


@pytest.mark.parametrize("value", ["xyz", "é" * 22, "=" * 24, 1.5, True, [], -1, 1 << 200, "AAAA"])
def test_what_is_no_id_says_so(value):
    with pytest.raises(RecordError, match="is not an id of 32 hex digits"):
        hex_id(value if value != "AAAA" else "AAAAg", 32, "id")


def test_a_foreign_id_keeps_hex_and_uuids_and_hashes_other_text():
    own = uuid.UUID(int=7)

    assert foreign_id(str(own), 32) == own.hex
    assert foreign_id("ABCDEF0123456789", 16) == "abcdef0123456789"
    assert foreign_id("chatcmpl-1", 16) == foreign_id("chatcmpl-1", 16) != foreign_id("chatcmpl-2", 16)
    assert len(foreign_id("chatcmpl-1", 32)) == 32
    assert foreign_id(None, 16) is None


@pytest.mark.parametrize(
    ("start", "end", "stated", "flags"),
    [
        (10, 20, None, None),
        (20, 10, None, ["negative_duration"]),
        (1, 1 + 31 * 86_400 * 10**9, None, ["absurd_duration"]),
        (10**9, 2 * 10**9, 1000.5, None),
        (10**9, 2 * 10**9, 1.0, ["duration_differs"]),
        (None, None, -3.0, ["no_start", "no_end", "negative_duration"]),
    ],
)
def test_what_is_odd_about_the_times_is_flagged_and_nothing_is_dropped(start, end, stated, flags):
    ids = {"trace_id": "1" * 32, "span_id": "2" * 16, "parent_id": None}

    record = span_record(Span(**ids, name="n", start_ns=start, end_ns=end, duration_ms=stated))

    assert record.get("attributes", {}).get("tele.flags") == flags
    assert (record.get("start_ns"), record.get("end_ns"), record.get("duration_ms")) == (start, end, stated)
