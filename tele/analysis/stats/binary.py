"""One outcome per item, success or failure, of two or more systems on the same items."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.intervals import wilson
from tele.analysis.stats.distributions import chi_square_p
from tele.analysis.stats.results import Alternative, Interval, TestResult
from tele.analysis.stats.samples import confident, flags, sided, table
from tele.errors import BadInput

__all__ = ["cochran_q", "mcnemar", "paired_newcombe"]


def mcnemar(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> TestResult:
    """Test exactly whether two systems succeed equally often on the same items; the estimate is rate a - rate b.

    One outcome of 0 or 1 per item and system, paired by position, items independent. With replicates do not use rows:
    take item means and `paired_t`. The statistic is the number of items that only `a` solves, `note` the discordant
    pairs; none gives p = 1. The interval is Newcombe's for pairs (two-sided at `confidence`). BadInput: other values,
    lengths that differ, no pairs. Q. McNemar, Psychometrika 12 (1947), 153-157; exact as the binomial with 1/2.
    """
    from scipy.special import bdtr

    level, side = confident(confidence), sided(alternative)
    one, two = flags(a, what="the first sample"), flags(b, what="the second sample")
    if one.size != two.size:
        raise BadInput(f"The samples are paired by position and have {one.size} and {two.size} values.")
    only_a, only_b = int(np.count_nonzero(one & ~two)), int(np.count_nonzero(~one & two))
    both = int(np.count_nonzero(one & two))
    discordant = only_a + only_b
    interval = paired_newcombe(both, only_a, only_b, one.size - both - discordant, confidence=level)
    p = 1.0
    if discordant:
        fewer = {"two-sided": min(only_a, only_b), "less": only_a, "greater": only_b}[side]
        p = min(1.0, (2 if side == "two-sided" else 1) * float(bdtr(fewer, discordant, 0.5)))
    note = f"{only_a} items only a, {only_b} only b" if discordant else "no discordant pairs"
    difference = (only_a - only_b) / one.size
    return TestResult("exact McNemar", float(only_a), None, p, one.size, difference, interval, note)


def paired_newcombe(both: int, only_a: int, only_b: int, neither: int, *, confidence: float = 0.95) -> Interval:
    """Return the interval of rate a minus rate b of paired outcomes, from the four counts of items.

    Wilson intervals of both rates, joined by their correlation (continuity corrected). BadInput: no items, or a
    negative count. R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650, method 10.
    """
    level = confident(confidence)
    n = both + only_a + only_b + neither
    if n == 0 or min(both, only_a, only_b, neither) < 0:
        raise BadInput("A paired table needs four counts of items, none negative, and at least one item.")
    a, b = (both + only_a) / n, (both + only_b) / n
    low_a, high_a = wilson(both + only_a, n, confidence=level) or (0.0, 1.0)
    low_b, high_b = wilson(both + only_b, n, confidence=level) or (0.0, 1.0)
    r = _correlation(both, only_a, only_b, neither)
    below = (a - low_a) ** 2 - 2 * r * (a - low_a) * (high_b - b) + (high_b - b) ** 2
    above = (high_a - a) ** 2 - 2 * r * (high_a - a) * (b - low_b) + (b - low_b) ** 2
    return a - b - math.sqrt(max(0.0, below)), a - b + math.sqrt(max(0.0, above))


def _correlation(both: int, only_a: int, only_b: int, neither: int) -> float:
    n = both + only_a + only_b + neither
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    cross = both * neither - only_a * only_b
    return (max(cross - n / 2, 0.0) if cross > 0 else cross) / math.sqrt(margins)


def cochran_q(outcomes: ArrayLike) -> TestResult:
    """Test whether k systems succeed equally often on the same items: `outcomes` is items x systems of 0 and 1.

    Chi-square with k - 1 degrees of freedom, for about 4 items or more on which the systems disagree. Items on which
    all agree carry nothing; where all items are such, p = 1. BadInput: other values, fewer than two systems or items.
    W. G. Cochran, Biometrika 37 (1950), 256-266.
    """
    rows = table(outcomes, what="the table of outcomes")
    n, k = rows.shape
    if k < 2:  # noqa: PLR2004 - a comparison
        raise BadInput("Cochran's Q compares at least 2 systems; the table has one column.")
    if not bool(np.all((rows == 0) | (rows == 1))):
        raise BadInput("The table of outcomes has values other than 0 and 1; Cochran's Q takes successes and failures.")
    of_system, of_item = rows.sum(axis=0), rows.sum(axis=1)
    spread = float((of_item * (k - of_item)).sum())
    if spread == 0:
        return TestResult("Cochran's Q", 0.0, k - 1, 1.0, n, None, None, "the systems agree on every item")
    off = of_system - of_system.mean()
    q = (k - 1) * k * float(off @ off) / spread
    return TestResult("Cochran's Q", q, k - 1, chi_square_p(q, k - 1), n, None, None)
