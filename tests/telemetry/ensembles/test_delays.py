"""When a second request is due."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ensembles.delays import Adaptive, Fixed, Percentile, quantile

LATENCIES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@given(LATENCIES, st.floats(0, 1))
def test_quantiles_are_numpys(values, share):
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-9)


def test_a_fixed_delay_learns_nothing():
    delay = Fixed(80)
    delay.saw(1000, fired=True)
    assert (delay.ms(), delay.samples, delay.strategy) == (80, 1, "fixed")


def test_a_percentile_waits_for_enough_latencies_and_forgets_old_ones():
    delay = Percentile(95, window=20, min_samples=10, initial_ms=100)
    for n in range(9):
        delay.saw(n, fired=False)
    assert (delay.ms(), delay.samples) == (100, 9)
    for n in range(1, 101):
        delay.saw(n, fired=False)
    assert delay.samples == 20
    assert delay.ms() == pytest.approx(float(np.percentile(range(81, 101), 95)))


def test_a_function_of_the_latencies_may_be_the_rule():
    def twice_the_median(seen):
        return 2 * sorted(seen)[len(seen) // 2]

    delay = Percentile(95, window=5, min_samples=1, initial_ms=7, of=twice_the_median)
    assert (delay.ms(), delay.strategy) == (7, "twice_the_median")
    delay.saw(30, fired=False)
    assert delay.ms() == 60


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_an_adaptive_delay_comes_to_hedge_the_share_that_was_asked_for(rate):
    chance = random.Random(11)
    delay = Adaptive(rate, initial_ms=1000, min_ms=0.1, max_ms=60_000)
    fired = []
    for _ in range(6000):
        latency = chance.lognormvariate(4, 0.6)
        fired.append(latency > delay.ms())
        delay.saw(latency, fired=fired[-1])
    assert sum(fired[1000:]) / 5000 == pytest.approx(rate, abs=0.01)


def test_an_adaptive_delay_stays_in_its_bounds():
    delay = Adaptive(0.05, initial_ms=5, min_ms=10, max_ms=20)
    assert delay.ms() == 10
    for _ in range(100):
        delay.saw(1, fired=True)
    assert delay.ms() == 20
    for _ in range(1000):
        delay.saw(1, fired=False)
    assert delay.ms() == 10
