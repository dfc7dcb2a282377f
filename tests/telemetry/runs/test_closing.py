"""A milestone that is finished is closed to other processes too, from the next time that they join it."""

from __future__ import annotations

import threading

import pytest

import tele
from tele.telemetry.process import process
from tele.telemetry.runs.closing import Closing


@pytest.fixture
def another_process(monkeypatch):
    """Forget what this process knows of its runs, as a process that was started later never knew."""
    return lambda: monkeypatch.setattr(process, "closing", Closing())


def _finished(name="m", **more):
    with tele.experiment(name, run_type="milestone", snapshot=False, **more) as run, tele.span("within"):
        carrier = tele.propagate()
    return run, carrier


def _names(tele_store, run_id):
    return {name for (name,) in tele_store.rows(f"SELECT name FROM events WHERE run_id = '{run_id}'")}


@pytest.mark.parametrize("reverse", [False, True], ids=["as propagated", "members in another order"])
def test_who_joins_a_finished_milestone_writes_nothing_into_it_and_hears_of_it(
    tele_store, another_process, caplog, reverse
):
    run, carrier = _finished(condition="a")
    another_process()
    if reverse:
        carrier["BAGGAGE"] = ",".join(reversed(carrier["BAGGAGE"].split(",")))
    with tele.attach(carrier):
        with tele.span("late span"):
            tele.event("late event")
        tele.metric("late metric", 1)
    assert sum(tele.dropped().values()) == 3
    assert len([record for record in caplog.records if "milestone is closed" in record.message]) == 1
    assert not {"late span", "late event", "late metric"} & _names(tele_store, run.run_id)
    assert tele_store.rows("SELECT written_late FROM runs") == [(False,)]


def test_who_joins_while_it_runs_is_recorded(tele_store, another_process):
    with tele.experiment("m", run_type="milestone", snapshot=False) as run:
        carrier = tele.propagate()
        another_process()
        with tele.attach(carrier):
            tele.event("in time")
    assert "in time" in _names(tele_store, run.run_id)


def test_a_trial_stays_open_to_others(tele_store, another_process):
    with tele.experiment("t", run_type="trial") as run:
        carrier = tele.propagate()
    another_process()
    with tele.attach(carrier):
        tele.event("later")
    assert "later" in _names(tele_store, run.run_id)
    assert tele.dropped() == {}


def test_no_run_is_begun_by_the_id_of_a_finished_milestone_that_tele_drew(tele_store, another_process):
    run, _ = _finished()
    another_process()
    with tele.experiment("m", run_id=run.run_id) as second:
        pass
    assert second.run_id.startswith(f"{run.run_id}-")


def test_threads_that_join_at_once_lose_nothing_of_a_run_that_goes_on(tele_store, another_process):
    with tele.experiment("t") as run:
        carrier = tele.propagate()
        another_process()

        def work():
            for _ in range(50):
                with tele.attach(carrier):
                    tele.event("mine")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert tele.dropped() == {}
    assert tele_store.rows(f"SELECT count(*) FROM events WHERE name = 'mine' AND run_id = '{run.run_id}'") == [(200,)]


def test_a_store_whose_claims_cannot_be_read_refuses_nothing(tele_store, another_process, monkeypatch):
    run, carrier = _finished()
    another_process()
    monkeypatch.setattr("tele.telemetry.runs.claims._file", lambda *_: tele_store.path / "no\0name")
    with tele.attach(carrier):
        tele.event("late")
    assert "late" in _names(tele_store, run.run_id)
