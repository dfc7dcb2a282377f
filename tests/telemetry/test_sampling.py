"""The same traces are kept in every process, as many as the rate says."""

from __future__ import annotations

import random

import pytest

from tele.telemetry.sampling import keeps


def traces(count, seed=0):
    drawn = random.Random(seed)
    return [f"{drawn.getrandbits(128):032x}" for _ in range(count)]


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9])
def test_the_share_is_near_the_rate(rate):
    count = 20_000
    kept = sum(keeps(trace, rate) for trace in traces(count))
    # Six standard deviations of a binomial.
    assert abs(kept - rate * count) < 6 * (count * rate * (1 - rate)) ** 0.5


def test_all_are_kept_at_one_and_none_at_nothing():
    assert all(keeps(trace, 1.0) for trace in traces(1_000))
    assert not any(keeps(trace, 1e-18) for trace in traces(1_000))


def test_what_a_low_rate_keeps_a_higher_one_keeps_too():
    low, high = ({trace for trace in traces(5_000) if keeps(trace, rate)} for rate in (0.2, 0.4))
    assert low < high


def test_ids_that_differ_in_little_are_drawn_apart():
    kept = sum(keeps(f"{number:032x}", 0.5) for number in range(10_000))
    assert abs(kept - 5_000) < 6 * 50
