"""Several attempts at each item: pass@k, pass^k, and the mean of shares, with intervals over items."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_quantile, t_quantile
from tele.analysis.stats.results import Estimate
from tele.analysis.stats.samples import Floats, confident, sample
from tele.errors import BadInput

__all__ = ["mean_of_shares", "pass_at_k", "pass_hat_k", "wilson_real"]


def pass_at_k(successes: ArrayLike, attempts: ArrayLike, k: int, *, confidence: float = 0.95) -> Estimate:
    """Return the chance that at least one of `k` attempts at an item succeeds (pass@k), its mean over items.

    `successes` c and `attempts` n are counts of each item; its estimate, 1 - C(n-c,k)/C(n,k), has no bias where k <= n.
    The interval is over items (see `mean_of_shares`). BadInput: no items, counts that are not whole, or an item with
    fewer than `k` attempts. M. Chen and others, "Evaluating large language models trained on
    code", arXiv 2107.03374 (2021).
    """
    c, n = _counts(successes, attempts, k)
    return mean_of_shares(1 - _chosen(n - c, n, k), confidence=confidence)


def pass_hat_k(successes: ArrayLike, attempts: ArrayLike, k: int, *, confidence: float = 0.95) -> Estimate:
    """Return the chance that all of `k` attempts at an item succeed (pass^k): the mean over items of C(c,k)/C(n,k).

    Arguments, interval and errors as `pass_at_k`. S. Yao and others, "τ-bench", arXiv 2406.12045 (2024).
    """
    c, n = _counts(successes, attempts, k)
    return mean_of_shares(_chosen(c, n, k), confidence=confidence)


def _counts(successes: ArrayLike, attempts: ArrayLike, k: int) -> tuple[Floats, Floats]:
    c, n = sample(successes, what="the successes", empty="items"), sample(attempts, what="the attempts", empty="items")
    if c.size != n.size:
        raise BadInput(f"There are successes of {c.size} items and attempts of {n.size}; give both of each.")
    if k < 1 or bool(np.any((c != np.floor(c)) | (n != np.floor(n)) | (c < 0) | (c > n))):
        raise BadInput("k must be at least 1, and counts whole with 0 <= successes <= attempts.")
    short = int(np.count_nonzero(n < k))
    if short:
        raise BadInput(f"{short} of {n.size} items have fewer than {k} attempts; run more, or ask for a smaller k.")
    return c, n


def _chosen(part: Floats, whole: Floats, k: int) -> Floats:
    """Return C(part, k) / C(whole, k) of each item, as a product that neither overflows nor cancels."""
    steps = np.arange(k)[:, None]
    return np.asarray(np.prod(np.maximum(part - steps, 0.0) / (whole - steps), axis=0), dtype=np.float64)


def mean_of_shares(shares: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return the mean of scores in [0, 1], one of each item, with an interval that stays within [0, 1].

    Wilson's interval at the number of yes-or-no items that would vary as much as these do, with Student's quantile in
    place of the normal one; for 0 and 1 alone it is close to Wilson's, and it has width when all items pass or fail.
    BadInput: no values, values that are not finite, or outside [0, 1]. E. L. Korn and B. I. Graubard, Survey
    Methodology 24 (1998), 193-201.
    """
    level = confident(confidence)
    x = sample(shares, empty="items")
    if float(x.min()) < 0 or float(x.max()) > 1:
        raise BadInput("A share is outside 0 to 1.")
    n, mean = x.size, min(1.0, max(0.0, float(x.mean())))
    variance = float(x.var(ddof=1)) if n > 1 else 0.0
    if variance <= 1e-24:  # noqa: PLR2004 - rounding of shares
        return Estimate(mean, wilson_real(mean, n, normal_quantile(0.5 + level / 2)), n, level, "Wilson over items")
    effective = mean * (1 - mean) / variance * (n - 1)
    z = t_quantile(0.5 + level / 2, n - 1)
    return Estimate(mean, wilson_real(mean, effective, z), n, level, "Wilson over items, effective n")


def wilson_real(p: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval for a rate `p` of a number of trials that need not be whole."""
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if p == 0 else max(0.0, centre - half)), (1.0 if p == 1 else min(1.0, centre + half))
