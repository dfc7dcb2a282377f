"""Sign-flip permutation: exact where few pairs differ, else ten thousand draws at the price of table look-ups.

Under the null hypothesis that each difference is as likely to be d as -d, every pattern of signs is equally likely.
Eight items make one byte of a pattern, and the 256 sums of their signed differences are tabled once: a draw of a whole
pattern is then one random byte and one look-up per eight items, in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tele.analysis.stats.results import Alternative, TestResult
from tele.analysis.stats.samples import Floats, pair, sided, table
from tele.errors import BadInput

__all__ = ["max_t", "sign_flip"]

_EXACT_UP_TO = 18
"""Differences that are not 0, up to which all 2^n patterns are counted."""
_BITS = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(np.float64) * 2 - 1
"""The 256 patterns of eight signs."""


def sign_flip(
    a: ArrayLike,
    b: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    draws: int = 10_000,
    seed: int = 0,
) -> TestResult:
    """Test whether the differences `a - b`, paired by position, are symmetric about 0; the estimate is their mean.

    Exact where at most 18 pairs differ (p is a count over 2^n), else `draws` random patterns with p = (hits + 1) /
    (draws + 1), the same for a `seed`; `note` says which. Assumes independent pairs (average replicates first). Pairs
    that are all equal give p = 1. BadInput: lengths differ, no pairs, values that are not finite, or no draws.
    R. A. Fisher, "The Design of Experiments" (1935), section 21; B. Phipson and G. K. Smyth, Statistical Applications
    in Genetics and Molecular Biology 9 (2010), 39.
    """
    side = sided(alternative)
    left, right = pair(a, b, least=1)
    d = left - right
    mean = float(d.mean())
    test, moving = "sign-flip permutation", d[d != 0]
    if moving.size == 0:
        return TestResult(test, 0.0, None, 1.0, d.size, 0.0, None, "every pair is equal")
    scale = float(np.abs(moving).max())
    moving = moving / scale
    if moving.size <= _EXACT_UP_TO:
        sums = _all_sums(moving)
        p, note = _share(sums, float(moving.sum()), side, moving.size), f"exact, {sums.size} patterns"
        return TestResult(test, mean, None, p, d.size, mean, None, note)
    if draws < 1:
        raise BadInput(f"{draws} draws give no p-value; 10000 is usual.")
    sums = _drawn_sums(moving, draws, np.random.default_rng(seed))
    hits = _share(sums, float(moving.sum()), side, moving.size) * draws
    p = (round(hits) + 1) / (draws + 1)
    return TestResult(test, mean, None, p, d.size, mean, None, f"{draws} random patterns")


def _share(sums: Floats, seen: float, side: Alternative, n: int) -> float:
    """Return the share of sums at least as extreme as the one seen; sums that differ by rounding alone are ties."""
    slack = 1e-13 * n * 8
    if side == "two-sided":
        return float(np.count_nonzero(np.abs(sums) >= abs(seen) - slack)) / sums.size
    return float(np.count_nonzero(sums <= seen + slack if side == "less" else sums >= seen - slack)) / sums.size


def _all_sums(d: Floats) -> Floats:
    """Return the sums under all 2^n patterns of signs."""
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _drawn_sums(d: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Return the sums under `draws` random patterns of signs."""
    groups = -(-d.size // 8)
    tables = np.pad(d, (0, groups * 8 - d.size)).reshape(groups, 8) @ _BITS.T
    sums = np.zeros(draws)
    for row in tables:
        sums += row[np.frombuffer(rng.bytes(draws), dtype=np.uint8)]
    return sums


def max_t(differences: ArrayLike, *, draws: int = 10_000, seed: int = 0) -> list[float]:
    """Return the p-value of each column (metric) of items x metrics, adjusted for all columns together.

    Westfall and Young's step-down maximum of |t| under sign flips that are shared by all columns of an item, so that
    correlated metrics cost less than Holm's correction asks. A column of zeros has p = 1. BadInput: fewer than two
    items, values that are not finite, or no draws. P. H. Westfall and S. S. Young, "Resampling-Based Multiple
    Testing" (1993), algorithm 2.8.
    """
    d = table(differences, what="the table of differences")
    if draws < 1:
        raise BadInput(f"{draws} draws give no p-value; 10000 is usual.")
    n, metrics = d.shape
    squares = (d**2).sum(axis=0)
    live = squares > 0
    unit = np.divide(d, np.sqrt(squares), out=np.zeros_like(d), where=live)
    seen = np.abs(unit.sum(axis=0))  # |t| grows with it, for any signs: the sum of squares is the same
    order = np.argsort(-seen, kind="stable")
    hits = np.zeros(metrics)
    for signs in _signs(n, draws, np.random.default_rng(seed)):
        drawn = np.abs(signs @ unit[:, order].astype(np.float32))
        largest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]  # of this metric and the weaker ones
        hits += np.count_nonzero(largest >= seen[order] - 1e-5, axis=0)
    adjusted = np.empty(metrics)
    adjusted[order] = np.maximum.accumulate((hits + 1) / (draws + 1))
    adjusted[~live] = 1.0
    return [float(p) for p in adjusted]


def _signs(n: int, draws: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of random signs, patterns x items, within some 40 MB."""
    at_once = max(1, min(draws, 10_000_000 // n))
    for start in range(0, draws, at_once):
        size = min(at_once, draws - start)
        bits = np.frombuffer(rng.bytes(size * -(-n // 8)), dtype=np.uint8).reshape(size, -1)
        signs = np.unpackbits(bits, axis=1, count=n).astype(np.float32)
        signs *= 2
        signs -= 1
        yield signs
