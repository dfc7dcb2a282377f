"""How many items, how many replicates, and what a run of that size can see.

A score of item i in replicate r is its own level plus noise. The variance of an item's mean over K replicates is
`between + within / K`: more replicates only take away the second part, more items divide both. For a paired comparison
`between` is the variance over items of the true difference and `within` the sum of both systems' noise variances (see
`paired_components`); for an unpaired one they are those of one system.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_quantile, t_quantile
from tele.analysis.stats.paired import item_means
from tele.analysis.stats.samples import codes, probability, sample
from tele.errors import BadInput

__all__ = ["Components", "mde", "paired_components", "power", "required_n", "variance_components"]

_LARGEST = 10**12


@dataclass(frozen=True, slots=True)
class Components:
    """Variance between items and within them, in squared units; `within` is None where no item has two replicates."""

    between: float
    within: float | None
    items: int
    replicates: float
    """Replicates of an item: the number that the unequal ones amount to."""


def variance_components(values: ArrayLike, items: ArrayLike) -> Components:
    """Split the variance of rows into that between items and that within them (analysis of variance, unequal numbers).

    A between part that comes out negative is 0. Without replicates all variance stands under `between`. BadInput:
    fewer than two items, or values that are not finite. S. R. Searle, G. Casella and C. E. McCulloch, "Variance
    Components" (1992), section 3.6.
    """
    x = sample(values, least=2)
    means, _ = item_means(x, items)
    k, n = means.size, x.size
    if k < 2:  # noqa: PLR2004 - a variance needs two
        raise BadInput("All rows are of one item; a variance between items needs at least 2.")
    of = codes(items, size=n, what="the items")
    sizes = np.bincount(of).astype(np.float64)
    between = float((sizes * (means - x.mean()) ** 2).sum()) / (k - 1)
    typical = (n - float((sizes**2).sum()) / n) / (k - 1)
    if n == k:
        return Components(between, None, k, 1.0)
    within = float(((x - means[of]) ** 2).sum()) / (n - k)
    return Components(max(0.0, (between - within) / typical), within, k, typical)


def paired_components(a: ArrayLike, items_a: ArrayLike, b: ArrayLike, items_b: ArrayLike) -> Components:
    """Return the components of the difference of two systems on the same items, for `mde` and `required_n`.

    `within` is the sum of the two noise variances; `between` is the variance of the item differences less the noise
    that their replicates leave, at least 0. Items of one side only are left out. BadInput: fewer than two common
    items, or values that are not finite.
    """
    (of_a, count_a, noise_a), (of_b, count_b, noise_b) = _side(a, items_a), _side(b, items_b)
    shared = [item for item in of_a if item in of_b]
    if len(shared) < 2:  # noqa: PLR2004 - a variance needs two
        raise BadInput(f"The two sides have {len(shared)} items in common; at least 2 are needed.")
    total = float(np.var([of_a[item] - of_b[item] for item in shared], ddof=1))
    replicates = 1 / float(np.mean([(1 / count_a[item] + 1 / count_b[item]) / 2 for item in shared]))
    if noise_a is None or noise_b is None:
        return Components(total, None, len(shared), replicates)
    left = float(np.mean([noise_a / count_a[item] + noise_b / count_b[item] for item in shared]))
    return Components(max(0.0, total - left), noise_a + noise_b, len(shared), replicates)


def _side(values: ArrayLike, items: ArrayLike) -> tuple[dict[object, float], dict[object, int], float | None]:
    x = sample(values)
    means, names = item_means(x, items)
    of = codes(items, size=x.size, what="the items")
    counts = np.bincount(of)
    spare = x.size - means.size
    noise = float(((x - means[of]) ** 2).sum()) / spare if spare else None
    named = dict(zip(names, means.tolist(), strict=True))
    return named, dict(zip(names, counts.tolist(), strict=True)), noise


def power(
    n: float,
    difference: float,
    between: float,
    within: float = 0.0,
    replicates: float = 1,
    *,
    paired: bool = True,
    alpha: float = 0.05,
) -> float:
    """Return the chance that a two-sided t test at `alpha` sees a true `difference` of means (units of the values).

    `n` items (of each system where unpaired) with `replicates` each; variances as in this module's introduction.
    From the noncentral t. BadInput: fewer than two items, negative variances, no spread, or `alpha` outside (0, 1).
    J. Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), chapter 2.
    """
    spread = _spread(between, within, replicates, paired=paired)
    return _power(n, abs(difference) / spread, paired=paired, alpha=probability(alpha, "alpha"))


def _spread(between: float, within: float, replicates: float, *, paired: bool) -> float:
    if not (between >= 0 and within >= 0 and replicates >= 1 and math.isfinite(between + within)):
        raise BadInput("Variances must be finite and not negative, and replicates at least 1.")
    variance = (between + within / replicates) * (1 if paired else 2)
    if variance == 0:
        raise BadInput("There is no variance to plan with: every pilot difference is the same; run a larger pilot.")
    return math.sqrt(variance)


def _power(n: float, effect: float, *, paired: bool, alpha: float) -> float:
    from scipy.special import nctdtr

    if n < 2:  # noqa: PLR2004 - a variance needs two
        raise BadInput(f"{n:g} items have no power; at least 2 are needed.")
    df, shift = (n - 1 if paired else 2 * n - 2), effect * math.sqrt(n)
    critical = t_quantile(1 - alpha / 2, df)
    if shift > 30 + critical:  # beyond, the noncentral t underflows and the power is 1
        return 1.0
    return 1 - float(nctdtr(df, shift, critical)) + float(np.nan_to_num(nctdtr(df, shift, -critical)))


def mde(
    n: float,
    between: float,
    within: float = 0.0,
    replicates: float = 1,
    *,
    paired: bool = True,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest true difference of means that a run of this size sees with chance `power`.

    In units of the values; arguments and errors as `power`. For a finished paired run `between` is the variance of the
    differences of its item means, with `within` left at 0.
    """
    from scipy.optimize import brentq

    level, wanted = probability(alpha, "alpha"), _above(power, alpha)
    spread = _spread(between, within, replicates, paired=paired)
    _power(n, 0.0, paired=paired, alpha=level)  # refuses an n that has none
    most = (normal_quantile(wanted) + t_quantile(1 - level / 2, n - 1 if paired else 2 * n - 2)) / math.sqrt(n) + 1e-6
    while _power(n, most, paired=paired, alpha=level) < wanted:
        most *= 2
    effect = brentq(lambda effect: _power(n, effect, paired=paired, alpha=level) - wanted, 0.0, most, rtol=1e-10)
    return float(effect) * spread


