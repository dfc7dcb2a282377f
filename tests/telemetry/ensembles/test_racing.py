"""Hedged requests: who is sent when, who wins, what becomes of the others, and what they cost."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import tele

SEEN = "SELECT strategy, fired, winner FROM hedges ORDER BY start_ns"
OUTCOMES = """SELECT attributes->>'$.attempt', attributes->>'$.outcome', success FROM spans
    WHERE name = 'hedge.attempt' ORDER BY 1 DESC"""


def until(look, wanted):
    """Wait for a thread that lost."""
    for _ in range(300):
        if (found := look()) == wanted:
            break
        time.sleep(0.01)
    assert found == wanted


class Held:
    """A function whose first call waits to be released, and whose others answer at once."""

    def __init__(self):
        self.release = threading.Event()
        self.calls = 0
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            self.calls += 1
            number = self.calls
        with tele.span("chat", operation="chat", model="gpt-4o") as span:
            if number == 1:
                self.release.wait(10)
            span.usage(input_tokens=100 * number, output_tokens=10, cost_usd=0.5 * number)
        return number


def test_a_quick_request_is_not_hedged(tele_store):
    assert tele.hedge(lambda x: x + 1, delay_ms=5000)(1) == 2
    assert tele_store.rows(SEEN) == [("fixed", False, "primary")]
    assert tele_store.rows(OUTCOMES) == [("primary", "won", True)]


def test_a_slow_one_is_and_what_it_cost_is_known_when_it_ends(tele_store):
    ask = Held()
    assert tele.hedge(ask, delay_ms=5)() == 2
    assert tele_store.rows("SELECT fired, winner, wasted_usd FROM hedges") == [(True, "backup", None)]
    ask.release.set()
    until(lambda: tele_store.rows(OUTCOMES), [("primary", "lost", True), ("backup", "won", True)])
    assert tele_store.rows("SELECT wasted_usd, wasted_tokens FROM hedges") == [(0.5, 110)]


def test_what_a_loser_called_deep_within_is_wasted_too_and_counts_once(tele_store):
    ask = Held()

    def deep():
        with tele.span("agent", operation="invoke_agent"), tele.span("step"):
            return ask()

    assert tele.hedge(deep, delay_ms=5)() == 2
    ask.release.set()
    until(lambda: tele_store.rows("SELECT wasted_usd, wasted_tokens FROM hedges"), [(0.5, 110)])


def test_a_task_that_lost_is_cancelled_and_its_end_recorded(tele_store):
    ended = []

    async def ask():
        if not ended:
            ended.append("begun")
            try:
                await asyncio.sleep(10)
            finally:
                ended.append("cancelled")
        return "answer"

    async def main():
        found = await tele.hedge(ask, delay_ms=5)()
        return found, list(ended)  # it has ended when the answer is there

    assert asyncio.run(main()) == ("answer", ["begun", "cancelled"])
    assert tele_store.rows(SEEN) == [("fixed", True, "backup")]
    assert tele_store.rows(OUTCOMES) == [("primary", "cancelled", False), ("backup", "won", True)]
    assert tele_store.rows("SELECT error_type, error_message FROM spans WHERE success = FALSE") == [
        ("Cancelled", "backup answered first")
    ]


def test_a_thread_that_lost_finds_that_out_by_its_keyword(tele_store):
    stopped = threading.Event()

    def ask(stop):
        if threading.current_thread() is first[0]:
            stop.wait(10)
            stopped.set()
        return "answer"

    first = []

    def primary(stop):
        first.append(threading.current_thread())
        return ask(stop)

    assert tele.hedge(primary, ask, delay_ms=5, stop="stop")() == "answer"
    assert stopped.wait(10)


def test_a_backup_of_its_own_takes_the_arguments(tele_store):
    held = threading.Event()
    hedged = tele.hedge(lambda x: held.wait(10), lambda x: f"backup {x}", delay_ms=5)
    assert hedged("q") == "backup q"
    held.set()


def test_backups_take_turns_up_to_the_most_allowed(tele_store):
    held = threading.Event()
    answers = []

    def slow():
        answers.append("slow")
        held.wait(10)

    def quick():
        answers.append("quick")
        return "x"

    assert tele.hedge(slow, slow, quick, delay_ms=5, max_hedges=2)() == "x"
    held.set()
    assert answers == ["slow", "slow", "quick"]
    assert tele_store.rows("SELECT winner FROM hedges") == [("backup-2",)]


@pytest.mark.parametrize("asynchronous", [False, True])
class TestFailures:
    def run(self, asynchronous, functions, **options):
        def awaitable(function):
            async def call():
                return function()

            return call

        made = tele.hedge(*(map(awaitable, functions) if asynchronous else functions), **options)
        return asyncio.run(self.wait(made)) if asynchronous else made()

    async def wait(self, made):
        return await made()

    def test_one_that_fails_has_the_next_sent_at_once(self, tele_store, asynchronous):
        begun = time.monotonic()
        assert self.run(asynchronous, [lambda: 1 / 0, lambda: "x"], delay_ms=20_000) == "x"
        assert time.monotonic() - begun < 5
        assert tele_store.rows(OUTCOMES) == [("primary", "failed", False), ("backup", "won", True)]

    def test_where_all_fail_the_first_ones_exception_is_raised(self, tele_store, asynchronous):
        def second():
            raise KeyError("second")

        with pytest.raises(ZeroDivisionError):
            self.run(asynchronous, [lambda: 1 / 0, second], delay_ms=20_000)
        assert tele_store.rows(
            "SELECT status, error_type, attributes->>'$.winner' FROM spans WHERE name = 'hedge'"
        ) == [("error", "ZeroDivisionError", None)]

    def test_a_failure_is_the_answer_where_only_slowness_is_hedged(self, tele_store, asynchronous):
        with pytest.raises(ZeroDivisionError):
            self.run(asynchronous, [lambda: 1 / 0, lambda: "x"], delay_ms=20_000, on_error=False)
        assert tele_store.rows(SEEN) == [("fixed", False, None)]


def test_what_takes_too_long_is_a_timeout_and_cannot_win_later(tele_store):
    held = threading.Event()
    with pytest.raises(TimeoutError):
        tele.hedge(lambda: held.wait(10), delay_ms=5, timeout_ms=30)()
    held.set()
    until(lambda: tele_store.rows(OUTCOMES), [("primary", "lost", True), ("backup", "lost", True)])
    assert tele_store.rows("SELECT status, error_type FROM spans WHERE name = 'hedge'") == [("error", "TimeoutError")]


def test_async_too_long_is_a_timeout_too(tele_store):
    async def main():
        await tele.hedge(lambda_sleep, delay_ms=5, timeout_ms=30)()

    async def lambda_sleep():
        await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert tele_store.rows(OUTCOMES) == [("primary", "cancelled", False), ("backup", "cancelled", False)]


def test_a_sync_function_beside_an_async_one_does_not_block_the_loop(tele_store):
    held = threading.Event()

    async def backup():
        held.set()
        return "x"

    async def main():
        return await tele.hedge(lambda: held.wait(10) and time.sleep(0.05), backup, delay_ms=5)()

    assert asyncio.run(main()) == "x"


def test_the_delay_learns_of_a_first_request_that_lost_how_long_it_took_at_least(tele_store):
    ask = Held()
    hedged = tele.hedge(ask, strategy="percentile", percentile=50, min_samples=1, delay_ms=30)
    hedged()
    ask.release.set()
    assert hedged.delay.samples == 1
    assert hedged.delay.ms() >= 30


def test_a_first_request_that_failed_teaches_the_delay_nothing(tele_store):
    hedged = tele.hedge(lambda: 1 / 0, lambda: "x", strategy="percentile", min_samples=1, delay_ms=7000)
    assert hedged() == "x"
    assert hedged.delay.samples == 0


def test_exactly_one_attempt_wins_whatever_the_timing(tele_store):
    hedged = tele.hedge(lambda: time.sleep(0.002) or "x", delay_ms=2)
    assert [hedged() for _ in range(30)] == ["x"] * 30
    query = """SELECT count(*) FROM spans WHERE name = 'hedge.attempt' AND attributes->>'$.outcome' = 'won'"""
    assert tele_store.rows(query) == [(30,)]
    assert tele_store.rows("SELECT count(*) FROM hedges WHERE winner IS NOT NULL") == [(30,)]


def test_a_hedge_may_be_a_member_of_an_ensemble(tele_store):
    panel = tele.ensemble({"a": tele.hedge(lambda q: q, delay_ms=5000), "b": lambda q: q})
    assert panel("x").agreement == 1.0
    assert tele_store.rows("""SELECT above.name FROM spans JOIN spans above ON spans.parent_id = above.span_id
        WHERE spans.name = 'hedge'""") == [("ensemble.member",)]
