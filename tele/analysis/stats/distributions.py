"""p-values and bounds from a statistic: Student's t, normal, F, chi-square. scipy.special is imported where used."""

from __future__ import annotations

import math
from statistics import NormalDist

from tele.analysis.stats.results import Alternative, Interval

__all__ = ["chi_square_p", "f_p", "normal_p", "normal_quantile", "t_interval", "t_p", "t_quantile"]


def t_p(t: float, df: float, alternative: Alternative = "two-sided") -> float:
    """Return the p-value of Student's t with `df` degrees of freedom (real, > 0)."""
    from scipy.special import stdtr

    if alternative == "two-sided":
        return min(1.0, 2 * float(stdtr(df, -abs(t))))
    return float(stdtr(df, t if alternative == "less" else -t))


def t_quantile(p: float, df: float) -> float:
    """Return the quantile `p` of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, p))


def t_interval(
    estimate: float, error: float, df: float, confidence: float, side: Alternative = "two-sided"
) -> Interval:
    """Return estimate ± t × error; one-sided alternatives leave the other bound open."""
    if side == "two-sided":
        half = t_quantile(0.5 + confidence / 2, df) * error
        return estimate - half, estimate + half
    half = t_quantile(confidence, df) * error
    return (-math.inf, estimate + half) if side == "less" else (estimate - half, math.inf)


def normal_p(z: float, alternative: Alternative = "two-sided") -> float:
    """Return the p-value of a standard normal statistic, exact in the tails."""
    if alternative == "two-sided":
        return math.erfc(abs(z) / math.sqrt(2))
    return math.erfc((-z if alternative == "less" else z) / math.sqrt(2)) / 2


def normal_quantile(p: float) -> float:
    """Return the quantile `p` of the standard normal."""
    return NormalDist().inv_cdf(p)


def chi_square_p(statistic: float, df: float) -> float:
    """Return P(chi-square with `df` degrees of freedom >= statistic)."""
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic))


def f_p(statistic: float, above: float, below: float) -> float:
    """Return P(F with (`above`, `below`) degrees of freedom >= statistic)."""
    from scipy.special import fdtrc

    return float(fdtrc(above, below, statistic))
