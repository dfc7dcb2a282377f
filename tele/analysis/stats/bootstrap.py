"""The bootstrap: of a mean in closed form, of any other statistic by drawing items."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_p, normal_quantile
from tele.analysis.stats.results import Estimate, Interval
from tele.analysis.stats.samples import Floats, confident, constant, sample, table
from tele.errors import BadInput

__all__ = ["bootstrap", "bootstrap_mean"]

_BCA_UP_TO = 10_000
_AT_ONCE = 500_000  # numbers of one block of draws: what stays in a cache


def bootstrap_mean(
    values: ArrayLike, *, confidence: float = 0.95, method: Literal["bca", "percentile"] = "bca"
) -> Estimate:
    """Return the mean with the bootstrap interval that endless draws would give, in units of the values.

    The distribution of the resampled mean is taken by saddlepoint, so nothing is drawn and nothing varies with a
    seed; it agrees with scipy's 10,000 draws within their Monte Carlo error. Assumes independent values; like every
    interval of a mean it is short for heavy tails. None for one value or equal values. BadInput: no values or values
    that are not finite. A. C. Davison and D. V. Hinkley, Biometrika 75 (1988), 417-431; B. Efron, JASA 82 (1987),
    171-185.
    """
    level = confident(confidence)
    x = sample(values)
    mean, sd = float(x.mean()), float(x.std())
    name = f"bootstrap {method}, saddlepoint"
    if constant(sd, mean) or x.min() == x.max():
        return Estimate(mean, None, x.size, level, name, "no spread to draw from")
    unit = (x - mean) / sd
    third = float((unit**3).mean()) / (6 * math.sqrt(x.size)) if method == "bca" else 0.0
    z = normal_quantile(0.5 + level / 2)
    ends = [_shifted(sign * z, third, third) for sign in (-1, 1)]
    low, high = (mean + sd * _saddle_quantile(unit, end) for end in ends)
    return Estimate(mean, (low, high), x.size, level, name)


def _shifted(z: float, bias: float, acceleration: float) -> float:
    """Return the normal score at which BCa reads the bootstrap distribution for the nominal score `z`."""
    return bias + (bias + z) / max(1e-9, 1 - acceleration * (bias + z))


def _saddle_quantile(unit: Floats, z: float) -> float:
    """Return the resampled mean whose distribution function is that of the normal score `z`; `unit` is standardised."""
    from scipy.optimize import brentq

    def score(tilt: float) -> float:
        return _score(unit, tilt) - z

    near, far = 0.0, math.copysign(max(abs(z), 0.5) / math.sqrt(unit.size), z - _score(unit, 0.0))
    while math.copysign(1.0, score(far)) != math.copysign(1.0, far):
        near, far = far, far * 2
        if abs(far) * float(np.abs(unit).max()) > 1e3:  # noqa: PLR2004 - all weight is on one value by then
            return float(unit.max() if far > 0 else unit.min())
    return _tilted(unit, float(brentq(score, near, far, xtol=1e-9 / math.sqrt(unit.size), rtol=1e-9)))[1]


def _tilted(unit: Floats, tilt: float) -> tuple[float, float, float]:
    """Return the cumulant function of the values at `tilt`, its slope and its curvature."""
    exponent = tilt * unit
    top = float(exponent.max())
    weight = np.exp(exponent - top)
    total = float(weight.sum())
    slope = float(weight @ unit) / total
    return math.log(total / unit.size) + top, slope, float(weight @ (unit - slope) ** 2) / total


def _score(unit: Floats, tilt: float) -> float:
    """Return the normal score of the resampled mean at `tilt` (Barndorff-Nielsen's r*)."""
    n = unit.size
    height, slope, curve = _tilted(unit, tilt)
    r = math.copysign(math.sqrt(max(0.0, 2 * n * (tilt * slope - height))), tilt)
    if abs(r) < 1e-3:  # noqa: PLR2004 - the ratio below is 0 / 0 there; its limit is known
        return r + float((unit**3).mean()) / (6 * math.sqrt(n))
    v = tilt * math.sqrt(n * curve)
    return r + math.log(v / r) / r if v / r > 0 else r


def bootstrap(
    rows: ArrayLike,
    statistic: Callable[..., Any],
    *,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
    method: Literal["auto", "bca", "percentile"] = "auto",
) -> Estimate:
    """Return `statistic` of items with its bootstrap interval, in the units of the statistic.

    `rows` is one number of each item, or a row of numbers of each (so pairs and ratios are drawn together). `statistic`
    takes an array with the items along `axis` and returns one number of each draw, as numpy's reductions do:
    `lambda x, axis: x[..., 0].sum(axis) / x[..., 1].sum(axis)` for rows, where `axis` is 0 or 1. BCa up to 10,000
    items, percentile above; not for extreme percentiles (`quantiles` is). The same for a `seed`. None where the
    statistic has no spread. BadInput: fewer than two items, values that are not finite, or a statistic that is not
    finite in some draw. B. Efron, JASA 82 (1987), 171-185.
    """
    level = confident(confidence)
    x = table(rows) if np.ndim(rows) == 2 else sample(rows, least=2)  # noqa: PLR2004 - items x numbers
    if draws < 100:  # noqa: PLR2004 - no tail of 2.5 % has a value below
        raise BadInput(f"{draws} draws give no interval; 10000 is usual.")
    seen = _finite(np.asarray(statistic(x[None], axis=1), dtype=np.float64).reshape(-1))[0]
    drawn = np.sort(_finite(_drawn(x, statistic, draws, np.random.default_rng(seed))))
    bca = method == "bca" or (method == "auto" and len(x) <= _BCA_UP_TO)
    name = f"bootstrap {'bca' if bca else 'percentile'}, {draws} draws"
    if drawn[0] == drawn[-1]:
        return Estimate(float(seen), None, len(x), level, name, "no spread to draw from")
    return Estimate(float(seen), _read(drawn, float(seen), x, statistic, level, bca=bca), len(x), level, name)


def _read(drawn: Floats, seen: float, x: Floats, statistic: Callable[..., Any], level: float, *, bca: bool) -> Interval:
    z = normal_quantile(0.5 + level / 2)
    ends = [-z, z]
    if bca:
        below = (np.count_nonzero(drawn < seen) + np.count_nonzero(drawn <= seen)) / 2
        bias = normal_quantile(min(max(below, 0.5), drawn.size - 0.5) / drawn.size)
        ends = [_shifted(end, bias, _acceleration(x, statistic)) for end in ends]
    low, high = (float(np.quantile(drawn, normal_p(end, "less"))) for end in ends)
    return low, high


def _drawn(x: Floats, statistic: Callable[..., Any], draws: int, rng: np.random.Generator) -> Floats:
    at_once = max(1, _AT_ONCE // x.size)
    blocks = []
    for start in range(0, draws, at_once):
        chosen = rng.integers(0, len(x), size=(min(at_once, draws - start), len(x)), dtype=np.int32)
        blocks.append(np.asarray(statistic(x[chosen], axis=1), dtype=np.float64))
    return np.concatenate(blocks)


def _acceleration(x: Floats, statistic: Callable[..., Any]) -> float:
    """Return the skewness of the statistic as the jackknife sees it, over 6."""
    n = len(x)
    at_once, left = max(1, _AT_ONCE // x.size), []
    for start in range(0, n, at_once):
        gone = np.arange(start, min(start + at_once, n))
        kept = np.arange(n - 1) + (np.arange(n - 1) >= gone[:, None])
        left.append(np.asarray(statistic(x[kept], axis=1), dtype=np.float64))
    off = np.concatenate(left)
    off = off.mean() - off
    reach = float(np.abs(off).max())
    if reach == 0:
        return 0.0
    off /= reach  # skewness has no unit, and cubes of large values overflow
    squares = float(off @ off)
    return float((off**3).sum()) / (6 * squares * math.sqrt(squares))


def _finite(found: Floats) -> Floats:
    bad = int(np.count_nonzero(~np.isfinite(found)))
    if bad:
        raise BadInput(
            f"The statistic is NaN or infinite in {bad} of {found.size} draws; choose one that every draw of these "
            "items has."
        )
    return found
