"""Figures that grow record by record, against the statistics module, and the laws of merging."""

from __future__ import annotations

import copy
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.analysis.streaming import Moments, StreamingMetrics

NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=40)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": st.uuids().map(lambda u: u.hex),
            "kind": st.just("span"),
            "name": st.sampled_from("ab"),
            "status": st.just("ok"),
            "success": st.sampled_from([True, False, None]),
            "duration_ms": st.none() | st.floats(0, 1e4),
            "cost_usd": st.none() | st.floats(0, 1),
            "input_tokens": st.none() | st.integers(0, 1000),
        }
    ),
    max_size=30,
    unique_by=lambda record: record["event_id"],
)


def moments(numbers):
    found = Moments()
    for number in numbers:
        found.add(number)
    return found


def close(a, b):
    return pytest.approx(b, rel=1e-9, abs=1e-6) == a


class TestMoments:
    @given(NUMBERS)
    def test_they_are_those_of_the_statistics_module(self, numbers):
        found = moments(numbers)
        assert found.count == len(numbers)
        assert (found.min, found.max) == (min(numbers, default=None), max(numbers, default=None))
        if numbers:
            assert close(found.mean, statistics.fmean(numbers))
        if len(numbers) > 1:
            assert found.variance == pytest.approx(statistics.variance(numbers), rel=1e-6, abs=1e-3)
            assert found.std_dev == pytest.approx(statistics.stdev(numbers), rel=1e-6, abs=0.05)
        else:
            assert found.variance is found.std_dev is None

    def test_a_large_offset_takes_nothing_from_the_spread(self):
        # the sum of squares would lose every digit of it
        assert moments([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]).variance == pytest.approx(30)

    @given(st.lists(NUMBERS, max_size=5), st.randoms(use_true_random=False))
    def test_merged_in_any_order_they_are_those_of_all_numbers(self, parts, chance):
        whole = moments([number for part in parts for number in part])
        shuffled = [moments(part) for part in parts]
        chance.shuffle(shuffled)
        merged = Moments()
        for part in shuffled:
            merged.merge(part)
        assert (merged.count, merged.min, merged.max) == (whole.count, whole.min, whole.max)
        assert close(merged.mean, whole.mean)
        assert merged.m2 == pytest.approx(whole.m2, rel=1e-6, abs=1e-2)

    @given(NUMBERS)
    def test_merging_with_nothing_changes_nothing(self, numbers):
        found, other = moments(numbers), Moments()
        other.merge(found)
        found.merge(Moments())
        assert found == moments(numbers) == other


def fed(records, on="all"):
    found = StreamingMetrics(on)
    for record in records:
        found.add(record)
    return found


def call(event_id, span=None, parent=None, **more):
    return {
        "event_id": event_id,
        "kind": "span",
        "name": "chat",
        "status": "ok",
        "success": True,
        "operation": "chat",
        "trace_id": "t",
        "span_id": span or event_id,
        "parent_id": parent,
        "duration_ms": 1.0,
        "input_tokens": 10,
        "output_tokens": 5,
    } | more


class TestMetrics:
    def test_the_figures_are_counted_by_hand(self):
        found = fed(
            [
                call("1", cost_usd=0.5, duration_ms=10.0),
                call("2", duration_ms=20.0),
                call("3", success=False, status="error", duration_ms=999.0, input_tokens=None, output_tokens=None),
                call("4", success=None, duration_ms=None, start_ns=0, end_ns=60_000_000),
                call("5", operation="execute_tool"),
                {"event_id": "6", "kind": "event", "name": "note"},
            ],
            on="llm",
        ).figures()
        assert (found.total_requests, found.successful, found.failed, found.unknown, found.open) == (4, 2, 1, 1, 0)
        assert found.success_rate == pytest.approx(2 / 3)
        # failed calls never enter latency; that of the fourth is between its two instants
        assert (found.latency_count, found.latency_mean, found.latency_min, found.latency_max) == (3, 30.0, 10.0, 60.0)
        assert found.latency_std_dev == pytest.approx(statistics.stdev([10, 20, 60]))
        assert (found.cost_total, found.cost_count, found.unpriced) == (0.5, 1, 2)
        assert (found.input_tokens, found.output_tokens) == (30, 15)
        assert found.event_counts == {"chat": 5, "note": 1}

    def test_what_nobody_stated_is_none(self):
        found = StreamingMetrics().figures()
        assert found.success_rate is found.cost_total is found.latency_mean is None
        assert found.total_requests == 0

    def test_a_span_that_was_open_counts_once(self):
        opened = call("1", status="open", success=None, duration_ms=None)
        found = fed([opened, opened], on="llm")
        assert (found.figures().open, found.figures().total_requests, found.figures().latency_count) == (1, 1, 0)
        found.add(call("1"))
        assert (found.figures().open, found.figures().total_requests, found.figures().event_counts) == (
            0,
            1,
            {"chat": 1},
        )

    def test_a_wrapper_does_not_double_the_call_within(self):
        found = fed([call("1", "in", "out"), call("2", "out", "root")], on="llm")
        assert found.figures().input_tokens == 10
        assert found.parents == {("t", "root")}
        found.add(call("3", "root", operation=None))  # names no model: it is no call
        assert (found.figures().input_tokens, found.parents) == (10, set())

    @pytest.mark.parametrize(("on", "n"), [("root", 1), ("all", 3), ("work", 1), ("llm", 2)])
    def test_on_says_what_a_request_is(self, on, n):
        work = call("3", parent="x", operation=None, name="work")
        assert fed([call("1"), call("2", parent="y"), work], on=on).figures().total_requests == n

    @given(RECORDS, st.integers(0, 30), st.booleans())
    def test_parts_merged_in_either_order_are_the_whole(self, records, cut, swap):
        whole, parts = fed(records).figures(), [fed(records[:cut]), fed(records[cut:])]
        first, second = reversed(parts) if swap else parts
        first.merge(copy.deepcopy(second))
        merged = first.figures()
        for name in ("total_requests", "successful", "failed", "unknown", "unpriced", "input_tokens", "event_counts"):
            assert getattr(merged, name) == getattr(whole, name)
        for name in ("latency_mean", "latency_std_dev", "cost_total"):
            assert (getattr(merged, name) is None) == (getattr(whole, name) is None)
            assert getattr(merged, name) is None or close(getattr(merged, name), getattr(whole, name))

    def test_reset_forgets_the_figures_and_not_what_is_open(self):
        found = fed([call("1"), call("2", status="open")], on="llm")
        found.reset()
        assert (found.figures().total_requests, found.figures().open, found.figures().event_counts) == (1, 1, {})
        found.add(call("2", duration_ms=3.0))
        assert (found.figures().latency_mean, found.figures().open) == (3.0, 0)
