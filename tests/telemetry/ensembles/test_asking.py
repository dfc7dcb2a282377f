"""Ensembles that ask their members: at once, in turn, in threads and as tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

import tele
from tele.testing import temporary_store


def says(answer):
    return lambda *_: answer


def async_says(answer):
    async def member(*_):
        await asyncio.sleep(0)
        return answer

    return member


def ask(panel, *args):
    """Ask sync members, or await async ones."""
    found = panel(*args)
    return asyncio.run(_await(found)) if asyncio.iscoroutine(found) else found


async def _await(found):
    return await found


KINDS = pytest.mark.parametrize("make", [says, async_says], ids=["sync", "async"])


@KINDS
def test_members_are_asked_and_their_calls_are_child_spans(tele_store, make):
    panel = tele.ensemble({"a": make("x"), "b": make("y"), "c": make("x")})
    with tele.span("solve") as above:
        outcome = ask(panel, "question")
    assert (outcome.winner, outcome.agreement) == ("x", pytest.approx(2 / 3))
    assert tele_store.rows(f"""SELECT m.attributes->>'$.member', m.status, e.parent_id = '{above.span_id}'
        FROM spans m JOIN spans e ON m.parent_id = e.span_id AND e.name = 'ensemble' AND m.trace_id = e.trace_id
        ORDER BY 1""") == [("a", "ok", True), ("b", "ok", True), ("c", "ok", True)]


def test_members_run_at_the_same_time(tele_store):
    barrier = threading.Barrier(3, timeout=10)  # passes only where all three are there at once
    outcome = tele.ensemble([lambda: barrier.wait() >= 0] * 3)()
    assert outcome.agreement == 1.0


def test_async_members_run_at_the_same_time(tele_store):
    async def main():
        there = []
        all_there = asyncio.Event()

        async def member():
            there.append(1)
            if len(there) == 3:
                all_there.set()
            await asyncio.wait_for(all_there.wait(), 10)
            return "x"

        return await tele.ensemble([member] * 3)()

    assert asyncio.run(main()).agreement == 1.0


def test_sync_and_async_members_may_be_mixed_and_do_not_block_the_loop(tele_store):
    released = threading.Event()

    async def releases():
        released.set()
        return "x"

    outcome = ask(tele.ensemble({"waits": lambda: released.wait(10) and "x", "releases": releases}))
    assert outcome.agreement == 1.0


@KINDS
def test_members_that_fail_leave_the_others_to_decide(tele_store, make):
    def fails(*_):
        raise ValueError("no answer")

    outcome = ask(tele.ensemble({"a": make("x"), "b": fails, "c": make(None)}, min_votes=1))
    assert outcome.winner == "x"
    assert list(outcome.failed) == ["b"]
    assert str(outcome.failed["b"]) == "no answer"
    assert outcome.abstained == ("c",)
    assert tele_store.rows("SELECT error_type, error_message FROM spans WHERE success = FALSE") == [
        ("ValueError", "no answer")
    ]


def test_where_all_fail_there_is_no_winner_and_nothing_is_raised(tele_store):
    outcome = tele.ensemble({"a": lambda: 1 / 0})()
    assert (outcome.winner, outcome.reason, outcome.entropy) == (None, "no member voted", None)


def test_an_answer_that_cannot_be_normalised_is_a_failure_of_its_member(tele_store):
    outcome = tele.ensemble({"a": says("1"), "b": says("one"), "c": says("1")}, normalise=int)()
    assert outcome.winner == 1
    assert isinstance(outcome.failed["b"], ValueError)


def test_a_thread_that_is_late_is_not_waited_for_and_its_end_is_recorded(tele_store):
    held = threading.Event()

    def late():
        held.wait(10)
        return "y"

    outcome = tele.ensemble({"a": says("x"), "late": late}, timeout_ms=60)()
    assert (outcome.winner, outcome.timed_out) == ("x", ("late",))
    held.set()
    for _ in range(200):
        rows = tele_store.rows("SELECT attributes->>'$.late' FROM spans WHERE attributes->>'$.member' = 'late'")
        if rows == [("true",)]:
            break
        time.sleep(0.01)
    assert rows == [("true",)]
    assert tele_store.rows("SELECT count(*) FROM votes") == [(1,)]


def test_a_task_that_is_late_is_cancelled(tele_store):
    cancelled = []

    async def late():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    begun = time.monotonic()
    outcome = ask(tele.ensemble({"a": async_says("x"), "late": late}, timeout_ms=30))
    assert time.monotonic() - begun < 5
    assert (outcome.winner, outcome.timed_out, cancelled) == ("x", ("late",), [1])


def test_cancelling_the_ensemble_cancels_its_members(tele_store):
    cancelled = []

    async def member():
        try:
            await asyncio.sleep(10)
        finally:
            cancelled.append(1)

    async def main():
        task = asyncio.ensure_future(tele.ensemble([member, member])())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert cancelled == [1, 1]
    assert tele_store.rows("SELECT status FROM spans WHERE name = 'ensemble'") == [("error",)]


@KINDS
def test_in_turn_nobody_is_asked_once_enough_agree(tele_store, make):
    members = {name: make(answer) for name, answer in zip("abcde", "xyxxx", strict=True)}
    outcome = ask(tele.ensemble(members, execution="sequential", min_votes=2, min_agreement=0.6))
    assert [vote.member for vote in outcome.votes] == ["a", "b", "c"]  # 2 of 3 is above 0.6
    assert outcome.winner == "x"


@KINDS
def test_a_cascade_stops_at_the_first_that_is_sure(tele_store, make):
    sure = [0.5, 0.95, 0.99]
    members = {f"m{n}": make({"answer": n, "confidence": c}) for n, c in enumerate(sure)}
    outcome = ask(tele.ensemble(members, execution="cascade", strategy="best_confidence", min_votes=1))
    assert (outcome.winner, len(outcome.votes)) == (1, 2)


def test_ties_do_not_depend_on_who_is_quickest(tele_store):
    def slow():
        time.sleep(0.03)
        return "slow"

    outcome = tele.ensemble({"first": slow, "second": says("quick")})()
    assert (outcome.winner, outcome.tied) == ("slow", True)
    assert [vote.member for vote in outcome.votes] == ["first", "second"]


def test_answer_and_confidence_are_read_by_the_functions_given(tele_store):
    result = SimpleNamespace(label="A", p=0.7)
    outcome = tele.ensemble([says(result)], answer=lambda r: r.label, confidence=lambda r: r.p)()
    [vote] = outcome.votes
    assert (vote.answer, vote.confidence, vote.result) == ("A", 0.7, result)


def test_a_models_response_counts_by_its_text_and_its_tokens_are_on_the_members_span(tele_store):
    response = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
    outcome = tele.ensemble({"a": says(response), "b": says("Paris")})()
    assert (outcome.winner, outcome.agreement) == ("Paris", 1.0)
    assert tele_store.rows("SELECT name, model, input_tokens, output_tokens FROM llm_calls") == [
        ("ensemble.member", "gpt-4o-2024-08-06", 9, 2)
    ]


def test_a_lambda_that_gives_a_coroutine_is_awaited(tele_store):
    member = async_says("x")
    assert tele.ensemble([lambda question: member(question)])("q").winner == "x"  # noqa: PLW0108  # no async def


def test_a_panel_may_be_asked_from_many_threads_at_once(tele_store):
    panel = tele.ensemble({name: lambda n: n for name in "ab"})
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: panel(n).winner})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: n for n in range(8)}
    assert tele_store.rows("SELECT count(*), sum(agreement) FROM ensembles") == [(8, 8.0)]


def test_under_a_frozen_clock_in_turn_the_whole_record_is_the_same_each_time():
    def recorded():
        with temporary_store(frozen=True) as store:

            def member(answer, seconds):
                def ask():
                    store.clock.advance(seconds)
                    return answer

                return ask

            members = {"a": member("x", 0.005), "b": member("y", 0.01), "c": member("x", 0.0025)}
            tele.ensemble(members, execution="sequential", min_agreement=0.6)()
            return store.rows(
                "SELECT event_id, name, span_id, parent_id, start_ns, duration_ms, attributes FROM events ORDER BY seq"
            )

    first = recorded()
    assert first == recorded()
    assert [row[5] for row in first if row[1].startswith("ensemble") and row[5]] == [5.0, 10.0, 2.5, 17.5]


def test_a_call_that_lies_deep_within_a_member_is_counted_once(tele_store):
    response = {
        "model": "gpt-4o",
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
    }
    model = tele.llm_call("gpt-4o")(lambda _: response)

    def deep(question):
        with tele.span("retry"):
            return model(question)

    def by_hand(_):
        tele.current_run().log_llm_call("gpt-4o", output_data=response)
        return response

    with tele.experiment("e"):
        assert tele.ensemble({"deep": deep, "direct": model, "by hand": by_hand, "alone": lambda _: response})("q")
        assert tele.hedge(deep, delay_ms=5000)("q") is response
    assert tele_store.rows("SELECT count(*), sum(input_tokens) FROM llm_calls") == [(5, 5000)]
