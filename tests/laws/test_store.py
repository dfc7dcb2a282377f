"""Laws of the store: what is written is read back, and neither sealing nor the order of arrival changes an answer."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tele.store.journal import Journal
from tele.store.layout import prepare
from tele.store.reader import open_store
from tele.store.seal import seal

TEXT = st.text(max_size=40)  # hypothesis leaves surrogates out of text() by default
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NS = st.integers(0, 4_000_000_000_000_000_000)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": TEXT,
            "start_ns": NS,
            "duration": st.integers(0, 10**12),
            "attributes": st.dictionaries(TEXT, JSON, max_size=4),
        },
        optional={
            "item_id": TEXT,
            "replicate": st.integers(-(2**63), 2**63 - 1),
            "cost_usd": st.floats(0, 1e6),
            "tags": st.lists(TEXT, max_size=3),
            "success": st.booleans(),
            "input": JSON,
        },
    ),
    max_size=12,
)


def record(number: int, row: dict) -> dict:
    """One span of the law's row, as a writer would put it."""
    span = {
        "event_id": f"{number:032x}",
        "kind": "span",
        "span_id": f"{number:016x}",
        "trace_id": f"{number:032x}",
        "status": "ok",
    }
    rest = {key: value for key, value in row.items() if key != "duration"}
    return span | rest | {"end_ns": row["start_ns"] + row["duration"]}


def write(folder: Path, records: list[dict]) -> None:
    journal = Journal(prepare(folder))
    for one in records:
        journal.append(json.dumps(one).encode()[:-1])
    journal.close()


def read(folder: Path) -> dict[str, dict]:
    columns = (
        "event_id, name, start_ns, end_ns, duration_ms, attributes, item_id, replicate, cost_usd, tags, success, input"
    )
    with open_store(folder) as store:
        assert store.damage == ()
        rows = store.rows(f"SELECT {columns} FROM events")
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: dict(zip(columns.split(", "), row, strict=True)) for row in rows}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS)
def test_reading_what_was_written_gives_it_back(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".tele"
        records = [record(number, row) for number, row in enumerate(rows)]
        write(path, records)
        found = read(path)
    assert found.keys() == {one["event_id"] for one in records}
    for one in records:
        back = found[one["event_id"]]
        for column in ("name", "start_ns", "end_ns", "item_id", "replicate", "cost_usd", "tags", "success"):
            assert back[column] == one.get(column), column
        assert json.loads(back["attributes"]) == one["attributes"]
        assert back["duration_ms"] == (one["end_ns"] - one["start_ns"]) / 1e6
        if one.get("input") is not None:
            assert json.loads(back["input"]) == one["input"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.integers(0, 2**32), st.integers(0, 12))
def test_sealing_at_any_point_and_the_order_of_arrival_change_no_answer(rows, seed, cut):
    records = [record(number, row) for number, row in enumerate(rows)]
    shuffled = records.copy()
    random.Random(seed).shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        plain, sealed = Path(folder) / "plain", Path(folder) / "sealed"
        write(plain, records)
        write(sealed, shuffled[:cut])
        seal(prepare(sealed))
        write(sealed, shuffled[cut:])
        assert read(sealed) == read(plain)
        seal(prepare(sealed))
        assert read(sealed) == read(plain)
