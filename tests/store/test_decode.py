"""Lines of journals as rows, handed to DuckDB in parts."""

from __future__ import annotations

import duckdb
import orjson
import pytest

from tele.store import decode
from tele.store.columns import SCHEMA_VERSION


def line(number):
    return orjson.dumps({"event_id": f"e{number}", "kind": "event", "name": "n" * (number % 7), "start_ns": number})


@pytest.mark.parametrize("size", [1, 100, 1_000, 10**9])
def test_rows_stand_in_the_order_of_the_lines_whatever_the_parts_and_odd_lines_are_named(monkeypatch, size):
    monkeypatch.setattr(decode, "_SLICE", size)
    batches = [
        ("a", [*map(line, range(20)), b"no json"]),
        ("b", []),
        ("c", [b"{", *map(line, range(20, 25))]),
    ]

    with duckdb.connect() as con:
        odd = decode.fill(con, "t", batches, version=SCHEMA_VERSION)
        rows = con.execute("SELECT writer, event_id, start_ns FROM t").fetchall()
        con.execute("CREATE VIEW lines AS SELECT 1")  # the name is free again: nothing holds the text of the lines

    assert rows == [("a" if n < 20 else "c", f"e{n}", n) for n in range(25)]
    assert odd == [("a", b"no json"), ("c", b"{")]
