"""Durations that were cut off: a timeout says only that the call takes longer (right-censored)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import chi_square_p, normal_quantile
from tele.analysis.stats.results import Estimate, Interval, TestResult
from tele.analysis.stats.samples import Floats, confident, flags, probability, sample
from tele.errors import BadInput

__all__ = ["Survival", "kaplan_meier", "log_rank", "log_rank_of", "survival_quantile"]


@dataclass(frozen=True, slots=True)
class Survival:
    """The share still running after each time at which a call ended."""

    times: Floats
    share: Floats
    """S(t), the estimated chance to take longer than the time beside it."""
    error: Floats
    """Greenwood's standard error of log(-log S); NaN where S is 0."""
    at_risk: Floats
    ended: Floats
    n: int
    longest: float
    """The longest duration seen, cut off or not: beyond it nothing is known."""


def kaplan_meier(durations: ArrayLike, ended: ArrayLike) -> Survival:
    """Return the Kaplan-Meier curve. `ended` is 1 where the duration is whole and 0 where it was cut off.

    In units of the durations; a cut at the time of an end counts as later. Assumes that what cuts calls off has
    nothing to do with how long they would have taken (a fixed timeout has not). BadInput: no values, durations that
    are negative or not finite, lengths that differ, or no call that ended. E. L. Kaplan and P. Meier, JASA 53 (1958),
    457-481.
    """
    x, whole = _given(durations, ended, "the durations")
    if not whole.any():
        raise BadInput(
            f"All {x.size} calls were cut off, so nothing is known of how long they take; raise the timeout."
        )
    times, counts = np.unique(x[whole], return_counts=True)
    at_risk = (x.size - np.searchsorted(np.sort(x), times, side="left")).astype(np.float64)
    died = counts.astype(np.float64)
    share = np.asarray(np.cumprod(1 - died / at_risk), dtype=np.float64)
    alive = share > 0
    terms = np.divide(died, at_risk * (at_risk - died), out=np.zeros_like(died), where=alive)
    error = np.full(times.size, math.nan)
    error[alive] = np.sqrt(np.cumsum(terms)[alive]) / -np.log(share[alive])
    return Survival(times, share, error, at_risk, died, x.size, float(x.max()))


def survival_quantile(durations: ArrayLike, ended: ArrayLike, q: float, *, confidence: float = 0.95) -> Estimate:
    """Return quantile `q` of durations of which some were cut off: the first time at which at most 1 - q still run.

    It is infinite, and `note` says beyond what, where too many were cut off: the timeout itself is no percentile. The
    interval holds the times at which the curve's own interval (log-log, Greenwood) reaches 1 - q; its upper bound may
    be open. BadInput as `kaplan_meier`, or `q` outside (0, 1). R. Brookmeyer and J. Crowley, Biometrics 38 (1982),
    29-41; J. D. Kalbfleisch and R. L. Prentice, "The Statistical Analysis of Failure Time Data" (1980), section 1.3.
    """
    level, target = confident(confidence), 1 - probability(q, "the quantile")
    curve = kaplan_meier(durations, ended)
    reached = np.flatnonzero(curve.share <= target + 1e-12)
    interval = _times(curve, target, normal_quantile(0.5 + level / 2))
    if not reached.size:
        note = f"not reached: beyond {curve.longest:g}"
        return Estimate(math.inf, interval, curve.n, level, "Kaplan-Meier", note)
    note = "the upper bound is open" if math.isinf(interval[1]) else ""
    return Estimate(float(curve.times[reached[0]]), interval, curve.n, level, "Kaplan-Meier", note)


def _times(curve: Survival, target: float, z: float) -> Interval:
    """Return the first times at which the lower and the upper bound of the curve fall to `target`."""
    alive = curve.share > 0
    share, error = curve.share[alive], curve.error[alive]
    inner = -np.log(share)
    lower, upper = np.exp(-inner * np.exp(z * error)), np.exp(-inner * np.exp(-z * error))
    below, above = np.flatnonzero(lower <= target), np.flatnonzero(upper <= target)
    low = float(curve.times[below[0]]) if below.size else (float(curve.times[-1]) if not alive.all() else math.inf)
    return low, float(curve.times[above[0]]) if above.size else math.inf


def log_rank(durations_a: ArrayLike, ended_a: ArrayLike, durations_b: ArrayLike, ended_b: ArrayLike) -> TestResult:
    """Test whether two independent samples, some durations cut off, have one distribution: chi-square with 1 df.

    Sees best a hazard that is higher at all times. The statistic is the square of observed less expected ends over
    its deviation. Where no time has calls of both sides at risk, p = 1. BadInput as `kaplan_meier`, and where no call
    of either side ended. N. Mantel, Cancer Chemotherapy Reports 50 (1966), 163-170.
    """
    x, whole_x = _given(durations_a, ended_a, "the first durations")
    y, whole_y = _given(durations_b, ended_b, "the second durations")
    if not (whole_x.any() or whole_y.any()):
        raise BadInput("All calls of both sides were cut off, so their durations cannot be compared.")
    times = np.unique(np.concatenate((x[whole_x], y[whole_y])))
    risk_x, died_x = _at(times, x, whole_x)
    risk_y, died_y = _at(times, y, whole_y)
    risk, died = risk_x + risk_y, died_x + died_y
    gap = float((died_x - died * risk_x / risk).sum())
    spare = np.divide(risk - died, risk - 1, out=np.zeros_like(risk), where=risk > 1)
    variance = float((died * (risk_x / risk) * (risk_y / risk) * spare).sum())
    return log_rank_of(gap, variance, (x.size, y.size))


def log_rank_of(gap: float, variance: float, sizes: tuple[int, int]) -> TestResult:
    """Return the log-rank test from its parts: observed less expected ends of the first sample, and their variance."""
    if variance <= 0:
        return TestResult("log-rank", 0.0, 1.0, 1.0, sizes, None, None, "no time has calls of both sides at risk")
    statistic = gap * gap / variance
    return TestResult("log-rank", statistic, 1.0, chi_square_p(statistic, 1), sizes, None, None)


def _at(times: Floats, x: Floats, whole: np.typing.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    risk = x.size - np.searchsorted(np.sort(x), times, side="left")
    ends = np.sort(x[whole])
    died = np.searchsorted(ends, times, side="right") - np.searchsorted(ends, times, side="left")
    return risk.astype(np.float64), died.astype(np.float64)


def _given(durations: ArrayLike, ended: ArrayLike, what: str) -> tuple[Floats, np.typing.NDArray[np.bool_]]:
    x, whole = sample(durations, what=what), flags(ended, what="the marks of what ended")
    if x.size != whole.size:
        raise BadInput(f"There are {x.size} durations and {whole.size} marks of what ended; give one of each.")
    if float(x.min()) < 0:
        raise BadInput(f"{what[:1].upper()}{what[1:]} have negative values; a clock went backwards: leave them out.")
    return x, whole
