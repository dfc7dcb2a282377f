"""Tied, and no worse: tests whose success is that a difference is small."""

from __future__ import annotations

import math
from typing import Literal

from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import t_interval, t_p, t_quantile
from tele.analysis.stats.paired import paired_t
from tele.analysis.stats.results import TestResult
from tele.analysis.stats.samples import confident
from tele.analysis.stats.unpaired import welch
from tele.errors import BadInput

__all__ = ["equivalence", "non_inferiority"]


def equivalence(a: ArrayLike, b: ArrayLike, margin: float, *, paired: bool, confidence: float = 0.95) -> TestResult:
    """Test whether the difference of means `a - b` lies within ± `margin`, in units of the values: two one-sided tests.

    A small p says tied. The interval has level 2 × confidence - 1 (90 % by default): it lies within the margin exactly
    where p is below 1 - confidence. Assumes what `paired_t` or `welch` assume. Samples without a spread decide
    nothing: BadInput, as for those; BadInput also where the margin is not a positive number.
    D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680.
    """
    level = confident(confidence)
    if not (math.isfinite(margin) and margin > 0):
        raise BadInput(f"The margin is {margin!r}; declare a positive number in the units of the metric.")
    difference, error, df, n = _difference(a, b, paired=paired)
    above, below = (difference + margin) / error, (difference - margin) / error
    p = max(t_p(above, df, "greater"), t_p(below, df, "less"))
    statistic = above if abs(above) < abs(below) else below
    interval = t_interval(difference, error, df, max(2 * level - 1, 1e-9))
    kind = "paired" if paired else "Welch"
    return TestResult(f"equivalence ({kind} TOST)", statistic, df, p, n, difference, interval, f"margin ±{margin:g}")


def non_inferiority(
    a: ArrayLike,
    b: ArrayLike,
    margin: float,
    *,
    better: Literal["higher", "lower"],
    paired: bool,
    confidence: float = 0.95,
) -> TestResult:
    """Test whether `a` is worse than `b` by less than `margin` (units of the values, at least 0); small p: not worse.

    The interval is one-sided, open towards better. Assumptions and errors are those of `equivalence`; `better` says
    which direction is good. E. Lesaffre, Bulletin of the NYU Hospital for Joint Diseases 66 (2008), 150-154.
    """
    level = confident(confidence)
    if not (math.isfinite(margin) and margin >= 0):
        raise BadInput(f"The margin is {margin!r}; declare a number of at least 0 in the units of the metric.")
    if better not in {"higher", "lower"}:
        raise BadInput(f"Better is {better!r}; it is higher or lower.")
    difference, error, df, n = _difference(a, b, paired=paired)
    up = better == "higher"
    t = (difference + margin) / error if up else (difference - margin) / error
    side: Literal["greater", "less"] = "greater" if up else "less"
    interval = t_interval(difference, error, df, level, side)
    kind = "paired" if paired else "Welch"
    test = f"non-inferiority ({kind} t)"
    return TestResult(test, t, df, t_p(t, df, side), n, difference, interval, f"margin {margin:g}, {better} is better")


def _difference(a: ArrayLike, b: ArrayLike, *, paired: bool) -> tuple[float, float, float, int | tuple[int, ...]]:
    found = paired_t(a, b) if paired else welch(a, b)
    if found.interval is None or not isinstance(found.df, (int, float)) or found.estimate is None:
        raise BadInput(f"Nothing can be said of a margin: {found.note}, so the data have no spread to judge it by.")
    error = (found.interval[1] - found.interval[0]) / (2 * t_quantile(0.975, found.df))
    return found.estimate, error, found.df, found.n