def _above(power: float, alpha: float) -> float:
    wanted = probability(power, "the power")
    if wanted <= alpha:
        raise BadInput(f"A power of {power:g} is no more than alpha, {alpha:g}; 0.8 is usual.")
    return wanted


def required_n(
    difference: float,
    between: float,
    within: float = 0.0,
    replicates: float = 1,
    *,
    paired: bool = True,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Return the least number of items (of each system where unpaired) that sees `difference` with chance `power`.

    Arguments and errors as `power`; BadInput also where the difference is 0 or not finite, or so small that no
    trillion items would do.
    """
    level, wanted = probability(alpha, "alpha"), _above(power, alpha)
    if not math.isfinite(difference) or difference == 0:
        raise BadInput(f"The difference to see is {difference!r}; give one that is not 0, in units of the metric.")
    effect = abs(difference) / _spread(between, within, replicates, paired=paired)
    enough = 2
    while _power(enough, effect, paired=paired, alpha=level) < wanted:
        enough *= 2
        if enough > _LARGEST:
            raise BadInput(f"A difference of {difference:g} is too small beside the spread: no trillion items show it.")
    short = enough // 2
    while enough - short > 1:
        middle = (enough + short) // 2
        seen = _power(middle, effect, paired=paired, alpha=level) >= wanted if middle > 1 else False
        short, enough = (short, middle) if seen else (middle, enough)
    return enough
