"""Two systems on different items: Welch's t, Brunner-Munzel and Mann-Whitney."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_p, t_interval, t_p
from tele.analysis.stats.ranks import midranks, ties
from tele.analysis.stats.results import Alternative, TestResult
from tele.analysis.stats.samples import Floats, confident, constant, sample, sided
from tele.analysis.stats.summary import Moments, moments
from tele.errors import BadInput

__all__ = ["brunner_munzel", "mann_whitney", "placements", "welch"]

_EXACT_UP_TO = 2_500  # products of sizes up to which the exact distribution of U is counted


def welch(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> TestResult:
    """Test whether two independent samples have the same mean, variances free; the estimate is mean(a) - mean(b).

    Assumes independent values within and between samples and means close to normal. Samples that are constant at the
    same value give p = 1 and no interval. BadInput: fewer than two values in one, values that are not finite, or two
    constant samples that differ. B. L. Welch, Biometrika 34 (1947), 28-35; degrees of freedom after Satterthwaite.
    """
    level, side = confident(confidence), sided(alternative)
    one, two = _two(a, b)
    difference, test = one.mean - two.mean, "Welch's t"
    parts = (one.error or 0.0) ** 2, (two.error or 0.0) ** 2
    error = math.sqrt(sum(parts))
    if one.low == one.high and two.low == two.high and one.low == two.low:
        return TestResult(test, 0.0, one.n + two.n - 2, 1.0, (one.n, two.n), 0.0, None, "every value is the same")
    if constant(error, one.mean, two.mean):
        raise BadInput(
            f"Both samples are constant, at {one.mean:.6g} and {two.mean:.6g}: without spread t is not defined."
        )
    shares = parts[0] / error**2, parts[1] / error**2
    df = 1 / (shares[0] ** 2 / (one.n - 1) + shares[1] ** 2 / (two.n - 1))
    t = difference / error
    interval = t_interval(difference, error, df, level, side)
    return TestResult(test, t, df, t_p(t, df, side), (one.n, two.n), difference, interval)


def _two(a: ArrayLike, b: ArrayLike) -> tuple[Moments, Moments]:
    return (
        moments(sample(a, least=2, what="the first sample")),
        moments(sample(b, least=2, what="the second sample")),
    )


def mann_whitney(a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided") -> TestResult:
    """Test whether two independent samples have one distribution; the estimate is A12 = P(a > b) + P(a = b) / 2.

    Exact where there are no ties and n_a × n_b <= 2,500, else normal with tie and continuity correction (`note` says
    which). The statistic is U of `a`. As a test of A12 = 1/2 it assumes equal shapes: `brunner_munzel` does not.
    Values that are all equal give p = 1. BadInput: an empty sample, or values that are not finite.
    H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947), 50-60.
    """
    side = sided(alternative)
    x, y = sample(a, what="the first sample"), sample(b, what="the second sample")
    m, n, test = x.size, y.size, "Mann-Whitney U"
    both = np.concatenate((x, y))
    tied = ties(both)
    u = float(midranks(both)[:m].sum()) - m * (m + 1) / 2
    p, note = 1.0, "every value is the same"
    if tied.size == 1 and m + n > 1:
        pass
    elif m * n <= _EXACT_UP_TO and tied.size == m + n:
        p, note = _exact_p(x, y, side), "exact"
    else:
        spread = m * n / 12 * ((m + n + 1) - float((tied**3 - tied).sum()) / ((m + n) * (m + n - 1)))
        off = u - m * n / 2
        shift = {"two-sided": math.copysign(min(0.5, abs(off)), off), "less": -0.5, "greater": 0.5}[side]
        p, note = min(1.0, normal_p((off - shift) / math.sqrt(spread), side)), "normal, corrected for ties"
    return TestResult(test, u, None, p, (m, n), u / (m * n), None, note)


def _exact_p(x: Floats, y: Floats, side: Alternative) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(x, y, alternative=side, method="exact").pvalue)


def brunner_munzel(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> TestResult:
    """Test whether A12 = P(a > b) + P(a = b) / 2 is 1/2; the estimate is A12, a share in [0, 1].

    Takes ties, skew and unequal spread; t approximation, for at least about 10 values in each. Where one sample lies
    wholly above the other (or all values are equal) the variance is 0 and the test is not defined: BadInput names
    `mann_whitney`, which answers. BadInput also: fewer than two values in one, or values that are not finite.
    E. Brunner and U. Munzel, Biometrical Journal 42 (2000), 17-25.
    """
    level, side = confident(confidence), sided(alternative)
    x, y = sample(a, least=2, what="the first sample"), sample(b, least=2, what="the second sample")
    superior, parts = placements(x, y)
    error = math.sqrt(sum(parts))
    if error <= 1e-12:  # noqa: PLR2004 - rounding of shares in [0, 1]
        raise BadInput(
            f"The ranks of the two samples have no spread (A12 is {superior:.6g}), so Brunner-Munzel is not defined; "
            "use Mann-Whitney."
        )
    df = sum(parts) ** 2 / (parts[0] ** 2 / (x.size - 1) + parts[1] ** 2 / (y.size - 1))
    t = (superior - 0.5) / error
    low, high = t_interval(superior, error, df, level, side)
    bounds = (low if math.isinf(low) else max(0.0, low), high if math.isinf(high) else min(1.0, high))
    return TestResult("Brunner-Munzel", t, df, t_p(t, df, side), (x.size, y.size), superior, bounds)


def placements(x: Floats, y: Floats) -> tuple[float, tuple[float, float]]:
    """Return A12 and the two parts of its variance, from the share of the other sample below each value."""
    ordered_x, ordered_y = np.sort(x), np.sort(y)
    of_x = _below(x, ordered_y)
    of_y = _below(y, ordered_x)
    return float(of_x.mean()), (float(of_x.var(ddof=1)) / x.size, float(of_y.var(ddof=1)) / y.size)


def _below(values: Floats, ordered: Floats) -> Floats:
    """Return for each value the share of `ordered` below it, ties half."""
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    return np.asarray((left + right) / (2 * ordered.size), dtype=np.float64)
