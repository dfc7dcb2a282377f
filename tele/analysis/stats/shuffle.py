"""Two-sample permutation: every way to deal the values out to the two sides, or ten thousand of them.

Under the null hypothesis that both samples come from one distribution, every choice of which values are the first
side's is equally likely. Eight values make one byte of such a choice, and their 256 sums are tabled, so that a draw
costs one look-up for eight values. A choice of a fixed size is drawn as independent bits of about the right rate, to
which values are then added, or from which they are taken, one at a time and each as likely as any other.

A sum and the sum of the squares beside it are one complex number here: they are looked up and added together.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tele.analysis.stats.distributions import normal_quantile
from tele.analysis.stats.results import Alternative, TestResult
from tele.analysis.stats.samples import Floats, sample, sided
from tele.errors import BadInput

__all__ = ["Statistic", "permutation"]

Statistic = Literal["t", "mean"]
"""Welch's t, or the difference of the means alone."""

_EXACT_UP_TO = 200_000
"""Ways to choose the smaller side, up to which all are counted."""
_MOST_IN_FULL = 2_000
"""Values up to which they are: with more, copying the sums costs more than drawing."""
_BIT = np.left_shift(1, np.arange(8)).astype(np.uint8)
Sums = NDArray[np.complex128]
"""Sums of values, and of their squares as the imaginary part."""
_BLOCK = 16_000_000  # bytes of the choices of one block of draws
_SLACK = 1e-10  # of t, or of the largest value: what differs by less is a tie
_FLAT = 1e-10  # standard error, of values of which the largest is 1, that is nothing but rounding


def permutation(
    a: ArrayLike,
    b: ArrayLike,
    *,
    statistic: Statistic = "t",
    alternative: Alternative = "two-sided",
    draws: int = 10_000,
    seed: int = 0,
) -> TestResult:
    """Test whether two independent samples have one distribution; the estimate is mean(a) - mean(b).

    Exact where there are at most 200,000 ways to deal the values out, else `draws` random ones with p = (hits + 1) /
    (draws + 1), the same for a `seed`; `note` says which. Two-sided p is twice the smaller tail, at most 1. With
    Welch's t, the default, it is nearly a test of equal means, whatever the spreads (about 0.06 for 0.05 with 60 and 30
    values, the 30 of three times the spread); the difference of means alone rejects 0.14 there. Assumes independent
    values. Values that are all equal give p = 1. BadInput: fewer than two values in one (one for `mean`), values that
    are not finite, two constant samples that differ (for `t`), or no draws. E. J. G. Pitman, JRSS Supplement 4 (1937),
    119-130; A. Janssen, Statistics & Probability Letters 36 (1997), 9-21; B. Phipson and G. K. Smyth, Statistical
    Applications in Genetics and Molecular Biology 9 (2010), 39.
    """
    side = sided(alternative)
    if statistic not in {"t", "mean"}:
        raise BadInput(f"The statistic {statistic!r} is unknown; it is t or mean.")
    least = 2 if statistic == "t" else 1
    x, y = sample(a, least=least, what="the first sample"), sample(b, least=least, what="the second sample")
    name, gap, sizes = f"permutation of {_NAMES[statistic]}", float(x.mean() - y.mean()), (x.size, y.size)
    values = np.concatenate((x, y)) - float(np.concatenate((x, y)).mean())
    largest = float(np.abs(values).max())
    if largest == 0 or x.min() == x.max() == y.min() == y.max():
        return TestResult(name, 0.0, None, 1.0, sizes, gap, None, "every value is the same")
    values /= largest
    score = _Score(values, sizes, statistic)
    both = values + 1j * values**2
    seen = float(score(both[: x.size].sum(keepdims=True))[0])
    if not math.isfinite(seen):
        raise BadInput("Both samples are constant, so t is not defined; use the statistic mean.")
    ways = math.comb(x.size + y.size, x.size) if x.size + y.size <= _MOST_IN_FULL else math.inf
    if ways <= _EXACT_UP_TO:
        drawn, extra, note = score(_every(both, x.size)), 0, f"exact, {ways:,.0f} ways"
    else:
        if draws < 1:
            raise BadInput(f"{draws} draws give no p-value; 10000 is usual.")
        drawn, extra, note = score(_drawn(both, x.size, draws, np.random.default_rng(seed))), 1, f"{draws} random ways"
    shown = seen if statistic == "t" else gap
    return TestResult(name, shown, None, _p(drawn, seen, side, extra), sizes, gap, None, note)


_NAMES = {"t": "Welch's t", "mean": "the difference of means"}


