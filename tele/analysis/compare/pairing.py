"""Bringing two sides together: the same items where ids match, and a count of what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tele.analysis.compare.load import Arm, Column, Loose
from tele.analysis.compare.metrics import Metric
from tele.analysis.comparisons import Absent, Missing
from tele.errors import BadInput

__all__ = ["FAILURES", "Sides", "align", "aligned"]

Floats = NDArray[np.float64]
FAILURES = ("exclude", "as-worst")
"""How items that one side failed or never answered enter."""
_SHARED = 0.5
"""Sides are paired from this share of the smaller one's items that both have."""
_NOTHING = Absent(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Sides:
    """One metric on both sides: by position the same item where `paired`."""

    baseline: Floats
    treatment: Floats
    paired: bool
    unit: str
    missing: Missing
    items: tuple[str, ...]
    clusters: tuple[tuple[str | None, ...], tuple[str | None, ...]] | None
    """Cluster of each unit of either side; None where none is named."""
    single: bool
    """Whether every unit stands for one value: no replicates were averaged."""
    order: NDArray[np.int64] | None = None
    """Positions of the pairs in order of when both were first seen."""

    @property
    def binary(self) -> bool:
        """Whether every unit is one success or failure."""
        both = np.concatenate((self.baseline, self.treatment))
        return self.single and bool(np.all((both == 0) | (both == 1)))


def align(metric: Metric, baseline: Arm, treatment: Arm, failures: str) -> Sides:
    """Return the two sides of `metric`, paired by item where they share at least half of the smaller one's items.

    Raises BadInput where `as-worst` is asked for and nobody said which direction is better.
    """
    if failures == "as-worst" and metric.k:
        raise BadInput(
            f"Failures do not enter {metric.name} by themselves: record a 0 of {metric.recorded!r} for each."
        )
    if failures == "as-worst" and metric.better is None:
        raise BadInput(f"Which value of {metric.name!r} is worst? Say --better {metric.name}=higher, or lower.")
    one, two = (_column(metric, arm) for arm in (baseline, treatment))
    if one is None or two is None or not (one.count.any() or two.count.any()):
        return _unpaired(metric, baseline, treatment, failures)
    mine, theirs = set(baseline.items), set(treatment.items)
    if len(mine & theirs) < _SHARED * min(len(mine), len(theirs)):
        return _unpaired(metric, baseline, treatment, failures)
    return _paired(metric, (baseline, one), (treatment, two), failures)


def _column(metric: Metric, arm: Arm) -> Column | None:
    """Values of the items; all absent where the side has items, some of which failed, and no value at all."""
    found, loose = arm.columns.get(metric.name), arm.loose.get(metric.name)
    if found is None and metric.quantile is None and not (loose and loose.values.size) and arm.failed.any():
        nothing = np.full(len(arm.items), np.nan)
        return Column(nothing, np.zeros(len(arm.items), np.int64), nothing)
    return found


def _paired(metric: Metric, left: tuple[Arm, Column], right: tuple[Arm, Column], failures: str) -> Sides:
    universe = sorted(_concerned(*left) | _concerned(*right))
    spread = [_Spread.over(universe, arm, column) for arm, column in (left, right)]
    worst = _worst(metric, [column.mean for _, column in (left, right)]) if failures == "as-worst" else None
    baseline, treatment = (one.values(worst) for one in spread)
    keep = ~(np.isnan(baseline) | np.isnan(treatment))
    clusters = [b or a for a, b in zip(*(one.clusters for one in spread), strict=True)]
    named = tuple(name for name, kept in zip(clusters, keep, strict=True) if kept)
    single = all(bool(np.all(one.count[keep] <= 1) and np.all(one.attempts[keep] <= 1)) for one in spread)
    return Sides(
        baseline[keep],
        treatment[keep],
        True,
        "item",
        Missing(spread[0].absent, spread[1].absent, failures, _without(metric, left[0], right[0])),
        tuple(item for item, kept in zip(universe, keep, strict=True) if kept),
        (named, named) if any(name is not None for name in named) else None,
        single,
        np.argsort(np.maximum(spread[0].first_ns, spread[1].first_ns)[keep], kind="stable"),
    )


def _without(metric: Metric, *arms: Arm) -> int:
    return sum(arm.without_item.get(metric.name, 0) for arm in arms)


def _concerned(arm: Arm, column: Column) -> set[str]:
    """Items that have a value, or that failed: others were not asked for this metric."""
    asked = (column.count > 0) | arm.failed
    return {item for item, yes in zip(arm.items, asked, strict=True) if yes}


def _worst(metric: Metric, values: Sequence[Floats]) -> float | None:
    """The value that failures enter as; None where there is no value to tell it from."""
    seen = np.concatenate([one[~np.isnan(one)] for one in values])
    if not seen.size:
        return None
    if np.all((seen >= 0) & (seen <= 1)) and np.any((seen == 0) | (seen == 1)):  # a share of successes
        return 0.0 if metric.better == "higher" else 1.0
    return float(seen.min() if metric.better == "higher" else seen.max())


@dataclass(frozen=True, slots=True)
class _Spread:
    """One side over all items that concern the metric, NaN where it has no value."""

    mean: Floats
    count: NDArray[np.int64]
    attempts: NDArray[np.int64]
    failed: NDArray[np.bool_]
    first_ns: NDArray[np.int64]
    clusters: tuple[str | None, ...]

    @classmethod
    def over(cls, universe: Sequence[str], arm: Arm, column: Column) -> _Spread:
        at = {item: position for position, item in enumerate(arm.items)}
        where = np.array([at.get(item, -1) for item in universe], np.int64)
        there = where >= 0
        return cls(
            np.where(there, column.mean[where], np.nan),
            np.where(there, column.count[where], 0),
            np.where(there, arm.attempts[where], 0),
            there & arm.failed[where],
            np.where(there, arm.first_ns[where], 0),
            tuple(arm.clusters[position] if position >= 0 else None for position in where),
        )

    @property
    def absent(self) -> Absent:
        none = self.count == 0
        return Absent(
            int(np.count_nonzero(none & ~self.failed)),
            int(np.count_nonzero(none & self.failed)),
            int(np.count_nonzero(~none & (self.count < self.attempts))),
        )

    def values(self, worst: float | None) -> Floats:
        """The mean of each item, what failed entering as `worst` where that is given."""
        if worst is None:
            return self.mean
        tried = np.maximum(np.maximum(self.attempts, self.count), 1)
        return np.asarray((np.where(self.count > 0, self.mean, 0) * self.count + worst * (tried - self.count)) / tried)


def _unpaired(metric: Metric, baseline: Arm, treatment: Arm, failures: str) -> Sides:
    found = [_units(metric, arm) for arm in (baseline, treatment)]
    worst = _worst(metric, [one.values for one in found]) if failures == "as-worst" else None
    values = [
        one.values if worst is None else np.concatenate((one.values, np.full(one.absent, worst))) for one in found
    ]
    clusters = [one.clusters if worst is None else (*one.clusters, *([None] * one.absent)) for one in found]
    absent = [Absent(0, one.absent, one.partly) if one.absent or one.partly else _NOTHING for one in found]
    return Sides(
        values[0],
        values[1],
        False,
        found[0].unit if found[0].values.size else found[1].unit,
        Missing(absent[0], absent[1], failures, _without(metric, baseline, treatment)),
        (),
        (clusters[0], clusters[1]) if any(name is not None for side in clusters for name in side) else None,
        all(one.single for one in found),
    )


@dataclass(frozen=True, slots=True)
class _Units:
    """The units of one side that stands alone."""

    values: Floats
    clusters: tuple[str | None, ...]
    unit: str
    absent: int
    partly: int
    single: bool


def _units(metric: Metric, arm: Arm) -> _Units:
    column = _column(metric, arm)
    if column is None:
        loose = arm.loose.get(metric.name, Loose(np.zeros(0), (), "value", 0))
        return _Units(loose.values, loose.clusters, loose.unit, loose.without_value, 0, True)
    there = column.count > 0
    clusters = tuple(name for name, yes in zip(arm.clusters, there, strict=True) if yes)
    return _Units(
        column.mean[there],
        clusters,
        "item",
        int(np.count_nonzero(~there & arm.failed)),
        int(np.count_nonzero(there & (column.count < arm.attempts))),
        bool(np.all(column.count[there] <= 1)),
    )


def aligned(metric: Metric, arms: Sequence[Arm]) -> NDArray[np.float64] | None:
    """Return items x sides where at least three items have a value on every side; None where they do not."""
    columns = [arm.columns.get(metric.name) for arm in arms]
    maps = [
        {item: value for item, value in zip(arm.items, column.mean, strict=True) if not np.isnan(value)}
        for arm, column in zip(arms, columns, strict=True)
        if column is not None
    ]
    if len(maps) < len(arms):
        return None
    common = set(maps[0]).intersection(*maps[1:])
    if len(common) < max(3, _SHARED * min(map(len, maps))):
        return None
    return np.array([[one[item] for one in maps] for item in sorted(common)])
