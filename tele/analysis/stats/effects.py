"""How large a difference is: in units, in standard deviations, as a chance of being larger, as a rate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_quantile, t_quantile
from tele.analysis.stats.proportions import counts, newcombe
from tele.analysis.stats.results import Effect, Interval
from tele.analysis.stats.samples import confident, constant, pair, sample
from tele.analysis.stats.summary import moments
from tele.analysis.stats.unpaired import placements
from tele.errors import BadInput

__all__ = ["a12", "cliffs_delta", "cohens_d", "hedges_g", "hedges_g_paired", "risk_difference"]


def cohens_d(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Effect:
    """Return the difference of means in pooled standard deviations, `a - b` of independent samples.

    The interval turns the noncentral t; it assumes normal values of one variance. Equal constant samples give 0
    without interval. BadInput: fewer than two values in one, values that are not finite, or no spread and a
    difference. J. H. Steiger, Psychological Methods 9 (2004), 164-182.
    """
    level = confident(confidence)
    one = moments(sample(a, least=2, what="the first sample"))
    two = moments(sample(b, least=2, what="the second sample"))
    df = one.n + two.n - 2
    pooled = math.sqrt((one.squares + two.squares) / df)
    if one.low == one.high == two.low == two.high:
        return Effect("Cohen's d", 0.0, None)
    if constant(pooled, one.mean, two.mean):
        raise BadInput("Both samples are constant and differ: without spread a standardised difference is not defined.")
    d = (one.mean - two.mean) / pooled
    scale = math.sqrt(1 / one.n + 1 / two.n)
    return Effect("Cohen's d", d, _noncentral(d, scale, df, level))


def hedges_g(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Effect:
    """Return Cohen's d times 1 - 3 / (4 df - 1), which takes out most of its bias in small samples.

    In pooled standard deviations, `a - b` of independent samples; assumptions and errors are those of `cohens_d`.
    L. V. Hedges, Journal of Educational Statistics 6 (1981), 107-128.
    """
    found = cohens_d(a, b, confidence=confidence)
    return _unbiased("Hedges' g", found, np.size(a) + np.size(b) - 2)


def hedges_g_paired(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Effect:
    """Return the mean of the differences `a - b`, paired by position, in standard deviations of the differences.

    Corrected for small samples as `hedges_g`; df is the number of pairs less one. It is not on the scale of the
    unpaired g: the same difference is larger the closer the pairs are. Equal pairs give 0 without interval. BadInput:
    lengths differ, fewer than three pairs, values that are not finite, or differences without spread that are not 0.
    """
    level = confident(confidence)
    left, right = pair(a, b, least=3)
    m = moments(left - right)
    if m.low == m.high == 0:
        return Effect("Hedges' g of pairs", 0.0, None)
    sd = m.sd or 0.0
    if constant(sd, float(np.abs(left).max()), float(np.abs(right).max())):
        raise BadInput("Every pair differs by the same: without spread a standardised difference is not defined.")
    d = m.mean / sd
    interval = _noncentral(d, 1 / math.sqrt(m.n), m.n - 1, level)
    return _unbiased("Hedges' g of pairs", Effect("", d, interval), m.n - 1)


def _unbiased(name: str, effect: Effect, df: int) -> Effect:
    shrink = 1 - 3 / (4 * df - 1)
    ends = effect.interval
    return Effect(name, effect.value * shrink, None if ends is None else (ends[0] * shrink, ends[1] * shrink))


_NEAR_NORMAL = 30.0


def _noncentral(d: float, scale: float, df: int, confidence: float) -> Interval:
    """Return the bounds of an effect whose t = d / scale has noncentrality effect / scale."""
    tail, t = (1 - confidence) / 2, d / scale
    return scale * _noncentrality(t, df, 1 - tail), scale * _noncentrality(t, df, tail)


def _noncentrality(t: float, df: int, p: float) -> float:
    """Return the noncentrality under which P(T <= t) is `p`; decreasing in `p`."""
    from scipy.optimize import brentq
    from scipy.special import nctdtr

    if abs(t) > _NEAR_NORMAL:  # the series of the noncentral t underflows; the normal approximation is good to 1e-3
        return t - normal_quantile(p) * math.sqrt(1 + t * t / (2 * df))
    if t < 0:
        return -_noncentrality(-t, df, 1 - p)
    reach = 10 + 4 * t / math.sqrt(df) + abs(t_quantile(p, df))

    def excess(shift: float) -> float:
        below = float(nctdtr(df, shift, t))
        return (float(shift < t) if math.isnan(below) else below) - p  # NaN far out, where it is 0 or 1

    return float(brentq(excess, t - reach, t + reach, xtol=1e-10))


def a12(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Effect:
    """Return P(a > b) + P(a = b) / 2 of independent samples, in [0, 1]; 1/2 is no difference.

    The interval is Brunner and Munzel's variance on the logit scale; where one sample lies wholly above the other, and
    where every value is tied, that variance is 0 and Newcombe's method 5 stands in. Takes ties and unequal spread.
    BadInput: fewer than two values in one, or values that are not finite. A. Vargha and H. D. Delaney, Journal of
    Educational and Behavioral Statistics 25 (2000), 101-132; R. G. Newcombe, Statistics in Medicine 25 (2006), 559-573.
    """
    level = confident(confidence)
    x, y = sample(a, least=2, what="the first sample"), sample(b, least=2, what="the second sample")
    value, parts = placements(x, y)
    error = math.sqrt(sum(parts))
    if error <= 1e-12 or value in {0.0, 1.0}:  # noqa: PLR2004 - rounding of shares in [0, 1]
        return Effect("A12", value, _newcombe5(value, x.size, y.size, normal_quantile(0.5 + level / 2)))
    df = sum(parts) ** 2 / (parts[0] ** 2 / (x.size - 1) + parts[1] ** 2 / (y.size - 1))
    centre = math.log(value / (1 - value))
    half = t_quantile(0.5 + level / 2, df) * error / (value * (1 - value))
    return Effect("A12", value, (_expit(centre - half), _expit(centre + half)))


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else 1 - 1 / (1 + math.exp(min(x, 700.0)))


def _newcombe5(value: float, m: int, n: int, z: float) -> Interval:
    """Return the shares θ with |value - θ| = z × sd(θ), which stay inside [0, 1] and have width at its ends."""
    from scipy.optimize import brentq

    half = (m + n) / 2 - 1

    def excess(share: float) -> float:
        spread = share * (1 - share) * (1 + half * ((1 - share) / (2 - share) + share / (1 + share))) / (m * n)
        return (value - share) ** 2 - z * z * spread

    low = 0.0 if value == 0 else float(brentq(excess, 1e-15, min(value, 1 - 1e-12)))
    high = 1.0 if value == 1 else float(brentq(excess, max(value, 1e-12), 1 - 1e-15))
    return low, high


def cliffs_delta(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Effect:
    """Return P(a > b) - P(a < b) of independent samples, in [-1, 1]: 2 × A12 - 1, in O(n log n).

    Interval and errors are those of `a12`. N. Cliff, Psychological Bulletin 114 (1993), 494-509.
    """
    found = a12(a, b, confidence=confidence)
    low, high = found.interval or (0.0, 1.0)
    return Effect("Cliff's delta", 2 * found.value - 1, (2 * low - 1, 2 * high - 1))


def risk_difference(successes_a: int, n_a: int, successes_b: int, n_b: int, *, confidence: float = 0.95) -> Effect:
    """Return rate a - rate b of independent samples with Newcombe's interval; BadInput as `newcombe`."""
    interval = newcombe(successes_a, n_a, successes_b, n_b, confidence=confidence)
    (sa, na), (sb, nb) = counts(successes_a, n_a), counts(successes_b, n_b)
    return Effect("risk difference", sa / na - sb / nb, interval)
