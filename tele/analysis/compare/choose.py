"""Choosing the test from the data, and saying why.

| sides | values | test |
|---|---|---|
| the same items | one success or failure of each | exact McNemar |
| the same items | means of replicates, or numbers | paired t; sign flips where differences are skewed |
| the same items, in clusters | any | t on the differences with clustered errors |
| different items | one success or failure of each | N - 1 chi-square of two rates |
| different items | numbers | Welch's t; Brunner-Munzel, or Mann-Whitney where few, where skewed; t permuted beside |
| different items, in clusters | any | t on the means with clustered errors |
| either, at a quantile | latencies of requests | the order-statistic intervals of both, joined |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tele.analysis.compare.pairing import Sides
from tele.analysis.comparisons import EffectSize, SecondOpinion
from tele.analysis.stats.binary import mcnemar
from tele.analysis.stats.clustered import clustered_difference, clustered_paired
from tele.analysis.stats.effects import cliffs_delta, hedges_g, hedges_g_paired
from tele.analysis.stats.paired import paired_t
from tele.analysis.stats.permutation import sign_flip
from tele.analysis.stats.proportions import two_proportions
from tele.analysis.stats.quantiles import quantile_difference
from tele.analysis.stats.results import Effect, Interval, TestResult
from tele.analysis.stats.shuffle import permutation
from tele.analysis.stats.unpaired import brunner_munzel, mann_whitney, welch
from tele.errors import BadInput

__all__ = ["Found", "choose", "skewed"]

Floats = NDArray[np.float64]
Bounds = Callable[[float], Interval | None]

_SKEW, _KURTOSIS, _FEW, _RANKED = 2.0, 7.0, 8, 10
"""Beyond this skewness or excess kurtosis a mean of few values is far from normal; fewer than 8 values cannot show it,
and Brunner-Munzel takes 10 of each side."""
_MANY = 500
"""From this many values the mean is close to normal all the same."""
_HALVINGS = 12
"""How often the width of an interval is halved in the search for its end: to a part in 4,000."""


@dataclass(frozen=True, slots=True)
class Found:
    """A chosen test and what it found; `test` is None where there was too little to test."""

    why: str
    test: TestResult | None = None
    difference: float | None = None
    of: str = "means"
    bounds: Bounds | None = None
    """Interval of the difference at a confidence."""
    effect: EffectSize | None = None
    also: tuple[SecondOpinion, ...] = ()
    towards: float | None = None
    """Which side is above: the sign of this; the difference where None."""
    clustered: bool = False
    interval_df: float | None = None
    """Degrees of freedom of t in that interval; None where it is none of t."""


def choose(sides: Sides, *, quantile: float | None = None, draws: int = 10_000) -> Found:
    """Return the test that these two sides ask for, and its answer; with `quantile` it is of that quantile."""
    few = _too_few(sides)
    if few is not None:
        return few
    if quantile is not None:
        return _at_quantile(sides, quantile)
    try:
        return _paired(sides, draws) if sides.paired else _unpaired(sides, draws)
    except BadInput as refused:
        gap = float(sides.treatment.mean() - sides.baseline.mean())
        return Found(str(refused).rstrip("."), difference=gap)


def _too_few(sides: Sides) -> Found | None:
    a, b = sides.baseline.size, sides.treatment.size
    gap = float(sides.treatment.mean() - sides.baseline.mean()) if a and b else None
    if sides.paired and a < 2:  # noqa: PLR2004  # a spread takes two
        return Found(f"{a} item{'' if a == 1 else 's'} with values on both sides: too few to test", difference=gap)
    if min(a, b) < 2:  # noqa: PLR2004
        return Found(f"{a} and {b} {sides.unit}s: too few to test", difference=gap)
    return None


def skewed(values: Floats, much: float = 1.0) -> bool:
    """Whether so few values, of such a shape, have a mean that is far from normal; `much` scales what counts."""
    if values.size < _FEW or values.size >= _MANY:
        return False
    off = values - values.mean()
    largest = float(np.abs(off).max())
    if largest <= 0:
        return False
    off /= largest  # so that no power overflows
    spread = float((off**2).mean())
    skew = float((off**3).mean()) / spread**1.5
    kurtosis = float((off**4).mean()) / spread**2 - 3
    return abs(skew) > much * _SKEW or kurtosis > much * _KURTOSIS


def _at_quantile(sides: Sides, q: float) -> Found:
    new, old = sides.treatment, sides.baseline
    test = quantile_difference(new, old, q)

    def bounds(confidence: float) -> Interval | None:
        return quantile_difference(new, old, q, confidence=confidence).interval

    why = f"a quantile of {old.size} and {new.size} requests, each for itself"
    return Found(why, test, test.estimate, f"p{100 * q:g}", bounds)


# ── the same items ───────────────────────────────────────────────────────────────────────────────────────────────────


def _paired(sides: Sides, draws: int) -> Found:
    new, old = sides.treatment, sides.baseline
    if _clustered(sides):
        return _paired_clusters(sides)
    if sides.binary:
        return _binary_pairs(new, old)
    flips = sign_flip(new, old, draws=draws)
    gap = new - old
    means = "" if sides.single else ", replicates averaged first"
    alike = f"every pair differs alike, so only signs can be tested{means}"
    if bool(np.all(gap == gap[0])):
        return Found(alike if gap[0] else f"every one of {gap.size} pairs is equal{means}", flips, flips.estimate)
    try:
        t = paired_t(new, old)
    except BadInput:  # alike but for rounding
        return Found(alike, flips, flips.estimate)

    def bounds(confidence: float) -> Interval | None:
        return paired_t(new, old, confidence=confidence).interval

    effect = _effect(hedges_g_paired, new, old)
    if skewed(gap):
        why = f"the same {gap.size} items on both sides, their differences skewed{means}"
        turned = partial(_flip_bounds, gap, draws)
        return Found(why, flips, t.estimate, "means", turned, effect, (_second(t),))
    why = f"the same {gap.size} items on both sides{means}"
    return Found(why, t, t.estimate, "means", bounds, effect, (_second(flips),), interval_df=_df(t))


def _flip_bounds(gap: Floats, draws: int, confidence: float) -> Interval:
    """Return the shifts that sign flips do not reject: the interval that agrees with that test.

    Beyond the outermost difference all have one sign, which is rejected unless so few cannot reject anything: then the
    bound is open.
    """
    centre = float(gap.mean())

    def kept(shift: float) -> bool:
        return sign_flip(gap - shift, np.zeros(gap.size), draws=draws).p_value > 1 - confidence

    def bound(outermost: float, nothing: float) -> float:
        inside, outside = centre, outermost
        if kept(outside):
            return nothing if 2.0 ** (1 - gap.size) > 1 - confidence else outside
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if kept(middle) else (inside, middle)
        return outside

    return bound(float(gap.min()), -math.inf), bound(float(gap.max()), math.inf)


def _binary_pairs(new: Floats, old: Floats) -> Found:
    test = mcnemar(new, old)
    only_new, only_old = int(np.count_nonzero(new > old)), int(np.count_nonzero(new < old))
    why = (
        f"the same {new.size} items, one success or failure each: {only_new} solved only by the treatment, "
        f"{only_old} only by the baseline"
    )

    def bounds(confidence: float) -> Interval | None:
        return mcnemar(new, old, confidence=confidence).interval

    effect = EffectSize("risk difference", test.estimate or 0.0, test.interval)
    return Found(why, test, test.estimate, "proportions", bounds, effect)


def _paired_clusters(sides: Sides) -> Found:
    assert sides.clusters is not None  # noqa: S101  # `_clustered` asked
    new, old = sides.treatment, sides.baseline
    labels = _labels(sides.clusters[0], sides.items)
    test = clustered_paired(new, old, labels)

    def bounds(confidence: float) -> Interval | None:
        return clustered_paired(new, old, labels, confidence=confidence).interval

    groups = len(set(labels))
    why = f"the same {new.size} items on both sides, in {groups} clusters that vary together"
    effect = _effect(hedges_g_paired, new, old)
    return Found(why, test, test.estimate, "means", bounds, effect, clustered=True, interval_df=_df(test))


# ── different items ──────────────────────────────────────────────────────────────────────────────────────────────────


def _unpaired(sides: Sides, draws: int) -> Found:
    new, old = sides.treatment, sides.baseline
    what = f"{old.size} and {new.size} different {sides.unit}s"
    if _clustered(sides):
        return _clusters_apart(sides, what)
    if sides.binary:
        return _rates(new, old, what)

    def bounds(confidence: float) -> Interval | None:
        return welch(new, old, confidence=confidence).interval

    try:
        t = welch(new, old)
    except BadInput:  # two constants that differ
        ranks, gap = mann_whitney(new, old), float(new.mean() - old.mean())
        return Found(f"{what}, each side constant", ranks, gap, effect=_effect(cliffs_delta, new, old))
    much = 1.0 if min(new.size, old.size) >= _FEW else 0.5  # few values cannot show what the other side's do
    if not (skewed(new, much) or skewed(old, much)):
        beside = _dealt(new, old, draws)
        return Found(what, t, t.estimate, "means", bounds, _effect(hedges_g, new, old), beside, interval_df=_df(t))
    ranks = _ranked(new, old)
    effect = _effect(cliffs_delta, new, old)
    above = None if ranks.estimate is None else ranks.estimate - 0.5
    also = (_second(t), *_dealt(new, old, draws))
    return Found(f"{what}, skewed", ranks, t.estimate, "means", bounds, effect, also, above, interval_df=_df(t))


def _dealt(new: Floats, old: Floats, draws: int) -> tuple[SecondOpinion, ...]:
    """The permutation of Welch's t, for means that may not be normal; with many values it says what t says."""
    if max(new.size, old.size) >= _MANY:
        return ()
    try:
        return (_second(permutation(new, old, draws=draws)),)
    except BadInput:  # constant but for rounding
        return ()


