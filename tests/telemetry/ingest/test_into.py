"""Into a store: sealed on the way, once each, in little memory."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys

import duckdb
import pytest

from tele.store.layout import prepare
from tele.store.manifest import load
from tele.store.reader import open_store
from tele.telemetry.ingest import digests, driver, into
from tele.telemetry.ingest.into import ingest_into

SELECT = "SELECT name, i AS seed, text AS input FROM source"


@pytest.fixture
def layout(tmp_path):
    return prepare(tmp_path / ".tele")


@pytest.fixture
def table(tmp_path):
    def write(rows, name="calls.parquet"):
        path = tmp_path / name
        duckdb.sql(
            f"SELECT 'n' || i AS name, i, repeat(md5(i::VARCHAR), 30) AS text FROM range({rows}) t(i)"
        ).write_parquet(str(path))
        return path

    return write


def seeds(layout):
    with open_store(layout.root) as store:
        return [seed for (seed,) in store.rows("SELECT seed FROM events ORDER BY seed")]


@pytest.fixture
def short_journals(monkeypatch):
    monkeypatch.setattr(into, "JOURNAL_BYTES", 200_000)
    monkeypatch.setattr(into, "SMALL_BYTES", 1)


def unsealed(layout):
    state = load(layout)
    sealed = {f"{writer}.jsonl": journal.offset for writer, journal in state.journals.items()}
    return [path.name for path in layout.journals.glob("w*.jsonl") if sealed.get(path.name) != path.stat().st_size]


def locked(path):
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_long_ingest_is_sealed_on_the_way_and_its_full_journals_are_let_go(
    layout, table, short_journals, monkeypatch
):
    monkeypatch.setattr(driver, "BATCH", 50)
    monkeypatch.setattr(driver, "TOLD_EVERY", 50)
    seen = []

    def look(_file, _records):
        seen.append(sum(locked(path) for path in layout.journals.glob("w*.jsonl")))

    report = ingest_into(layout, [table(500)], experiment="x", select=SELECT, on_progress=look)

    journals = list(layout.journals.glob("w*.jsonl"))
    assert report.added == 500
    assert seeds(layout) == list(range(500))
    assert len(journals) > 1
    assert max(seen) <= 1, "only the journal that is being written is held"
    assert unsealed(layout) == []


def test_where_no_process_can_be_started_the_ingest_seals_at_its_end(layout, table, short_journals, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)

    report = ingest_into(layout, [table(300)], experiment="x", select=SELECT)

    assert (report.added, seeds(layout), unsealed(layout)) == (300, list(range(300)), [])


def test_reading_again_adds_nothing_whether_it_is_sealed_or_not(layout, table, monkeypatch):
    monkeypatch.setattr(into, "seal", lambda *_a, **_k: None)
    path = table(300)

    first = ingest_into(layout, [path], experiment="x", select=SELECT)
    from_the_journal = ingest_into(layout, [path], experiment="x", select=SELECT)
    monkeypatch.undo()
    more = ingest_into(layout, [table(310, "more.parquet")], experiment="x", select=SELECT)
    from_the_segments = ingest_into(layout, [path], experiment="x", select=SELECT)

    assert [(r.added, r.duplicates) for r in (first, from_the_journal, more, from_the_segments)] == [
        (300, 0),
        (0, 300),
        (10, 300),
        (0, 300),
    ]
    assert seeds(layout) == list(range(310))


def test_equal_rows_far_apart_stay_distinct_and_go_in_once(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "BATCH", 10)
    monkeypatch.setattr(digests, "RECENT", 1)
    path = tmp_path / "calls.csv"
    path.write_text("m\n" + "".join(f"{number % 40}\n" for number in range(120)))

    first = ingest_into(layout, [path], experiment="x", select="SELECT m AS model FROM source")
    second = ingest_into(layout, [path], experiment="x", select="SELECT m AS model FROM source")

    with open_store(layout.root) as store:
        rows = store.rows("SELECT count(*), count(DISTINCT event_id), count(DISTINCT model) FROM events")
    assert [(r.added, r.duplicates) for r in (first, second)] == [(120, 0), (0, 120)]
    assert rows == [(120, 120, 40)]


def test_an_id_that_the_source_gives_twice_is_one_event_however_far_apart(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "BATCH", 10)
    path = tmp_path / "calls.csv"
    path.write_text("e\n" + "".join(f"id-{number % 40}\n" for number in range(100)))

    report = ingest_into(layout, [path], experiment="x", select="SELECT e AS event_id FROM source")

    with open_store(layout.root) as store:
        assert store.rows("SELECT count(*), count(DISTINCT event_id) FROM events") == [(40, 40)]
    assert (report.added, report.duplicates) == (40, 60)


def test_a_batch_is_bounded_by_what_its_records_hold(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "BATCH_BYTES", 10_000)
    sizes = []
    flush = driver._Run._flush

    def counted(run, batch, *rest):
        sizes.append(len(batch))
        flush(run, batch, *rest)

    monkeypatch.setattr(driver._Run, "_flush", counted)
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps({"a": {"t": ["x" * 4000]}}) + "\n" for _ in range(10)))

    ingest_into(layout, [path], experiment="x", select="SELECT a AS attributes FROM source")

    assert sizes == [3, 3, 3, 1], "4 kB each, up to the first that reaches 10 kB"


# Between the two stands a small process: what is spawned counts the memory of the one that spawned it.
MEASURED = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(pid, 0)
assert status == 0
print(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.long
def test_the_memory_of_an_ingest_does_not_grow_with_its_rows(tmp_path, table):
    peaks = []
    for rows in (100_000, 400_000):
        arguments = ["ingest", str(table(rows)), "--select", SELECT, "--experiment", "x"]
        command = [sys.executable, "-c", MEASURED, "-m", "tele", *arguments, "--store", str(tmp_path / str(rows))]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peaks.append(int(said.splitlines()[-1]))

    assert max(peaks) < 1 << 30
    assert peaks[1] < peaks[0] * 1.5
