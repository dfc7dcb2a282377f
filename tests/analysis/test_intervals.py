from __future__ import annotations

import math

import pytest

from tele.analysis import quantile_ranks, wilson
from tele.analysis.intervals import Ranks, clopper_pearson


def test_wilson_gives_the_intervals_that_newcombe_published():
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3: four decimals.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }

    found = {case: tuple(round(end, 4) for end in wilson(*case)) for case in published}

    assert found == published


def test_wilson_is_symmetric_and_closed_at_the_ends():
    low, high = wilson(7, 50)

    assert wilson(43, 50) == (pytest.approx(1 - high), pytest.approx(1 - low))
    assert wilson(50, 50)[1] == 1.0
    assert wilson(0, 0) is None


def test_wilson_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")

    for successes, n in ((3, 9), (99, 100), (9_998, 10_000)):
        theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert wilson(successes, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    ("successes", "n"),
    [(0, 5), (5, 5), (1, 2), (3, 9), (99, 100), (9_998, 10_000), (1, 1_000_000), (9_700_000, 10_000_000)],
)
def test_clopper_and_pearson_agree_with_scipy(successes, n):
    stats = pytest.importorskip("scipy.stats")

    theirs = stats.binomtest(successes, n).proportion_ci(method="exact")

    assert clopper_pearson(successes, n) == pytest.approx((theirs.low, theirs.high), abs=1e-11)


def test_clopper_and_pearson_of_no_trials_is_none():
    assert clopper_pearson(0, 0) is None


def test_ranks_hold_the_binomial_tails_at_two_and_a_half_per_cent():
    binom = pytest.importorskip("scipy.stats").binom

    for n in (1, 2, 6, 20, 71, 72, 73, 150, 367, 368, 369, 1_000, 12_345):
        for q in (0.5, 0.9, 0.95, 0.99):
            below = binom.cdf(range(n), n, q)  # below[rank - 1] = P(fewer than rank values lie below the quantile)
            low = max((rank for rank in range(1, n + 1) if below[rank - 1] <= 0.025), default=None)
            high = min((rank for rank in range(1, n + 1) if below[rank - 1] >= 0.975), default=None)
            assert quantile_ranks(n, q) == Ranks(low, high)


@pytest.mark.parametrize(("q", "smallest"), [(0.95, 72), (0.99, 368)])
def test_an_upper_bound_exists_from_the_sample_size_that_the_formula_gives(q, smallest):
    assert smallest == math.ceil(math.log(0.025) / math.log(q))

    assert quantile_ranks(smallest - 1, q).high is None
    assert quantile_ranks(smallest, q).high == smallest


def test_ten_million_values_cost_no_ten_million_steps():
    binom = pytest.importorskip("scipy.stats").binom

    ranks = quantile_ranks(10_000_000, 0.99)

    assert binom.cdf(ranks.low - 1, 10_000_000, 0.99) <= 0.025 < binom.cdf(ranks.low, 10_000_000, 0.99)
    assert binom.cdf(ranks.high - 1, 10_000_000, 0.99) >= 0.975 > binom.cdf(ranks.high - 2, 10_000_000, 0.99)
