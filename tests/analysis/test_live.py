"""Live figures equal those of an analysis of the same store, whatever happens between two looks."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tele
from tele.analysis.live import LiveMetrics


def work(n, *, fail=False):
    with tele.span("agent"), tele.span("chat", operation="chat", model="m", item_id=str(n)) as span:
        span.usage(input_tokens=10 + n, output_tokens=n, cost_usd=0.25)
        tele.metric("correct", n % 2)
        if fail:
            span.fail("Refused")


def agree(live, store, name="trial"):
    """The figures of `live`, after they were found equal to those of the analysis."""
    found = live.poll()
    whole = tele.analyze(name, on="llm", store=store.path)
    [group] = whole.groups
    assert found.total_requests == group.reliability.total_requests
    assert (found.successful, found.failed, found.open) == (
        group.reliability.successful,
        group.reliability.failed,
        group.reliability.open,
    )
    assert found.latency_mean == pytest.approx(group.latency.mean)
    assert found.latency_std_dev == pytest.approx(group.latency.std_dev)
    assert (found.latency_count, found.latency_min) == (group.latency.count, group.latency.min)
    assert (found.cost_total, found.unpriced) == (pytest.approx(group.cost.total), group.cost.unpriced)
    assert (found.input_tokens, found.output_tokens) == (group.tokens.total_prompt, group.tokens.total_completion)
    assert found.event_counts == {k: v for k, v in whole.summary.event_types.items() if k != _LATE} | {
        k: v for k, v in found.event_counts.items() if k == _LATE
    }
    return found


_LATE = "tele.experiment.environment"  # written by a thread, whenever it is ready


def test_what_is_written_between_two_looks_is_added_and_nothing_is_read_twice(tele_store):
    with tele.experiment("trial"):
        work(1)
        live = LiveMetrics("trial", store=tele_store.path)
        assert live.poll().total_requests == 1
        for n in range(2, 6):
            work(n, fail=n == 3)
            agree(live, tele_store)
        tele_store.seal()
        work(6)
        agree(live, tele_store)
        assert live.poll() == live.poll()
    with tele.experiment("another"):
        work(9)
    agree(live, tele_store)
    assert live.anew == 0


def test_an_experiment_that_is_not_there_yet_counts_nothing_until_it_is(tele_store):
    with tele.experiment("another"):
        live = LiveMetrics("trial", store=tele_store.path)
        assert live.poll().total_requests == 0
    with tele.experiment("trial"):
        work(1)
        work(2)
    assert agree(live, tele_store).total_requests == 2


def test_spans_that_are_open_are_counted_and_counted_once_when_they_end(tele_store):
    from tele.telemetry import ticker

    with tele.experiment("trial"):
        work(1)
        span = tele.span("chat", operation="chat", model="m")
        with span:
            span.mono_ns -= ticker.OPEN_NS * 2
            ticker.ticker.tick()
            live = LiveMetrics("trial", store=tele_store.path)
            assert live.poll().open == 1
            work(2)
        found = agree(live, tele_store)
        assert (found.total_requests, found.open) == (3, 0)


def test_a_wrapper_whose_child_ended_before_the_first_look_is_left_out(tele_store):
    with tele.experiment("trial"), tele.span("call_llm", model="m") as outer:
        work_in = tele.span("chat", operation="chat", model="m")
        with work_in:
            work_in.usage(input_tokens=5, output_tokens=5)
        live = LiveMetrics("trial", store=tele_store.path)
        outer.usage(input_tokens=5, output_tokens=5)
    assert live.poll().input_tokens == 5


@pytest.mark.parametrize("looked", ["before", "between", "after"])
def test_a_wrapper_at_any_depth_is_left_out_and_one_above_an_agent_is_not(looked, tele_store):
    def begin():
        return LiveMetrics("trial", store=tele_store.path)

    with tele.experiment("trial"):
        tele.event("begun")
        live = begin()
        for operation in (None, "invoke_agent"):
            with tele.span("call_llm", model="m") as outer, tele.span("retry"):
                with tele.span("post", operation=operation):
                    work(1)
                live = begin() if looked == "between" and operation is None else live
                live.poll()
                outer.usage(input_tokens=100)
            with tele.span("call_llm", model="m") as alone:
                alone.usage(input_tokens=3)
    live = begin() if looked == "after" else live
    assert agree(live, tele_store).input_tokens == 11 + 3 + 111 + 3


def test_a_correction_is_taken_in(tele_store):
    with tele.experiment("trial"):
        work(1)
        work(2)
        live = LiveMetrics("trial", store=tele_store.path)
        with tele.span("chat", operation="chat", model="m") as span:
            span.usage(input_tokens=1, cost_usd=0.25)
        assert live.poll().cost_total == pytest.approx(0.75)
        tele.score(span, "cost_usd", 1.0)
        assert agree(live, tele_store).cost_total == pytest.approx(1.5)
        assert live.anew == 1


def test_a_run_that_is_archived_is_left_out(tele_store):
    with tele.experiment("trial"):
        work(1)
        work(2)
    live = LiveMetrics("trial", store=tele_store.path)
    with tele.experiment("trial") as second:
        work(3)
        assert live.poll().total_requests == 3
    second.archive()
    assert live.poll().total_requests == 2


def test_other_processes_are_heard(tele_store):
    script = """
import sys, tele
tele.configure(store=sys.argv[1], seal="manual")
with tele.experiment("trial"):
    for n in range(3):
        with tele.span("chat", operation="chat", model="m") as span:
            span.usage(input_tokens=n, output_tokens=1, cost_usd=0.1)
"""
    with tele.experiment("trial"):
        work(1)
        live = LiveMetrics("trial", store=tele_store.path)
        subprocess.run([sys.executable, "-c", script, str(tele_store.path)], check=True)
        assert agree(live, tele_store).total_requests == 4
    assert live.anew == 0


def test_a_journal_that_went_unread_has_everything_asked_again(tele_store):
    from tele.telemetry.process import process

    with tele.experiment("trial"):
        work(1)
        work(2)
    live = LiveMetrics("trial", store=tele_store.path)
    work_path = process.journal
    with tele.experiment("trial"):
        work(3)
    process.close()
    tele_store.seal()
    for path in (tele_store.path / "journal").glob(f"{work_path.writer}*"):
        path.unlink()
    assert live.poll().total_requests == 3
    assert live.anew == 1


def test_counting_may_begin_at_a_moment(tele_store):
    with tele.experiment("trial"):
        work(1)
        live = LiveMetrics("trial", store=tele_store.path)
        work(2)
        live.reset()
        assert live.poll().total_requests == 0
        work(3)
        assert live.poll().input_tokens == 13


def test_parts_of_two_experiments_can_be_merged(tele_store):
    for name, n in (("a", 2), ("b", 3)):
        with tele.experiment(name):
            for each in range(n):
                work(each)
    both = LiveMetrics("a", store=tele_store.path).metrics
    both.merge(LiveMetrics("b", store=tele_store.path).metrics)
    assert both.figures().total_requests == 5
    assert both.figures().cost_total == pytest.approx(1.25)
