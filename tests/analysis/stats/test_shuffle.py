"""Two-sample permutations: scipy's counts where all ways are counted, its p-values within their error where not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tele.analysis.stats.shuffle import permutation
from tele.errors import BadInput

SIDES = ("two-sided", "less", "greater")


@pytest.fixture
def draw():
    return np.random.default_rng(20)


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def means(x, y, axis):
    return x.mean(axis=axis) - y.mean(axis=axis)


def students(x, y, axis):
    return means(x, y, axis) / np.sqrt(x.var(axis=axis, ddof=1) / x.shape[-1] + y.var(axis=axis, ddof=1) / y.shape[-1])


@pytest.mark.parametrize(("statistic", "theirs"), [("mean", means), ("t", students)])
@pytest.mark.parametrize(("m", "n"), [(5, 6), (3, 12), (12, 3)])
def test_an_exact_permutation_counts_what_scipy_counts(draw, m, n, statistic, theirs):
    a, b = draw.integers(0, 6, m) / 4 + draw.normal(size=m) * (m > 3), draw.integers(0, 6, n) / 4
    a[:2], b[:2] = (0, 1), (0, 1)  # ties, and spread on every side
    with np.errstate(divide="ignore", invalid="ignore"):
        for side in SIDES:
            found = permutation(a, b, statistic=statistic, alternative=side)
            told = stats.permutation_test((a, b), theirs, permutation_type="independent", alternative=side)
            assert found.note.startswith("exact")
            assert found.p_value == close(told.pvalue)
            assert found.statistic == close(told.statistic)


@pytest.mark.parametrize(("m", "n"), [(30, 30), (7, 200), (60, 25)])
def test_a_drawn_permutation_agrees_with_the_hypergeometric_within_its_error(draw, m, n):
    a, b = np.arange(m) % 3 == 0, np.arange(n) % 7 == 0

    found = permutation(a, b, statistic="mean", alternative="greater")
    exact = stats.fisher_exact([[a.sum(), m - a.sum()], [b.sum(), n - b.sum()]], alternative="greater").pvalue

    assert found.note == "10000 random ways"
    assert abs(found.p_value - exact) < 4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4
    assert found == permutation(a, b, statistic="mean", alternative="greater")
    assert found.p_value != permutation(a, b, statistic="mean", alternative="greater", seed=1).p_value


def test_a_drawn_permutation_agrees_with_scipys_draws(draw):
    a, b = draw.lognormal(size=70), 1.3 * draw.lognormal(size=30)
    for statistic, theirs in (("mean", means), ("t", students)):
        told = stats.permutation_test((a, b), theirs, permutation_type="independent", vectorized=True, rng=1).pvalue
        assert abs(permutation(a, b, statistic=statistic).p_value - told) < 6 * np.sqrt(told / 10_000)


def test_constants_that_differ_are_refused_by_t_and_counted_by_the_mean():
    with pytest.raises(BadInput, match="use the statistic mean"):
        permutation([1, 1, 1], [0, 0, 0])

    assert permutation([1, 1, 1], [0, 0, 0], statistic="mean").p_value == close(2 / 20)


def test_a_choice_is_of_its_size_and_every_value_is_chosen_as_often(draw):
    from tele.analysis.stats.shuffle import _chosen

    for n, size in ((37, 18), (200, 3), (64, 20)):
        bits = np.unpackbits(_chosen(n, size, 5_000, draw), axis=0, bitorder="little")[:n]
        assert set(bits.sum(axis=0)) == {size}
        assert stats.chisquare(bits.sum(axis=1)).pvalue > 1e-4
        pairs = bits[:-1] & bits[1:]  # and neighbours together no more often than any two
        assert pairs.sum() == pytest.approx(5_000 * (n - 1) * size * (size - 1) / n / (n - 1), rel=0.06, abs=60)
