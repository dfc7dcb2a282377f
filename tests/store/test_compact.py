"""Compaction: fewer files, the same rows, and no reader that notices."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tele.errors import DamagedFile
from tele.store import compact as compaction
from tele.store import sweep, workbench
from tele.store.compact import compact, groups
from tele.store.journal import Journal
from tele.store.layout import Layout, prepare
from tele.store.manifest import load
from tele.store.names import experiment_id
from tele.store.reader import open_store
from tele.store.seal import due, seal
from tele.store.stats import stats

ALL = "SELECT count(*), count(DISTINCT event_id), sum(hash(event_id, name, start_ns, attributes)) FROM events"


def segments(layout: Layout, numbers: range, *, experiment: str = "x", step_ns: int = 1_000) -> None:
    """One segment for each number, ten spans in each; `step_ns` apart."""
    for number in numbers:
        journal = Journal(layout)
        for k in range(10):
            event, at = number * 10 + k, (number * 10 + k) * step_ns
            facts = {
                "experiment": experiment,
                "experiment_id": experiment_id(experiment),
                "kind": "span",
                "status": "ok",
            }
            row = {"event_id": f"{event:032x}", "name": f"n{event}", "start_ns": at, "end_ns": at + 5, **facts}
            journal.append(json.dumps({**row, "attributes": {"n": event}}).encode()[:-1])
        journal.close()
        seal(layout)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return prepare(tmp_path / ".tele")


def test_small_segments_become_one_with_the_same_rows_in_the_order_of_time(layout):
    segments(layout, range(5))
    with open_store(layout.root) as store:
        before = store.rows(ALL)
    report = compact(layout)
    assert (report.before, report.after, report.rows) == (5, 1, 50)
    with open_store(layout.root) as store:
        assert store.rows(ALL) == before
        [segment] = store.state.segments.values()
    table = pq.read_table(layout.root / segment.path, columns=["start_ns", "name"])
    assert table.column("name").to_pylist() == [f"n{n}" for n in range(50)]
    assert sorted(segment.ranges.values()) == [[[1, 10]]] * 5


def test_rows_that_overlap_in_time_are_sorted_again(layout):
    segments(layout, range(2), step_ns=1_000)
    segments(layout, range(2, 4), step_ns=100)
    compact(layout)
    [segment] = load(layout).segments.values()
    starts = pq.read_table(layout.root / segment.path, columns=["start_ns"]).column(0).to_pylist()
    assert starts == sorted([n * 1_000 for n in range(20)] + [n * 100 for n in range(20, 40)])


def test_experiments_stay_apart_and_large_segments_are_left_alone(layout):
    segments(layout, range(3), experiment="a")
    segments(layout, range(3, 6), experiment="b")
    report = compact(layout, target_rows=30)
    assert (report.before, report.after) == (6, 2)
    assert compact(layout, target_rows=30).before == 0
    assert {s.experiment_id for s in load(layout).segments.values()} == {experiment_id("a"), experiment_id("b")}


def test_no_file_grows_beyond_the_target(layout):
    segments(layout, range(7))
    compact(layout, target_rows=30)
    assert sorted(segment.rows for segment in load(layout).segments.values()) == [10, 30, 30]


def test_a_reader_that_began_before_reads_on_and_its_files_wait_for_it(layout, monkeypatch):
    segments(layout, range(3))
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0)
    old = open_store(layout.root)
    before = old.rows(ALL)
    compact(layout)
    time.sleep(0.002)
    seal(layout)
    assert old.rows(ALL) == before
    assert len(list(layout.segments.rglob("*.parquet"))) == 4
    old.close()
    assert due(layout)
    seal(layout)
    assert len(list(layout.segments.rglob("*.parquet"))) == 1
    assert load(layout).retired == {}


def test_replaced_files_stay_for_the_grace_period(layout):
    segments(layout, range(3))
    compact(layout)
    seal(layout)
    assert len(list(layout.segments.rglob("*.parquet"))) == 4
    assert not due(layout)
    assert stats(layout).sizes["removed"] > 0


def test_a_dead_reader_holds_nothing_up(layout, monkeypatch):
    segments(layout, range(3))
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0)
    (layout.readers / "000000000001-1-0123456789ab").touch()
    compact(layout)
    time.sleep(0.002)
    seal(layout)
    assert len(list(layout.segments.rglob("*.parquet"))) == 1
    assert list(layout.readers.iterdir()) == []


def test_a_damaged_segment_is_never_folded_into_a_sound_one(layout):
    segments(layout, range(3))
    path = layout.root / next(iter(load(layout).segments))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="SHA-256"):
        compact(layout)
    assert len(load(layout).segments) == 3


def test_rows_without_a_time_are_kept(layout):
    segments(layout, range(2))
    journal = Journal(layout)
    journal.append(json.dumps({"event_id": "f" * 32, "kind": "event", "name": "x", "experiment": "x"}).encode()[:-1])
    journal.append(json.dumps({"event_id": "e" * 32, "kind": "event", "name": "timeless"}).encode()[:-1])
    journal.close()
    seal(layout)
    compact(layout)
    with open_store(layout.root) as store:
        assert store.rows("SELECT count(*) FROM events") == [(22,)]


def test_a_group_is_of_one_experiment_and_of_neighbours_in_time(layout):
    segments(layout, range(4))
    state = load(layout)
    [group] = groups(state, 100)
    assert [segment.min_ns for segment in group] == [0, 10_000, 20_000, 30_000]
    assert [len(group) for group in groups(state, 20)] == [2, 2]


def long_rows(layout: Layout, rows: int, size: int, *, first: int = 0, step: int = 1) -> None:
    """Segments of calls whose prompts have about `size` bytes each; `step` nanoseconds apart."""
    journal = Journal(layout, "buffered")
    for n in range(first, first + rows * step, step):
        facts = {"experiment": "x", "experiment_id": experiment_id("x"), "kind": "span", "name": "chat", "status": "ok"}
        prompt = f"{n:>8} a word of the prompt " * (size // 30)
        row = {"event_id": f"{n:032x}", "start_ns": n, "end_ns": n + 5, **facts, "input": prompt}
        journal.append(json.dumps(row).encode()[:-1])
        if n // step % (rows // 4) == 0:
            journal.flush()
            seal(layout)
    journal.close()
    seal(layout)


def test_calls_with_long_prompts_are_compacted_within_the_memory_that_there_is(layout, monkeypatch):
    long_rows(layout, 10_000, 25_000)
    with open_store(layout.root) as store:
        before = store.rows("SELECT count(*), sum(strlen(input)), bit_xor(hash(input)) FROM events")
    monkeypatch.setattr(workbench, "MEMORY_LIMIT", "200MB")  # a group of 10,000 such rows alone takes 250
    report = compact(layout)
    [segment] = load(layout).segments.values()
    groups_of = pq.read_metadata(layout.root / segment.path)
    assert (report.rows, report.after) == (10_000, 1)
    assert max(groups_of.row_group(n).num_rows for n in range(groups_of.num_row_groups)) < 5_000
    assert segment.text_bytes == pytest.approx(before[0][1], rel=0.01)
    with open_store(layout.root) as store:
        assert store.rows("SELECT count(*), sum(strlen(input)), bit_xor(hash(input)) FROM events") == before


def test_calls_with_long_prompts_of_two_writers_at_a_time_are_sorted_within_the_memory_that_there_is(
    layout, monkeypatch
):
    for writer in range(2):
        long_rows(layout, 3_000, 20_000, first=writer, step=2)
    with open_store(layout.root) as store:
        before = store.rows("SELECT count(*), sum(strlen(input)), bit_xor(hash(input)) FROM events")
    monkeypatch.setattr(workbench, "MEMORY_LIMIT", "100MB")  # all rows together are 120
    monkeypatch.setattr(compaction, "_WIDE_BYTES", 40_000_000)  # as 256 MiB are to the memory of a compaction
    report = compact(layout)
    assert report.before > report.after > 1
    with open_store(layout.root) as store:
        assert store.rows("SELECT count(*), sum(strlen(input)), bit_xor(hash(input)) FROM events") == before
    for segment in load(layout).segments.values():
        starts = pq.read_table(layout.root / segment.path, columns=["start_ns"])["start_ns"].to_pylist()
        assert starts == sorted(starts)


def test_rows_that_are_too_long_to_hold_thousands_of_them_are_left_as_they_are(layout):
    long_rows(layout, 80, 100_000)
    segments(layout, range(2))
    small = [s for s in load(layout).segments.values() if s.width < 1000]
    assert compact(layout).before == len(small) == 2
    assert sum(s.rows for s in load(layout).segments.values() if s.width > 90_000) == 80
