"""Pruning: whole runs go, and an event says so."""

from __future__ import annotations

import time

import pytest

import tele
from tele.store import sweep
from tele.store.check import check
from tele.store.layout import Layout, open_layout, prepare
from tele.store.manifest import load
from tele.store.prune import prune
from tele.store.reader import open_store
from tele.store.seal import seal
from tele.testing import temporary_store

RUNS = "SELECT condition, status, n_spans FROM runs ORDER BY condition"


@pytest.fixture
def layout(tmp_path, monkeypatch) -> Layout:
    """Runs a, b and c of one experiment, sealed together; each with a body of its own and a shared one."""
    monkeypatch.setattr("tele.store.prune.YOUNG_SECONDS", 0)
    path = tmp_path / ".tele"
    with temporary_store(path):
        for condition in "abc":
            with tele.experiment("x", condition=condition):
                for item in range(3):
                    with tele.span("work", item_id=str(item)):
                        pass
                with tele.span("big", input="shared " * 10_000, output=condition * 50_000):
                    pass
        tele.flush()
        seal(prepare(path))
    return open_layout(path)


def after_run_a(layout: Layout) -> int:
    with open_store(layout.root) as store:
        return store.rows("SELECT min(start_ns) FROM events WHERE condition = 'b'")[0][0]


def pass_grace(layout: Layout, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0)
    time.sleep(0.002)
    seal(layout)


def test_a_run_older_than_that_goes_whole_and_is_told(layout):
    report = prune(layout, older_than_ns=after_run_a(layout))
    assert [(unit.condition, unit.rows) for unit in report.units] == [("a", 7)]
    with open_store(layout.root) as store:
        assert store.rows(RUNS) == [("a", "pruned", 0), ("b", "stopped", 4), ("c", "stopped", 4)]
        told = store.rows("""SELECT experiment, condition, (attributes->>'$.rows')::INT FROM events
                             WHERE name = 'tele.experiment.pruned'""")
        assert told == [("x", "a", 7)]
    assert check(layout.root, deep=True).ok


def test_a_dry_run_says_the_same_and_changes_nothing(layout):
    before = load(layout)
    would = prune(layout, older_than_ns=after_run_a(layout), dry_run=True)
    assert load(layout) == before
    assert would.units == prune(layout, older_than_ns=after_run_a(layout)).units


def test_space_comes_back_after_the_grace_period_with_the_bodies_that_nobody_refers_to(layout, monkeypatch):
    bodies = len(list(layout.blobs.glob("??/*")))
    report = prune(layout, older_than_ns=after_run_a(layout))
    assert (bodies, report.blobs) == (4, 1)
    assert len(list(layout.blobs.glob("??/*"))) == 4
    pass_grace(layout, monkeypatch)
    assert len(list(layout.blobs.glob("??/*"))) == 3
    assert {str(p.relative_to(layout.root)) for p in layout.segments.rglob("*.parquet")} == set(load(layout).segments)
    assert check(layout.root, deep=True).ok


def test_a_body_that_is_written_again_within_the_grace_period_stays(layout, monkeypatch):
    prune(layout, older_than_ns=after_run_a(layout))
    with temporary_store(layout.root), tele.span("again", output="a" * 50_000):
        pass
    pass_grace(layout, monkeypatch)
    with open_store(layout.root) as store:
        [(reference,)] = store.rows("SELECT output FROM events WHERE name = 'again'")
        assert store.blob(reference) == b'"' + b"a" * 50_000 + b'"'


def test_the_oldest_runs_go_until_the_store_is_small_enough(layout):
    whole = prune(layout, max_bytes=10**9, dry_run=True).size
    report = prune(layout, max_bytes=whole - 1)
    assert [unit.condition for unit in report.units] == ["a"]
    assert prune(layout, max_bytes=10**9).units == ()


def test_a_living_run_and_what_was_pruned_before_are_not_touched(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path):
        with tele.experiment("x", condition="done"):
            tele.event("e")
        with tele.experiment("x", condition="alive"):
            tele.event("e")
            tele.flush()
            report = prune(open_layout(path), older_than_ns=2**62)
            assert [unit.condition for unit in report.units] == ["done"]
            assert prune(open_layout(path), older_than_ns=2**62).units == ()
            with open_store(path) as store:
                assert store.rows("SELECT condition, status FROM runs ORDER BY 1") == [
                    ("alive", "running"),
                    ("done", "pruned"),
                ]


def test_a_reader_that_began_before_still_has_its_rows(layout, monkeypatch):
    with open_store(layout.root) as old:
        prune(layout, older_than_ns=2**62)
        pass_grace(layout, monkeypatch)
        assert old.rows("SELECT count(*) FROM spans") == [(12,)]
        [(body,)] = old.rows("SELECT output FROM spans WHERE name = 'big' AND condition = 'a'")
        assert old.blob(body) == b'"' + b"a" * 50_000 + b'"'


def test_a_body_that_stands_for_a_long_attribute_is_kept(layout, monkeypatch):
    with temporary_store(layout.root), tele.experiment("y"), tele.span("long", attributes={"text": "t" * 100_000}):
        pass
    seal(layout)
    prune(layout, older_than_ns=after_run_a(layout))
    pass_grace(layout, monkeypatch)
    report = check(layout.root, deep=True)
    assert (report.findings, report.notes) == ((), ())


def test_a_young_body_is_not_taken_for_one_that_nobody_refers_to(layout, monkeypatch):
    monkeypatch.undo()
    assert prune(layout, older_than_ns=after_run_a(layout)).blobs == 0
