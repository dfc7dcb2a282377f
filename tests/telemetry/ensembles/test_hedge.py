"""A hedged request that is recorded by hand, its rules, and the decorator."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

import tele
from tele.errors import BadInput

SEEN = "SELECT strategy, delay_ms, fired, winner, wasted_usd, wasted_tokens FROM hedges"


def test_a_race_elsewhere_is_a_row_of_the_view(tele_store):
    with tele.hedge(delay_ms=250, model="m") as race:
        race.fire()
        assert race.win("backup")
        assert not race.win("primary")  # there is one winner
        race.waste(usd=0.02, tokens=40)
    with tele.hedge() as race:
        race.win()
    assert tele_store.rows(f"{SEEN} ORDER BY start_ns") == [
        ("fixed", 250.0, True, "backup", 0.02, 40),
        ("fixed", 100.0, False, "primary", 0.0, 0),
    ]


def test_after_the_race_nobody_wins_any_more(tele_store):
    with tele.hedge() as race:
        pass
    assert not race.win()
    assert tele_store.rows("SELECT winner FROM hedges") == [(None,)]


def test_events_of_another_library_are_rows_of_the_view_too(tele_store):
    facts = {"strategy": "percentile", "hedge_delay": 95, "hedged": True, "hedge_won": True}
    tele.event("[:crucible_hedging, :request, :stop]", facts)
    tele.event("hedging.request.stop", {"strategy": "fixed", "hedged": False, "hedge_won": False})
    assert tele_store.rows("SELECT strategy, delay_ms, fired, winner FROM hedges ORDER BY 1 DESC") == [
        ("percentile", 95.0, True, "backup"),
        ("fixed", None, False, "primary"),
    ]


def test_one_object_may_be_open_several_times_at_once(tele_store):
    rules = tele.hedge()
    barrier = threading.Barrier(3, timeout=10)

    def work(n):
        with rules as race:
            barrier.wait()
            race.win(str(n))
            barrier.wait()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tele_store.rows("SELECT winner FROM hedges ORDER BY 1") == [("0",), ("1",), ("2",)]


def test_as_a_decorator_it_keeps_the_functions_kind_and_name(tele_store):
    @tele.hedge(strategy="percentile", delay_ms=5000)
    def ask(question: str) -> str:
        """Ask."""
        return question.upper()

    @tele.hedge(delay_ms=5000)
    async def ask_async(question: str) -> str:
        return question.lower()

    assert ask("a") == "A"
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert inspect.iscoroutinefunction(ask_async)
    assert asyncio.run(ask_async("B")) == "b"
    assert tele_store.rows(f"{SEEN} ORDER BY start_ns") == [
        ("percentile", 5000.0, False, "primary", 0.0, 0),
        ("fixed", 5000.0, False, "primary", 0.0, 0),
    ]


def test_what_one_function_taught_is_not_used_for_another(tele_store):
    rules = tele.hedge(strategy="percentile", min_samples=1, delay_ms=5000)
    first, second = rules(lambda: 1), rules(lambda: 2)
    first()
    assert second() == 2
    samples = tele_store.rows("SELECT (attributes->>'$.samples')::INT FROM spans WHERE name = 'hedge'")
    assert samples == [(0,), (0,)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"strategy": "later"}, "strategy is a function or one of fixed, percentile, adaptive"),
        ({"delay_ms": -1}, "delay_ms is 0 or more"),
        ({"delay_ms": float("nan")}, "delay_ms is 0 or more"),
        ({"strategy": "percentile", "percentile": 101}, "percentile is from 0 to 100"),
        ({"strategy": "percentile", "min_samples": 0}, "min_samples from 1"),
        ({"strategy": "adaptive", "rate": 1}, "rate is between 0 and 1"),
        ({"max_hedges": -1}, "max_hedges is 0 or more"),
        ({"timeout_ms": 0}, "timeout_ms above 0"),
    ],
)
def test_rules_that_cannot_be_are_refused_in_a_sentence(options, complaint):
    with pytest.raises(BadInput, match=complaint):
        tele.hedge(**options)


def test_what_is_no_function_is_refused():
    with pytest.raises(BadInput, match="takes a function"):
        tele.hedge()("no function")
