"""Two systems on the same items: the mean of the differences, item by item.

Average the replicates of an item first: rows of one item are not independent, and a test on rows rejects far too often
(0.144 to 0.272 instead of 0.05 where conditions suit items differently).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import t_interval, t_p
from tele.analysis.stats.results import Alternative, TestResult
from tele.analysis.stats.samples import Floats, codes, confident, constant, listing, pair, sample, sided
from tele.analysis.stats.summary import moments
from tele.errors import BadInput

__all__ = ["item_means", "paired_t"]


def item_means(values: ArrayLike, items: ArrayLike) -> tuple[Floats, list[object]]:
    """Return the mean over the rows of each item, and the items in order of first appearance.

    BadInput: values that are not finite, or another number of labels than of values.
    """
    x = sample(values)
    labels = listing(items)
    of = codes(labels, size=x.size, what="the items")
    counts = np.bincount(of)
    first = np.full(counts.size, x.size)
    np.minimum.at(first, of, np.arange(x.size))
    means = np.bincount(of, weights=x) / counts
    return means, [labels[position] for position in first]


def paired_t(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> TestResult:
    """Test whether `a` and `b`, paired by position, have the same mean; the estimate is the mean of `a - b`.

    Assumes independent pairs and a mean difference close to normal; `sign_flip` needs only symmetry. Pairs that are
    all equal give p = 1 and no interval. BadInput: lengths differ, fewer than two pairs, values that are not finite,
    or a difference that is the same in every pair and not 0 (t is then infinite and would claim certainty; `sign_flip`
    answers). Student, Biometrika 6 (1908), 1-25.
    """
    level, side = confident(confidence), sided(alternative)
    left, right = pair(a, b)
    m, test = moments(left - right), "paired t"
    if m.low == m.high == 0:
        return TestResult(test, 0.0, m.n - 1, 1.0, m.n, 0.0, None, "every pair is equal")
    error = m.error or 0.0
    if constant(error, float(np.abs(left).max()), float(np.abs(right).max())):
        raise BadInput(f"Every one of {m.n} pairs differs by {m.mean:.6g}, so t is not defined; use a sign-flip test.")
    t = m.mean / error
    interval = t_interval(m.mean, error, m.n - 1, level, side)
    return TestResult(test, t, m.n - 1, t_p(t, m.n - 1, side), m.n, m.mean, interval)