def _ranked(new: Floats, old: Floats) -> TestResult:
    if min(new.size, old.size) >= _RANKED:
        try:
            return brunner_munzel(new, old)
        except BadInput:  # one side wholly above the other
            pass
    return mann_whitney(new, old)


def _rates(new: Floats, old: Floats, what: str) -> Found:
    counts = int(new.sum()), new.size, int(old.sum()), old.size
    test = two_proportions(*counts)

    def bounds(confidence: float) -> Interval | None:
        return two_proportions(*counts, confidence=confidence).interval

    effect = EffectSize("risk difference", test.estimate or 0.0, test.interval)
    return Found(f"{what}, one success or failure each", test, test.estimate, "proportions", bounds, effect)


def _clusters_apart(sides: Sides, what: str) -> Found:
    assert sides.clusters is not None  # noqa: S101
    new, old = sides.treatment, sides.baseline
    left, right = (_labels(names, ()) for names in sides.clusters)
    test = clustered_difference(new, old, right, left)

    def bounds(confidence: float) -> Interval | None:
        return clustered_difference(new, old, right, left, confidence=confidence).interval

    groups = len({*left, *right})
    why = f"{what}, in {groups} clusters that vary together"
    return Found(
        why,
        test,
        test.estimate,
        bounds=bounds,
        effect=_effect(hedges_g, new, old),
        clustered=True,
        interval_df=_df(test),
    )


def _clustered(sides: Sides) -> bool:
    """Whether clusters are named, and hold more than one unit somewhere: else they say nothing."""
    if sides.clusters is None:
        return False
    named = [name for names in (sides.clusters[:1] if sides.paired else sides.clusters) for name in names]
    return len({name for name in named if name is not None}) > 1 and len(set(named)) < len(named)


def _labels(names: tuple[str | None, ...], items: tuple[str, ...]) -> list[str]:
    """Cluster of each unit; one without a cluster is one of its own."""
    own = items or tuple(str(number) for number in range(len(names)))
    return [f"of {name}" if name is not None else f"alone {mine}" for name, mine in zip(names, own, strict=True)]


def _df(test: TestResult) -> float | None:
    return None if test.df is None or isinstance(test.df, tuple) else float(test.df)


def _second(test: TestResult) -> SecondOpinion:
    return SecondOpinion(test.test, test.statistic, test.p_value)


def _effect(of: Callable[[Floats, Floats], Effect], new: Floats, old: Floats) -> EffectSize | None:
    try:
        found = of(new, old)
    except BadInput:  # no spread, so no scale
        return None
    return EffectSize(found.name, found.value, found.interval)
