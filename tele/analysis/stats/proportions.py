"""Rates: Wilson to report, Clopper-Pearson to gate, Newcombe for the difference of two."""

from __future__ import annotations

import math

from tele.analysis.intervals import wilson as _wilson
from tele.analysis.stats.distributions import chi_square_p
from tele.analysis.stats.results import Estimate, Interval, TestResult
from tele.analysis.stats.samples import confident
from tele.errors import BadInput

__all__ = ["clopper_pearson", "counts", "newcombe", "one_proportion", "two_proportions", "wilson"]


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Return a rate in [0, 1] with Wilson's score interval, which covers its level on average: for reports.

    BadInput: no trials, counts that are not whole, or more successes than trials. E. B. Wilson, JASA 22 (1927).
    """
    level = confident(confidence)
    s, total = counts(successes, n)
    return Estimate(s / total, _wilson(s, total, confidence=level), total, level, "Wilson")


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Return a rate in [0, 1] with the interval that covers at least its level whatever the rate is: for gates.

    BadInput as `wilson`. C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413.
    """
    level = confident(confidence)
    s, total = counts(successes, n)
    return Estimate(s / total, _beta_bounds(s, total, (1 - level) / 2), total, level, "Clopper-Pearson")


def _beta_bounds(s: int, n: int, tail: float) -> Interval:
    from scipy.special import betaincinv

    low = 0.0 if s == 0 else float(betaincinv(s, n - s + 1, tail))
    high = 1.0 if s == n else float(betaincinv(s + 1, n - s, 1 - tail))
    return low, high


def one_proportion(successes: int, n: int, expected: float, *, confidence: float = 0.95) -> TestResult:
    """Test exactly whether a rate is `expected` (0 to 1), against either side; the interval is Clopper-Pearson's.

    The p-value adds the outcomes that are no likelier than the one seen. BadInput as `wilson`, or `expected` outside
    [0, 1]. Clopper and Pearson (1934).
    """
    from scipy.stats import binomtest

    found = clopper_pearson(successes, n, confidence=confidence)
    if not 0 <= expected <= 1:
        raise BadInput(f"The declared rate is {expected!r}; it must be between 0 and 1.")
    p = float(binomtest(int(successes), int(n), expected).pvalue)
    return TestResult("exact binomial", float(successes), None, min(1.0, p), found.n, found.value, found.interval)


def newcombe(successes_a: int, n_a: int, successes_b: int, n_b: int, *, confidence: float = 0.95) -> Interval:
    """Return the interval of rate a minus rate b, of independent samples, from their Wilson intervals.

    BadInput as `wilson`. R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    level = confident(confidence)
    (sa, na), (sb, nb) = counts(successes_a, n_a), counts(successes_b, n_b)
    a, b = sa / na, sb / nb
    low_a, high_a = _wilson(sa, na, confidence=level) or (0.0, 1.0)
    low_b, high_b = _wilson(sb, nb, confidence=level) or (0.0, 1.0)
    return a - b - math.hypot(a - low_a, high_b - b), a - b + math.hypot(high_a - a, b - low_b)


def two_proportions(successes_a: int, n_a: int, successes_b: int, n_b: int, *, confidence: float = 0.95) -> TestResult:
    """Test whether two independent rates are equal, by the N - 1 chi-square; the estimate is rate a - rate b.

    Holds its level where the smallest expected count is at least 1. All successes or all failures on both sides give
    p = 1. The interval is Newcombe's. BadInput as `wilson`. I. Campbell, Statistics in Medicine 26 (2007), 3661-3675.
    """
    interval = newcombe(successes_a, n_a, successes_b, n_b, confidence=confidence)
    (sa, na), (sb, nb) = counts(successes_a, n_a), counts(successes_b, n_b)
    total, hits = na + nb, sa + sb
    difference, test = sa / na - sb / nb, "N-1 chi-square of two rates"
    if hits in {0, total}:
        return TestResult(test, 0.0, 1.0, 1.0, (na, nb), difference, interval, "every outcome is the same")
    cross = sa * (nb - sb) - sb * (na - sa)
    statistic = cross * cross / (na * nb) * (total - 1) / (hits * (total - hits))
    return TestResult(test, statistic, 1.0, chi_square_p(statistic, 1), (na, nb), difference, interval)


def counts(successes: int, n: int) -> tuple[int, int]:
    """Return whole counts; BadInput where there is no trial or there are more successes than trials."""
    if n <= 0:
        raise BadInput("There are no trials, so there is no rate; nothing ran, or everything was left out.")
    if int(successes) != successes or int(n) != n or not 0 <= successes <= n:
        raise BadInput(f"{successes!r} successes of {n!r} trials is no count; give whole numbers, successes <= trials.")
    return int(successes), int(n)
