"""The short way and the long way of a record give the same JSON for what both can take."""

from __future__ import annotations

import hashlib
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.telemetry.encode import _long_way, encode
from tele.telemetry.redact import secret_key

SECRET = "sk-" + "proj-" + "a1B2c3D4" * 5


def put(body):
    return hashlib.sha256(body).hexdigest()


def keep_nothing(body):
    raise AssertionError(f"a small record needs no blob: {body[:50]!r}")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.uuids()
    | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, -0.0, 1e300, "\x7f", "\u2028"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["password", "api_key", "author"]), inner, max_size=4)
    ),
    max_leaves=12,
)
RECORDS = st.fixed_dictionaries(
    {"event_id": st.just("0" * 32), "kind": st.just("span"), "name": st.text(max_size=10)},
    optional={
        "start_ns": st.integers(0, 2**62),
        "attributes": st.dictionaries(st.text(max_size=8), VALUES, max_size=5),
        "input": VALUES,
        "output": VALUES,
        "tags": st.lists(st.text(max_size=5), max_size=3),
        "model": st.text(max_size=10),
        "cost_usd": st.floats(allow_nan=False, allow_infinity=False),
    },
)


@settings(max_examples=500, deadline=None)
@given(RECORDS)
def test_the_short_way_says_what_the_long_way_says(record):
    assert json.loads(encode(record, keep_nothing, b"k")) == json.loads(_long_way(record, keep_nothing, b"k"))


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_no_value_stands_under_a_secret_key(record):
    def check(value):
        if isinstance(value, dict):
            for key, item in value.items():
                assert (
                    not secret_key(key)
                    or item is None
                    or isinstance(item, bool)
                    or "[REDACTED" in str(item)
                    or (isinstance(item, (int, float)) and "token" in key.lower())
                )
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(json.loads(encode(record, put, b"k")))


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("Cs", "L", "N", "Pc", "Pd")), max_size=5),
    st.sampled_from(["\n", "\t", "\r", "\b", "\f", "\0", "\x1f", '"', "\\", " ", "é ", ""]),
    st.text(max_size=5),
)
def test_a_secret_is_found_behind_whatever_json_escapes(before, between, after):
    record = {"attributes": {"x": before + between + SECRET + " " + after}}
    assert SECRET.encode() not in encode(record, put, b"k")


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_a_record_is_one_line_of_json_in_utf_8(record):
    body = encode(record, put, b"k")
    assert b"\n" not in body
    assert isinstance(json.loads(body.decode("utf-8"), parse_constant=pytest.fail), dict)


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 2**64])
def test_integers_beyond_64_bits_are_marked_on_both_ways(number):
    expected = number if number < 2**63 else {"$int": str(number)}
    for way in (encode, _long_way):
        assert json.loads(way({"attributes": {"n": number}}, put, b"k")) == {"attributes": {"n": expected}}


def test_what_orjson_would_pass_on_unread_is_read():
    record = {"attributes": {"x": orjson.Fragment(b'1}\n{"kind":"span"')}}
    body = encode(record, put, b"k")
    assert b"\n" not in body
    json.loads(body)


@pytest.mark.parametrize(
    "value", [({"password": "hunter2"},), [({"a": ({"api_key": "hunter2"},)},)], (["x"], {"jwt": "hunter2"})]
)
def test_keys_inside_tuples_are_looked_at(value):
    assert b"hunter2" not in encode({"attributes": {"x": value}}, put, b"k")


def test_a_body_that_repeats_null_is_written_as_null():
    assert json.loads(encode({"attributes": {"a": None, "b": "null"}}, put, b"k")) == {
        "attributes": {"a": None, "b": "null"}
    }
