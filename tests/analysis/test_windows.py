"""Windows over an experiment, against figures worked out in plain Python."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tele
from tele.analysis.windows import Window, between, events_in, figures_in, last, last_n, sliding
from tele.errors import BadInput, UnknownExperiment
from tele.testing import temporary_store

SECOND = 1_000_000_000
T0 = 1_750_000_000 * SECOND
NOW = datetime.fromtimestamp(1_750_000_060, UTC)


def at(seconds, **more):
    start = None if seconds is None else T0 + round(seconds * SECOND)
    return {"start_ns": start, "duration_ms": 10.0, "operation": "chat", "input_tokens": 1} | more


def starts(rows):
    return [(row["start_ns"] - T0) / SECOND for row in rows]


class TestEvents:
    def test_a_range_has_both_its_ends(self, log):
        log.add([at(0), at(1), at(2), at(3), at(None)])
        window = between(T0 + SECOND, datetime.fromtimestamp(1_750_000_002, UTC))
        assert starts(events_in(log, "trial", window)) == [1, 2]
        assert events_in(log, "trial", between(T0 + 3 * SECOND, T0)) == []

    def test_the_times_of_two_rows_take_in_both_however_finely_they_were_clocked(self):
        with temporary_store(frozen=True) as store:
            for _ in range(3):
                store.clock.advance(1.000_000_7)
                tele.event("tick")
            with store.open() as reader:
                first, _, third = (time for (time,) in reader.rows("SELECT time FROM events ORDER BY time"))
                assert len(events_in(reader, "default", between(first, third))) == 3
                assert len(events_in(reader, "default", last(seconds=1, now=third))) == 1
                assert len(events_in(reader, "default", last(seconds=3, now=third.isoformat()))) == 3

    def test_the_last_minutes_end_now_and_have_both_ends(self, log):
        log.add([at(-0.001), at(0), at(59), at(60), at(60.001)])
        assert starts(events_in(log, "trial", last(minutes=1, now=NOW))) == [0, 59, 60]
        assert starts(events_in(log, "trial", last(seconds=1, now="2025-06-15T15:07:40Z"))) == [59, 60]
        assert len(events_in(log, "trial", last(hours=1, now=NOW))) == 4

    def test_the_last_n_are_the_newest_oldest_first(self, log):
        log.add([at(3), at(1), at(2), at(None)])
        assert starts(events_in(log, "trial", last_n(2))) == [2, 3]
        assert starts(events_in(log, "trial", last_n(99))) == [1, 2, 3]

    def test_nothing_is_in_a_window_of_nothing(self, log):
        log.add([at(60)])
        assert events_in(log, "trial", last_n(0)) == events_in(log, "trial", last(now=NOW)) == []

    def test_now_is_this_moment_where_nobody_says(self, log, tele_store):
        from tele.telemetry.ambient import ambient

        log.add([at(0), {"start_ns": ambient.now()}])
        assert len(events_in(log, "trial", last(minutes=5))) == 1

    def test_filters_are_equal_columns_attributes_tags_lists_and_what_is_missing(self, log):
        log.add(
            [
                at(1, condition="a", success=True, attributes={"user": "u", "n": 3, "beta": True}),
                at(2, condition="b", success=False, tags=["x", "y"]),
                at(3, condition="a", success=None),
            ]
        )

        def found(**where):
            return starts(events_in(log, "trial", Window(), where=where))

        assert found(condition="a") == [1, 3]
        assert found(success=False) == [2]
        assert found(success=None) == [3]
        assert found(condition=["b", "c"]) == [2]
        assert found(user="u") == found(n=3) == found(beta=True) == [1]
        assert found(tags="y") == [2]
        assert found(condition="a", success=True) == [1]
        with pytest.raises(BadInput, match="neither a column nor an attribute"):
            found(conditon="a")

    def test_filters_come_before_the_count(self, log):
        log.add([at(1, condition="a"), at(2, condition="b"), at(3, condition="b")])
        assert starts(events_in(log, "trial", last_n(1), where={"condition": "a"})) == [1]

    def test_columns_may_be_chosen(self, log):
        log.add([at(1)])
        assert events_in(log, "trial", last_n(1), columns=["name", "duration_ms"]) == [
            {"name": "work", "duration_ms": 10.0}
        ]
        with pytest.raises(BadInput, match="no column"):
            events_in(log, "trial", last_n(1), columns=["nam"])

    @pytest.mark.parametrize(
        "make",
        [
            lambda: last_n(-1),
            lambda: last_n(1.5),
            lambda: last(minutes=-1),
            lambda: last(seconds=float("nan")),
            lambda: between("yesterday", 0),
            lambda: between(datetime(2025, 1, 1), 0),  # noqa: DTZ001  # that is the mistake
        ],
    )
    def test_a_window_that_cannot_be_is_refused(self, make):
        with pytest.raises(BadInput):
            make()

    def test_an_unknown_experiment_is_refused(self, log):
        with pytest.raises(UnknownExperiment):
            events_in(log, "none", last_n(1))


def test_figures_of_a_window_are_those_of_its_requests(log):
    durations = [5.0, 7.0, 30.0, 2.0]
    log.add(at(n, duration_ms=d, cost_usd=d / 100, condition="ab"[n % 2]) for n, d in enumerate(durations))
    [group] = figures_in(log, "trial", last_n(3))
    assert (group.latency.count, group.latency.mean) == (3, pytest.approx(13))
    assert group.latency.std_dev == pytest.approx(statistics.stdev(durations[1:]))
    assert group.cost.total == pytest.approx(0.39)
    by = figures_in(log, "trial", between(T0, T0 + 2 * SECOND), by=["condition"], where={"success": True})
    assert [(each.key, each.latency.mean) for each in by] == [({"condition": "a"}, 17.5), ({"condition": "b"}, 7.0)]


class TestSliding:
    def test_windows_are_half_open_begin_at_the_first_request_and_leave_the_empty_ones_out(self, log):
        log.add(
            [
                at(0, duration_ms=10.0, cost_usd=0.1),
                at(9.999999999, duration_ms=20.0, cost_usd=0.2),
                at(10, success=False, duration_ms=999.0),
                at(35, success=None, duration_ms=None),
                at(None),
            ]
        )
        found = sliding(log, "trial", 10)
        seen = [
            ((w.start_ns - T0) / SECOND, w.event_count, w.mean_latency, w.total_cost, w.success_count, w.failure_count)
            for w in found.windows
        ]
        assert seen == [
            (0, 2, 15.0, pytest.approx(0.3), 2, 0),
            (10, 1, None, None, 0, 1),
            (30, 1, None, None, 0, 0),
        ]
        assert (found.on, found.untimed) == ("llm", 1)
        assert (found.windows[0].window_start, found.windows[0].window_end) == (
            "2025-06-15T15:06:40.000000Z",
            "2025-06-15T15:06:50.000000Z",
        )

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        moments=st.lists(st.integers(0, 400), min_size=1, max_size=30),
        size=st.integers(1, 120),
        step=st.integers(1, 120),
    )
    def test_each_window_holds_what_plain_python_puts_there(self, log, moments, size, step):
        log.con.execute("DELETE FROM events")
        log.add(at(moment, duration_ms=float(moment)) for moment in moments)
        found = {w.start_ns: (w.event_count, w.mean_latency) for w in sliding(log, "trial", size, step).windows}
        first, end = min(moments), max(moments)
        wanted = {}
        for start in range(first, end + 1, step):
            held = [m for m in moments if start <= m < start + size]
            if held:
                wanted[T0 + start * SECOND] = (len(held), pytest.approx(statistics.fmean(held)))
        assert found == wanted

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(moments=st.lists(st.floats(0, 1e5), min_size=1, max_size=30), size=st.floats(0.5, 1e4))
    def test_side_by_side_they_partition_the_requests(self, log, moments, size):
        log.con.execute("DELETE FROM events")
        log.add(at(moment) for moment in moments)
        windows = sliding(log, "trial", timedelta(seconds=size)).windows
        assert sum(window.event_count for window in windows) == len(moments)
        assert all(a.end_ns <= b.start_ns for a, b in pairwise(windows))

    def test_requests_are_those_of_on_and_of_the_filter(self, log):
        log.add([at(0, condition="a"), at(1, condition="b"), at(2, operation="execute_tool")])
        assert sliding(log, "trial", 60, where={"condition": "a"}).windows[0].event_count == 1
        assert sliding(log, "trial", 60, on="all").windows[0].event_count == 3

    @pytest.mark.parametrize(("size", "step"), [(0, 1), (-1, 1), (1, 0), (float("inf"), 1), (3600, 0.01)])
    def test_sizes_and_steps_that_cannot_be_are_refused(self, log, size, step):
        log.add([at(0)])
        with pytest.raises(BadInput):
            sliding(log, "trial", size, step)
