"""Lines of journals as rows, handed to DuckDB where they stand."""

from __future__ import annotations

from array import array

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.store import decode
from tele.store.columns import SCHEMA_VERSION
from tele.store.line import Lines


def line(number):
    return orjson.dumps({"event_id": f"e{number}", "kind": "event", "name": "n" * (number % 7), "start_ns": number})


def spread(lines):
    """The same lines with something between them that is none."""
    text, starts, stops = b"\xff junk", array("q"), array("q")
    for one in lines:
        starts.append(len(text))
        text += one
        stops.append(len(text))
        text += b'\n{"event_id": "damaged"}\n'
    return Lines(text, starts, stops)


@pytest.mark.parametrize("held", [Lines.of, spread])
def test_rows_stand_in_the_order_of_the_lines_and_odd_lines_are_named(held):
    batches = [
        ("a", held([*map(line, range(20)), b"no json"])),
        ("b", held([])),
        ("c", held([b"{", *map(line, range(20, 25))])),
    ]

    with duckdb.connect() as con:
        odd = decode.fill(con, "t", batches, version=SCHEMA_VERSION)
        rows = con.execute("SELECT writer, event_id, start_ns FROM t").fetchall()
        con.execute("CREATE VIEW lines AS SELECT 1")  # the name is free again: nothing holds the text of the lines

    assert rows == [("a" if n < 20 else "c", f"e{n}", n) for n in range(25)]
    assert odd == [("a", b"no json"), ("c", b"{")]


@given(st.lists(st.binary(max_size=6)), st.slices(8))
def test_lines_are_the_sequence_that_they_were_made_of(held, part):
    for found in (Lines.of(held), spread(held), spread(held).adjacent()):
        assert list(found) == held
        assert [found[n] for n in range(-len(held), len(held))] == held + held
        assert list(found[part]) == held[part]
        assert (len(found), found.size) == (len(held), sum(map(len, held)))
