from __future__ import annotations

import math

import pytest

from tele.analysis import analyze

SECOND = 1_000_000_000


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def started(run, **attributes):
    name = "tele.experiment.started"
    return {"kind": "event", "name": name, "run_id": run, "status": "unset", "success": None, "attributes": attributes}


def section(log, **options):
    return analyze(log, "trial", detail=["latency"], **options).detail["latency"]


def test_first_token_and_time_per_output_token_are_of_the_requests_that_state_them(log):
    log.add(
        [
            chat(duration_ms=1100.0, ttft_ms=100.0, output_tokens=11),
            chat(duration_ms=700.0, ttft_ms=300.0, output_tokens=5),
            chat(duration_ms=900.0, output_tokens=9),
            chat(duration_ms=50.0, ttft_ms=50.0, output_tokens=1),
            chat(duration_ms=9.0, ttft_ms=9.0, output_tokens=3, success=False, status="error"),
        ]
    )

    [found] = section(log)

    assert (found.ttft_ms.count, found.ttft_ms.p50, found.ttft_ms.max) == (3, 100.0, 300.0)
    assert (found.time_per_output_token_ms.count, found.time_per_output_token_ms.mean) == (2, 100.0)
    assert found.output_tokens_per_second.count == 4
    assert found.output_tokens_per_second.max == 20.0


def test_throughput_is_over_the_time_from_first_start_to_last_end(log):
    log.add(chat(start_ns=n * SECOND, end_ns=(n + 2) * SECOND, output_tokens=30) for n in range(9))

    [found] = section(log)

    assert (found.requests_per_second, found.tokens_per_second) == (0.9, 27.0)


def test_the_histogram_holds_every_request_between_its_edges(log):
    numpy = pytest.importorskip("numpy")
    values = [0.0, *map(float, numpy.random.default_rng(5).lognormal(4, 2, 500))]
    log.add(chat(duration_ms=value) for value in values)

    [found] = section(log)

    for one in found.histogram[1:]:
        assert one.count == sum(one.low_ms <= value < one.high_ms for value in values)
    assert found.histogram[0] == type(found.histogram[0])(None, 0.0, 1)
    assert sum(one.count for one in found.histogram) == 501


def test_the_points_of_the_distribution_are_shares_of_the_sample(log):
    values = [float(n * n) for n in range(1, 251)]
    log.add(chat(duration_ms=value) for value in values)

    [found] = section(log)

    for point in found.ecdf:
        assert point.share == sum(value <= point.ms for value in values) / 250
    assert (found.ecdf[-1].ms, found.ecdf[-1].share) == (62_500.0, 1.0)
    assert found.ecdf_band == pytest.approx(math.sqrt(math.log(40) / 500))


def test_timeouts_are_censored_where_the_run_declares_one(log):
    numpy = pytest.importorskip("numpy")
    survival = pytest.importorskip("tele.analysis.stats.survival")
    scipy = pytest.importorskip("scipy.stats")
    chance = numpy.random.default_rng(11)
    took = {name: chance.lognormal(8 + shift, 1, 300) for name, shift in (("a", 0.0), ("b", 0.4))}
    log.add(
        [
            started("r", timeout_ms=8_000),
            *(
                chat(run_id="r", condition=name, duration_ms=float(ms))
                if ms < 8_000
                else chat(run_id="r", condition=name, duration_ms=8_000.5, success=False, error_type="TimeoutError")
                for name, sample in took.items()
                for ms in sample
            ),
            chat(run_id="r", condition="a", duration_ms=1.0, success=False, status="error", error_type="429"),
        ]
    )

    found = {one.key["condition"]: one.censored for one in section(log)}

    for name, sample in took.items():
        whole = sample < 8_000
        seen = numpy.where(whole, sample, 8_000.5)
        assert (found[name].events, found[name].censored) == (whole.sum(), (~whole).sum())
        for label, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            told = survival.survival_quantile(seen, whole, q)
            expected = None if math.isinf(told.value) else pytest.approx(told.value)
            assert found[name].percentiles[label] == expected
            low, high = found[name].intervals[label]
            assert (low or math.inf, high or math.inf) == pytest.approx(told.interval)
    x, y = (scipy.CensoredData.right_censored(numpy.where(s < 8_000, s, 8_000.5), s >= 8_000) for s in took.values())
    assert found["b"].log_rank.p_value == pytest.approx(scipy.logrank(x=y, y=x).pvalue, rel=1e-9)
    assert found["a"].log_rank is None


def test_groups_of_two_keys_are_tested_against_the_first_with_ties_and_without_a_key(log):
    numpy = pytest.importorskip("numpy")
    survival = pytest.importorskip("tele.analysis.stats.survival")
    chance = numpy.random.default_rng(5)
    keys = [("a", "x"), ("a", None), (None, "x"), (None, None)]
    took = {key: numpy.minimum(chance.geometric(0.1 + 0.02 * i, 40 + i), 12) for i, key in enumerate(keys)}
    log.add([started("r", timeout_ms=12)])
    log.add(
        chat(run_id="r", condition=one, provider=two, duration_ms=float(ms), success=bool(ms < 12))
        for (one, two), sample in took.items()
        for ms in sample
    )

    found = {tuple(one.key.values()): one.censored.log_rank for one in section(log, by=["condition", "provider"])}

    assert found[keys[0]] is None
    first = took[keys[0]]
    for key in keys[1:]:
        told = survival.log_rank(took[key], took[key] < 12, first, first < 12)
        assert (found[key].statistic, found[key].n) == (pytest.approx(told.statistic, rel=1e-12), told.n)


def test_a_run_that_declares_no_timeout_censors_nothing(log):
    log.add([started("r"), chat(run_id="r", duration_ms=1.0), chat(run_id="r", success=False, error_type="Timeout")])

    [found] = section(log)

    assert found.censored is None
