"""Looking at a run while it grows: intervals and evidence that stay valid however often one looks.

A fixed test that is read after every 50 of 2,000 items gives a false alarm in 29 % of runs. Everything here holds its
level over all looks together, so a run may stop as soon as it decides, or when the money ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.results import Interval
from tele.analysis.stats.samples import Floats, confident, flags, sample
from tele.errors import BadInput

__all__ = ["ConfidenceSequence", "EProcess", "bounded_sequence", "mean_sequence", "paired_evidence"]


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """Bounds after each value; all of them hold together with `confidence`."""

    low: Floats
    high: Floats
    confidence: float
    method: str

    @property
    def interval(self) -> Interval:
        """The bounds after the last value."""
        return float(self.low[-1]), float(self.high[-1])

    def leaves_out(self, value: float) -> int | None:
        """Return after how many values `value` was first left out, or None where it never was."""
        out = np.flatnonzero((self.low > value) | (self.high < value))
        return int(out[0]) + 1 if out.size else None


@dataclass(frozen=True, slots=True)
class EProcess:
    """Evidence against a null hypothesis after each item: under it the expected value is at most 1 at any stop."""

    e: Floats
    """The e-value after each item; 1 / alpha or more decides."""
    discordant: int

    @property
    def p_value(self) -> float:
        """The p-value that is valid at any stop: one over the largest e-value so far."""
        return min(1.0, 1.0 / float(self.e.max()))

    def decided(self, alpha: float = 0.05) -> int | None:
        """Return after how many items the evidence first reached 1 / alpha, or None where it never did."""
        over = np.flatnonzero(self.e >= 1 / alpha)
        return int(over[0]) + 1 if over.size else None


def mean_sequence(
    values: ArrayLike, *, confidence: float = 0.95, tuned_for: int = 1_000, burn_in: int = 50
) -> ConfidenceSequence:
    """Return an asymptotic confidence sequence of the mean of independent values, in their units: a normal mixture.

    For paired differences (give the differences) and for means. It is narrowest near `tuned_for` items; before
    `burn_in` items and before the values vary the bounds are open, since the variance is estimated. Over 1,000 looks it
    misses in about 2 of 100 runs where skewness is moderate (to about 2); in 8 where it is strong (lognormal, sigma 1),
    and in 5 there with a `burn_in` of 200; for rates and bounded scores take `bounded_sequence`. About 1.5 times as
    wide as a fixed interval. BadInput: no values, values that are not finite, or sizes below 2. H. Robbins, Annals of
    Mathematical Statistics 41 (1970), 1397-1409; I. Waudby-Smith and others, Annals of Statistics 52 (2024), 2613-2640.
    """
    level = confident(confidence)
    x = sample(values)
    if tuned_for < 2 or burn_in < 2:  # noqa: PLR2004 - a variance needs two
        raise BadInput("tuned_for and burn_in are numbers of items, at least 2.")
    n = np.arange(1, x.size + 1)
    near = x - x[0]
    mean = np.cumsum(near) / n
    variance = np.maximum(np.cumsum(near**2) / n - mean**2, 0.0)
    log_alpha = -2 * math.log(1 - level)
    rho2 = max(0.1, log_alpha + math.log(log_alpha) + 1) / tuned_for
    grown = n * rho2 + 1
    half = np.sqrt(variance * grown / (n**2 * rho2) * (2 * np.log(np.sqrt(grown) / (1 - level))))
    half = np.where((n < burn_in) | (half == 0), math.inf, half)
    centre = mean + x[0]
    return ConfidenceSequence(
        np.maximum.accumulate(centre - half), np.minimum.accumulate(centre + half), level, "normal mixture"
    )


def bounded_sequence(
    values: ArrayLike, *, low: float = 0.0, high: float = 1.0, confidence: float = 0.95, grid: int = 1_000
) -> ConfidenceSequence:
    """Return the betting confidence sequence of the mean of values that lie within `low` and `high`, in their units.

    Exact at every size for any distribution within the bounds, so for scores and rates from the first item on. A mean
    is left out when a gambler who bets against it would have multiplied the stake by 1 / (1 - confidence). Bounds are
    read on `grid` candidates and rounded outwards. BadInput: no values, or values outside the bounds.
    I. Waudby-Smith and A. Ramdas, JRSS B 86 (2024), 1-27 (hedged capital, predictable plug-in bets).
    """
    level = confident(confidence)
    x = sample(values)
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or grid < 10:  # noqa: PLR2004
        raise BadInput("The bounds must be finite, low below high, and the grid at least 10.")
    if float(x.min()) < low or float(x.max()) > high:
        raise BadInput(f"Values lie outside {low:g} to {high:g}; declare the bounds that every score keeps.")
    unit = (x - low) / (high - low)
    bets = _bets(unit, 1 - level)
    candidates = (np.arange(grid) + 0.5) / grid
    limit = math.log(2 / (1 - level))
    up, down = np.zeros(grid), np.zeros(grid)
    alive = np.ones(grid, dtype=bool)
    lows, highs = np.empty(x.size), np.empty(x.size)
    most_up, most_down = 0.75 / candidates, 0.75 / (1 - candidates)
    for i, (value, bet) in enumerate(zip(unit, bets, strict=True)):
        off = value - candidates
        up += np.log1p(np.minimum(bet, most_up) * off)
        down += np.log1p(-np.minimum(bet, most_down) * off)
        alive &= np.maximum(up, down) < limit
        kept = np.flatnonzero(alive)
        first, last = (int(kept[0]), int(kept[-1])) if kept.size else (-1, -1)
        if first < 0:  # every candidate fell, which a true mean does with chance below 1 - confidence: keep the last
            lows[i:], highs[i:] = lows[i - 1], highs[i - 1]
            break
        lows[i] = 0.0 if first == 0 else candidates[first - 1]
        highs[i] = 1.0 if last == grid - 1 else candidates[last + 1]
    scale = high - low
    return ConfidenceSequence(low + scale * lows, low + scale * highs, level, "betting")


def _bets(unit: Floats, alpha: float) -> Floats:
    """Return the bet on each value, from the values before it."""
    n = np.arange(1, unit.size + 1)
    mean = (0.5 + np.cumsum(unit)) / (n + 1)
    variance = (0.25 + np.cumsum((unit - mean) ** 2)) / (n + 1)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.asarray(np.sqrt(2 * math.log(2 / alpha) / (before * n * np.log(n + 1))), dtype=np.float64)


def paired_evidence(a: ArrayLike, b: ArrayLike, *, prior: float = 1.0) -> EProcess:
    """Return the evidence that two systems succeed at different rates on the same items, in the order of the items.

    Outcomes of 0 and 1, paired by position, items independent. Under the null hypothesis a discordant pair goes either
    way with chance 1/2; the alternative is a Beta(`prior`, `prior`) mixture. No discordant pair leaves the evidence at
    1. BadInput: other values, lengths that differ, or a prior that is not positive. J. Ville (1939); P. D. Grünwald,
    R. de Heide and W. Koolen, "Safe testing", JRSS B 86 (2024), 1091-1128.
    """
    from scipy.special import betaln

    one, two = flags(a, what="the first sample"), flags(b, what="the second sample")
    if one.size != two.size:
        raise BadInput(f"The samples are paired by position and have {one.size} and {two.size} values.")
    if not (math.isfinite(prior) and prior > 0):
        raise BadInput(f"The prior is {prior!r}; give a positive number.")
    only_a, only_b = np.cumsum(one & ~two), np.cumsum(~one & two)
    log_e = betaln(prior + only_a, prior + only_b) - betaln(prior, prior) + (only_a + only_b) * math.log(2)
    return EProcess(np.exp(np.minimum(log_e, 700.0)), int(only_a[-1] + only_b[-1]))
