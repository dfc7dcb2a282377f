"""Comparing while a run still grows: p-values and intervals that hold however often one looks.

A fixed test that is read after every pair gives a false alarm in a third of the runs. Here pairs are taken in the order
in which both sides first answered the item, and the level holds over all looks together.
"""

from __future__ import annotations

import math

import numpy as np

from tele.analysis.compare.choose import Found
from tele.analysis.compare.pairing import Sides
from tele.analysis.comparisons import EffectSize
from tele.analysis.stats.results import Interval, TestResult
from tele.analysis.stats.sequential import bounded_sequence, mean_sequence, paired_evidence
from tele.errors import BadInput

__all__ = ["monitored"]

_LEAST = 1e-9
_SETTLED = 50
"""Pairs from which the variance is known well enough for a confidence sequence of the mean."""


def monitored(sides: Sides, alpha: float) -> Found | None:
    """Return what can be said at any time of two sides that are paired; None where there is nothing to look at.

    Raises BadInput where the sides are not paired, or in clusters: evidence is gathered pair by pair.
    """
    if not sides.baseline.size or not sides.treatment.size:
        return None
    if not sides.paired or sides.order is None:
        raise BadInput("Looking at a run while it grows takes the same items on both sides; give records an item_id.")
    if sides.clusters is not None:
        raise BadInput("Looking at a run while it grows takes independent items; these are in clusters.")
    new, old = sides.treatment[sides.order], sides.baseline[sides.order]
    return _successes(new, old) if sides.binary else _means(new - old, alpha)


def _successes(new: np.ndarray, old: np.ndarray) -> Found:
    evidence = paired_evidence(new, old)
    gap = new - old

    def bounds(confidence: float) -> Interval | None:
        return bounded_sequence(gap, low=-1.0, high=1.0, confidence=confidence).interval

    mean = float(gap.mean())
    interval = bounds(0.95)
    test = TestResult(
        "e-process of discordant pairs", float(evidence.e[-1]), None, evidence.p_value, gap.size, mean, interval
    )
    why = f"{gap.size} items so far, {evidence.discordant} of them discordant; valid at every look"
    return Found(why, test, mean, "proportions", bounds, EffectSize("risk difference", mean, interval))


def _means(gap: np.ndarray, alpha: float) -> Found:
    def bounds(confidence: float) -> Interval | None:
        found = mean_sequence(gap, confidence=confidence, burn_in=_SETTLED).interval
        return found if all(map(math.isfinite, found)) else None

    mean = float(gap.mean())
    p = _anytime_p(gap)
    test = TestResult("confidence sequence of the mean", mean, None, p, gap.size, mean, bounds(1 - alpha))
    early = f", which says nothing before {_SETTLED}" if gap.size < _SETTLED else ""
    return Found(f"{gap.size} items so far{early}; valid at every look", test, mean, "means", bounds)


def _anytime_p(gap: np.ndarray) -> float:
    """Return the least alpha at which a sequence has left 0 out at some look so far."""

    def out(alpha: float) -> bool:
        return mean_sequence(gap, confidence=1 - alpha, burn_in=_SETTLED).leaves_out(0.0) is not None

    low, high = _LEAST, 0.999
    if not out(high):
        return 1.0
    if out(low):
        return low
    for _ in range(30):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if out(middle) else (middle, high)
    return high