def _p(drawn: Floats, seen: float, side: Alternative, extra: int) -> float:
    slack = _SLACK * max(1.0, abs(seen))
    tails = {
        "less": (np.count_nonzero(drawn <= seen + slack) + extra) / (drawn.size + extra),
        "greater": (np.count_nonzero(drawn >= seen - slack) + extra) / (drawn.size + extra),
    }
    return float(min(1.0, 2 * min(tails.values())) if side == "two-sided" else tails[side])


class _Score:
    """The statistic of choices of the first side, from the sum of their values and of the squares."""

    def __init__(self, values: Floats, sizes: tuple[int, int], statistic: Statistic) -> None:
        self.m, self.n = sizes
        self.total, self.squares = float(values.sum()), float((values**2).sum())
        self.studentized = statistic == "t"

    def __call__(self, chosen: Sums) -> Floats:
        m, n, sums, rest = self.m, self.n, chosen.real, self.total - chosen.real
        gap = sums / m - rest / n
        if not self.studentized:
            return np.asarray(gap)
        first = np.maximum(chosen.imag - sums**2 / m, 0) / (m - 1) / m
        second = np.maximum(self.squares - chosen.imag - rest**2 / n, 0) / (n - 1) / n
        error = np.sqrt(first + second)
        flat = error <= _FLAT  # both sides of the choice are constant
        return np.asarray(np.where(flat, np.copysign(math.inf, gap), gap / np.where(flat, 1, error)))


def _every(both: Sums, size: int) -> Sums:
    """Return the sums of the first side, for all ways to choose it."""
    few = min(size, both.size - size)
    sums: list[Sums] = [np.zeros(1, complex), *(np.zeros(0, complex) for _ in range(few))]
    for left, value in zip(range(both.size - 1, -1, -1), both, strict=True):
        for taken in range(few, max(1, few - left) - 1, -1):  # smaller choices cannot grow to the size any more
            sums[taken] = np.concatenate((sums[taken], sums[taken - 1] + value))
    return sums[few] if few == size else both.sum() - sums[few]


def _drawn(both: Sums, size: int, draws: int, rng: np.random.Generator) -> Sums:
    """Return the sums of random choices of `size` values."""
    few, groups = min(size, both.size - size), -(-both.size // 8)
    tables = np.zeros((groups, 1), complex)
    for eighth in (
        np.pad(both, (0, groups * 8 - both.size)).reshape(groups, 8).T
    ):  # the sums of 1, 2, 4, ... 256 choices
        tables = np.concatenate((tables, tables + eighth[:, None]), axis=1)
    at_once = max(1, min(draws, _BLOCK // groups))
    blocks = []
    for start in range(0, draws, at_once):
        chosen = _chosen(both.size, few, min(at_once, draws - start), rng)
        sums, found = np.zeros((2, chosen.shape[1]), complex)
        for row, table in zip(chosen, tables, strict=True):
            np.take(table, row, out=found, mode="clip")  # unlike "raise", it writes where it is told to
            sums += found
        blocks.append(sums)
    drawn = np.concatenate(blocks)
    return drawn if few == size else both.sum() - drawn


def _chosen(n: int, size: int, draws: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return random choices of `size` (at most half) out of `n`, as packed bits: groups of eight x draws."""
    chosen = _coins(n, size, draws, rng)
    excess = np.bitwise_count(chosen).sum(axis=0, dtype=np.int32) - np.int32(size)
    flat = chosen.reshape(-1)
    open_ = np.flatnonzero(excess)
    over, left = excess[open_] > 0, np.abs(excess[open_])
    while open_.size:  # one try each: a value at random, taken or dropped where that helps, and left alone otherwise
        at = rng.integers(0, n, size=open_.size, dtype=np.int32)
        where = (at >> 3) * draws + open_
        byte, bit = flat[where], _BIT[at & 7]
        turn = ((byte & bit) != 0) == over
        flat[where] = byte ^ (bit * turn)
        left -= turn
        still = left > 0
        open_, over, left = open_[still], over[still], left[still]
    return chosen


def _coins(n: int, size: int, draws: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return independent bits of the rate from which the fewest tries lead to `size` of `n`.

    Dropping a value takes 1 / rate tries and adding one 1 / (1 - rate): the best rate is that at which there are too
    many in a share `rate` of the draws. It is taken to eight binary digits, each of which costs random bits.
    """
    rate = size / n
    rate -= math.sqrt(rate * (1 - rate) / n) * normal_quantile(1 - rate)
    digits = min(128, max(0, round(256 * rate)))
    groups = -(-n // 8)
    found = np.zeros((groups, draws), dtype=np.uint8)
    for digit in range(8):
        if digits & ((1 << (digit + 1)) - 1):
            fair = np.frombuffer(rng.bytes(groups * draws), dtype=np.uint8).reshape(groups, draws)
            found = found | fair if digits >> digit & 1 else found & fair
    if n % 8:
        found[-1] &= np.uint8((1 << n % 8) - 1)
    return found
