from __future__ import annotations

import pytest

from tele.analysis import analyze

MS = 1_000_000


def chat(start, ms, **fields):
    fields |= {"start_ns": round(start * MS), "end_ns": round((start + ms) * MS), "duration_ms": float(ms)}
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def test_others_in_flight_are_counted_where_a_request_begins(log):
    # a 0..100, b 10..20, c 20..60 (begins as b ends), d 30..90, and one that has not ended
    log.add(
        [chat(0, 100), chat(10, 10), chat(20, 40), chat(30, 60), chat(5, 0) | {"end_ns": None, "duration_ms": None}]
    )

    [found] = analyze(log, "trial", detail=["load"]).detail["load"]

    assert found.max_others == 3
    assert found.mean_others == (0 + 2 + 2 + 3) / 4
    assert [(one.least, one.most, one.count) for one in found.levels] == [(0, 0, 1), (2, 3, 3)]


def test_slope_correlation_and_their_interval_are_those_of_a_regression(log):
    numpy = pytest.importorskip("numpy")
    stats = pytest.importorskip("scipy.stats")
    chance = numpy.random.default_rng(2)
    starts = numpy.cumsum(chance.exponential(20, 400))
    took = chance.exponential(100, 400) + 5
    log.add(chat(round(a, 3), round(b, 3)) for a, b in zip(starts, took, strict=True))
    starts, took = numpy.round(starts, 3), numpy.round(took, 3)
    others = [sum((starts < s) & (starts + took > s)) for s in starts]

    [found] = analyze(log, "trial", detail=["load"]).detail["load"]

    told = stats.linregress(others, took)
    assert found.slope_ms == pytest.approx(told.slope)
    assert found.correlation == pytest.approx(told.rvalue)
    half = stats.norm.ppf(0.975) * told.stderr
    assert found.slope_interval == pytest.approx((told.slope - half, told.slope + half))


def test_a_group_that_ran_at_a_busier_time_is_compared_at_equal_load(log):
    # in both groups a request takes 100 ms and 50 for each other in flight; one group runs three at a time
    quiet = [chat(n * 1000, 100, condition="quiet") for n in range(5)]
    quiet += [
        r
        for n in range(5, 10)
        for r in (chat(n * 1000, 100, condition="quiet"), chat(n * 1000 + 1, 150, condition="quiet"))
    ]
    busy = [chat(20_000 + n * 1000 + k, 100 + 50 * k, condition="busy") for n in range(10) for k in range(3)]
    log.add([*quiet, *busy])

    found = {one.key["condition"]: one for one in analyze(log, "trial", detail=["load"]).detail["load"]}

    assert found["busy"].mean_ms > found["quiet"].mean_ms + 20
    assert found["busy"].adjusted_mean_ms == pytest.approx(found["quiet"].adjusted_mean_ms)
