"""The stages of the class pattern come in their order, and an error in one has its stated effect on the others."""

from __future__ import annotations

import asyncio

import pytest

import tele
from tele.errors import BadInput


def staged(*fails, main="run"):
    """A class that writes down its stages, of which some fail."""
    seen = []

    def stage(name):
        def act(self):
            seen.append(name)
            if name in fails:
                raise ValueError(name)
            return f"{name} done"

        return act

    body = {"prepare": stage("prepare"), main: stage("main"), "score": stage("score"), "cleanup": stage("cleanup")}
    return type("Staged", (tele.Runnable,), body), seen


@pytest.mark.parametrize("main", ["run", "execute"])
def test_the_stages_come_in_order_and_the_result_is_that_of_the_work(tele_store, main):
    kind, seen = staged(main=main)
    made = kind.launch("e", {"rate": 1}, condition="c", tags=["t"])
    assert seen == ["prepare", "main", "score", "cleanup"]
    assert (made.result, made.config) == ("main done", {"rate": 1})
    assert tele_store.rows("SELECT run_id, condition, tags, status FROM runs") == [
        (made.run.run_id, "c", ["t"], "stopped")
    ]


@pytest.mark.parametrize(
    ("fails", "seen", "raised"),
    [
        (["prepare"], ["prepare", "main", "score", "cleanup"], "prepare"),
        (["main"], ["prepare", "main", "cleanup"], "main"),
        (["prepare", "main"], ["prepare", "main", "cleanup"], "main"),
        (["score"], ["prepare", "main", "score", "cleanup"], "score"),
        (["prepare", "score", "cleanup"], ["prepare", "main", "score", "cleanup"], "score"),
    ],
)
def test_the_last_error_is_raised_and_the_run_failed(tele_store, fails, seen, raised):
    kind, found = staged(*fails)
    with pytest.raises(ValueError, match=f"^{raised}") as caught:
        kind.launch("e")
    assert found == seen
    assert tele_store.rows("SELECT status FROM runs") == [("failed",)]
    told = tele_store.rows("SELECT count(*) FROM events WHERE name = 'execution_error'")
    assert told == [(len(set(fails) - {"cleanup"}),)]
    notes = getattr(caught.value, "__notes__", [])
    assert bool(notes) == (fails[0] == "prepare" and raised != "prepare")


def test_an_error_of_the_cleanup_is_told_and_not_raised(tele_store):
    kind, _ = staged("cleanup")
    kind.launch("e")
    assert tele_store.rows("SELECT status FROM runs") == [("stopped",)]
    assert tele_store.rows("SELECT count(*) FROM events WHERE name = 'cleanup_error'") == [(1,)]


def test_stages_may_be_coroutines_and_share_one_loop(tele_store):
    class Asked(tele.Runnable):
        async def prepare(self):
            self.loop = asyncio.get_running_loop()

        async def run(self):
            await asyncio.sleep(0)
            with tele.span("s"):
                return asyncio.get_running_loop() is self.loop

    made = Asked.launch("e")
    assert made.result is True
    assert tele_store.rows("SELECT run_id FROM spans") == [(made.run.run_id,)]


def test_a_class_with_nothing_to_do_is_refused_before_a_run_begins(tele_store):
    class Empty(tele.Runnable):
        pass

    with pytest.raises(BadInput, match="neither a method `run` nor `execute`"):
        Empty.launch("e")
    tele.event("so that there is a store")
    assert tele_store.rows("SELECT * FROM runs") == []


def test_a_constructor_of_its_own_does_not_hide_the_run(tele_store):
    class Own(tele.Runnable):
        def __init__(self, experiment, run, config):
            self.config = config

        def run(self):
            self.run.log_metric("m", 1)

    Own.launch("e")
    assert tele_store.rows("SELECT count(*) FROM metrics WHERE name = 'm'") == [(1,)]


def test_a_decorated_class_has_a_run_for_each_call_of_its_work(tele_store):
    @tele.experiment("e")
    class Work:
        def run(self, n):
            tele.metric("m", n)
            return n

    assert [Work().run(1), Work().run(2)] == [1, 2]
    assert tele_store.rows("SELECT count(DISTINCT run_id) FROM metrics WHERE name = 'm'") == [(2,)]


def test_the_clean_up_comes_also_where_somebody_interrupts_the_work(tele_store):
    tidied = []

    class Work(tele.Runnable):
        def run(self):
            raise KeyboardInterrupt

        def cleanup(self):
            tidied.append(self.config)

    with pytest.raises(KeyboardInterrupt):
        Work.launch("e", {"rate": 1})
    assert tidied == [{"rate": 1}]
    assert tele_store.rows("SELECT status FROM runs") == [("failed",)]
