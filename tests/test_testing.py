"""What we ship for the tests of others."""

from __future__ import annotations

import pytest

import tele
from tele.telemetry.ambient import ambient
from tele.telemetry.process import process
from tele.testing import CountingIds, FrozenClock, temporary_store


def settings():
    return process.settings, ambient.now, ambient.monotonic, ambient.ids


def test_a_clock_moves_only_when_told():
    clock = FrozenClock(5)
    assert (clock(), clock()) == (5, 5)
    clock.advance(0.5)
    assert clock() == 500_000_005


def test_ids_count_up_each_by_itself():
    ids = CountingIds()
    assert [ids.event(0), ids.event(9), ids.trace(0), ids.span(), ids.run(0)] == [
        f"{1:032x}",
        f"{2:032x}",
        f"{1:032x}",
        f"{1:016x}",
        f"r{1:020x}",
    ]


def test_the_fixture_records_into_a_store_of_its_own(tele_store):
    tele.event("e")
    assert tele_store.rows("SELECT name FROM events") == [("e",)]
    assert process.settings.store == tele_store.path


def test_everything_is_as_before_afterwards_also_after_an_error(tmp_path):
    before = settings()

    def fails():
        with temporary_store(tmp_path / "a", frozen=True):
            tele.configure(durability="fsync", sampling_rate=0.5, record_host=True)
            tele.event("e")
            raise ValueError

    with pytest.raises(ValueError):
        fails()
    assert settings() == before
    assert tele.dropped() == {}


def test_a_store_within_a_store_gives_the_outer_one_back(tmp_path):
    with temporary_store(tmp_path / "outer") as outer:
        tele.event("first")
        with temporary_store(tmp_path / "inner") as inner:
            tele.event("second")
            assert inner.rows("SELECT name FROM events") == [("second",)]
        tele.event("third")
        assert outer.rows("SELECT name FROM events ORDER BY seq") == [("first",), ("third",)]


def test_two_runs_with_frozen_time_are_equal():
    found = []
    for _ in range(2):
        with temporary_store(frozen=True) as store:
            with tele.experiment("e") as run, tele.span("s"):
                store.clock.advance(1)
            rows = store.rows("SELECT event_id, start_ns, trace_id, span_id, duration_ms FROM spans")
            found.append((run.run_id, rows))
    assert found[0] == found[1]


def test_sealing_is_left_to_the_test(tele_store):
    with tele.experiment("e"):
        pass
    assert list((tele_store.path / "segments").iterdir()) == []
    before = tele_store.rows("SELECT event_id, name FROM events ORDER BY event_id")
    tele_store.seal()
    assert list((tele_store.path / "segments").iterdir()) != []
    assert tele_store.rows("SELECT event_id, name FROM events ORDER BY event_id") == before


def test_the_store_is_gone_afterwards_unless_it_was_named(tmp_path):
    with temporary_store() as unnamed:
        tele.event("e")
    with temporary_store(tmp_path / "kept") as named:
        tele.event("e")
    assert (unnamed.path.exists(), named.path.exists()) == (False, True)
