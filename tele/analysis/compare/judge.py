"""Verdicts in words: what a difference, its corrected p-value and its interval say together.

`better` or `worse`: the corrected p-value is at most alpha and a direction is declared; `different` where none is.
`tied`: the interval lies within a declared margin (two one-sided tests, at the family's level).
`underpowered`: nothing is shown and so few units could hardly have shown it; the words name the number that would.
`undecided`: nothing is shown, and there were units enough to expect it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tele.analysis.compare.choose import Found
from tele.analysis.compare.metrics import Metric
from tele.analysis.compare.pairing import Sides
from tele.analysis.comparisons import Verdict
from tele.analysis.stats import power

__all__ = ["Rule", "Ruling", "judge", "least_difference"]

_LARGE = 0.8
"""A difference of 0.8 standard deviations is large (Cohen 1988): what could not show that much is underpowered."""
_MOST = 10_000_000
"""Numbers of units beyond this are no plan."""
_NORMAL = 1e9
"""Degrees of freedom at which t is normal."""


@dataclass(frozen=True, slots=True)
class Rule:
    """At which level a verdict is given, and what it takes for granted."""

    alpha: float = 0.05
    power: float = 0.8
    family: int = 1
    """How many claims the level is shared by; 1 under a correction that shares none."""

    @property
    def level(self) -> float:
        """Level of one claim."""
        return self.alpha / self.family


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict, and the figures of power behind it."""

    verdict: Verdict
    mde: float | None
    needed_n: int | None


def judge(
    found: Found, sides: Sides, metric: Metric, p_adjusted: float | None, margin: float | None, rule: Rule
) -> Ruling:
    """Return the verdict on one comparison."""
    within = _within(found, margin, rule)
    mde = least_difference(found, sides, rule)
    inside = margin is not None and within is not None and -margin < within[0] and within[1] < margin
    if inside:
        return Ruling("tied", mde, None)
    if p_adjusted is not None and p_adjusted <= rule.alpha:
        return Ruling(_direction(found, metric), mde, None)
    target = margin if margin is not None else abs(found.difference or 0.0)
    needed = _needed(found, sides, target, mde, rule)
    return Ruling(_open(found, sides, mde, margin, needed), mde, needed)


def _direction(found: Found, metric: Metric) -> Verdict:
    above = found.towards if found.towards is not None else found.difference
    if metric.better is None or not above:
        return "different"
    return "better" if (above > 0) == (metric.better == "higher") else "worse"


def _within(found: Found, margin: float | None, rule: Rule) -> tuple[float, float] | None:
    if margin is None or found.bounds is None:
        return None
    return found.bounds(1 - 2 * rule.level)


def _open(found: Found, sides: Sides, mde: float | None, margin: float | None, needed: int | None) -> Verdict:
    if found.test is None:
        return "underpowered"
    if mde is None:
        return "undecided"
    if margin is not None:
        return "underpowered" if mde > margin else "undecided"
    units = _units(sides)
    if mde > _LARGE * _spread(sides) and (needed is None or needed > units):
        return "underpowered"
    return "undecided"


def _units(sides: Sides) -> int:
    return min(sides.baseline.size, sides.treatment.size)


def _spread(sides: Sides) -> float:
    """Standard deviation of one difference of pairs, or the pooled one of both sides."""
    if sides.paired:
        return float((sides.treatment - sides.baseline).std(ddof=1))
    a, b = sides.baseline, sides.treatment
    return math.sqrt((float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2)


def _error(found: Found) -> tuple[float, float] | None:
    """Standard error of the difference and its degrees of freedom, from the interval that the test gives."""
    from tele.analysis.stats.distributions import t_quantile

    if found.bounds is None or found.test is None:
        return None
    interval = found.bounds(0.95)
    if interval is None or not all(map(math.isfinite, interval)) or interval[1] <= interval[0]:
        return None
    df = found.interval_df or _NORMAL
    return (interval[1] - interval[0]) / 2 / t_quantile(0.975, df), df


def least_difference(found: Found, sides: Sides, rule: Rule) -> float | None:
    """Return the least difference that as many units find with the rule's power at its level; None where unknown.

    By the noncentral t for pairs, else (t of 1 - level / 2 + t of the power) standard errors; the error is that of the
    interval of the test. H. S. Bloom, "Minimum detectable effects", Evaluation Review 19 (1995), 547-556.
    """
    from tele.analysis.stats.distributions import t_quantile

    known = _error(found)
    if known is None or not rule.level < rule.power:
        return None
    error, df = known
    if _plain_pairs(found, sides):
        return power.mde(sides.baseline.size, error**2 * sides.baseline.size, alpha=rule.level, power=rule.power)
    return (t_quantile(1 - rule.level / 2, df) + t_quantile(rule.power, df)) * error


def _plain_pairs(found: Found, sides: Sides) -> bool:
    """Whether the interval is that of a paired t, so that the noncentral t gives the power exactly."""
    return sides.paired and found.interval_df == sides.baseline.size - 1


def _needed(found: Found, sides: Sides, target: float, mde: float | None, rule: Rule) -> int | None:
    """Units of each side from which a difference of `target` is found: the error shrinks with their square root."""
    known = _error(found)
    if known is None or mde is None or target <= 0:
        return None
    error, df = known
    if _plain_pairs(found, sides):
        if _units(sides) * (mde / target) ** 2 > _MOST:
            return None
        variance = error**2 * sides.baseline.size
        return power.required_n(target, variance, alpha=rule.level, power=rule.power)
    return _grown(_units(sides), error / target, df, rule)


def _grown(units: int, ratio: float, df: float, rule: Rule) -> int | None:
    """Units at which `ratio`, the error by the target, has shrunk enough: degrees of freedom grow with them.

    Where units are in clusters these are as many more of the like: the error of few clusters has few degrees.
    """
    from tele.analysis.stats.distributions import t_quantile

    def enough(n: int) -> bool:
        more = df * n / units
        reach = t_quantile(1 - rule.level / 2, more) + t_quantile(rule.power, more)
        return reach * ratio * math.sqrt(units / n) <= 1

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > 2 * _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
