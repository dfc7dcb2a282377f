"""Intervals: of a proportion (Wilson; Clopper and Pearson), and of a percentile (order statistics)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

__all__ = ["Ranks", "clopper_pearson", "quantile_ranks", "wilson"]


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return Wilson's score interval of a proportion, both ends in [0, 1]; None where `n` is 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212.
    """
    if n == 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, zz = successes / n, z * z
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = z / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the exact interval of a proportion, which covers it at least so often; None where `n` is 0.

    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413. Solved by Newton's method on the binomial tails
    without scipy, which takes longer to import than an analysis takes; costs O(sqrt(n)).
    """
    if n == 0:
        return None
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _at_tail(successes, n, tail)
    high = 1.0 if successes == n else 1 - _at_tail(n - successes, n, tail)
    return low, high


def _at_tail(k: int, n: int, tail: float) -> float:
    """Return the p at which P(Binomial(n, p) >= k) is `tail`; 0 < k <= n."""
    if k == n:
        return float(tail ** (1 / n))
    rough = wilson(k, n)
    low, high, p = 0.0, k / n, max(rough[0], 1e-300) if rough else 0.5
    for _ in range(200):
        weight = math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(p)
            + (n - k) * math.log1p(-p)
        )
        above = _upper(k, n, p, weight) - tail
        low, high = (low, p) if above > 0 else (p, high)
        step = above * p / (weight * k) if weight else math.inf  # the derivative of the tail is k / p times the weight
        after = p - step if low < p - step < high else (low + high) / 2
        if abs(after - p) <= 1e-14 * p:
            return after
        p = after
    return p


def _upper(k: int, n: int, p: float, weight: float) -> float:
    """Return P(Binomial(n, p) >= k), `weight` being that of k itself, which lies above the mean."""
    total, odds = weight, p / (1 - p)
    while k < n and weight > total * 1e-17:
        weight *= (n - k) / (k + 1) * odds
        k += 1
        total += weight
    return total


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which ordered values bound a quantile, counted from 1; None where the sample is too small for that bound."""

    low: int | None
    high: int | None


@lru_cache(maxsize=4096)
def quantile_ranks(n: int, q: float, *, confidence: float = 0.95) -> Ranks:
    """Return the ranks whose values bound quantile `q` of `n` independent values with at least `confidence`.

    The number of values below the quantile is Binomial(n, q), so the interval from rank l to rank u covers it with
    probability P(l <= B < u) whatever the distribution is; each side leaves out at most (1 - confidence) / 2.
    H. A. David and H. N. Nagaraja, "Order Statistics", 3rd ed. (2003), section 7.1. Costs O(sqrt(n)).
    """
    tail = (1 - confidence) / 2
    below = _largest_below(n, q, tail)
    above = _largest_below(n, 1 - q, tail)
    return Ranks(low=None if below is None else below + 1, high=None if above is None else n - above)


def _largest_below(n: int, q: float, tail: float) -> int | None:
    """Return the largest k with P(Binomial(n, q) <= k) <= tail, or None where even k = 0 exceeds it."""
    k = max(0, math.floor(n * q - 8 * math.sqrt(n * q * (1 - q)) - 20))  # what lies below weighs less than 1e-14
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    weight = math.exp(choose + k * math.log(q) + (n - k) * math.log1p(-q))
    total, found, odds = weight, None, q / (1 - q)
    while total <= tail and k < n:
        weight *= (n - k) / (k + 1) * odds
        found, k = k, k + 1
        total += weight
    return found
