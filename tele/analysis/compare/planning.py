"""Planning a run: how many items and replicates show a difference, from a pilot or from declared spreads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tele.analysis.aggregations import Reader
from tele.analysis.compare.load import Arm, Column, Source, load, recorded
from tele.analysis.compare.metrics import Metric, metric
from tele.analysis.compare.sides import Pair, conditions
from tele.analysis.comparisons import plain
from tele.analysis.scope import census, requests
from tele.analysis.stats.power import Components, mde, required_n
from tele.errors import BadInput

__all__ = ["Design", "Plan", "Step", "pilot", "piloted", "plan", "spread"]

_REPLICATES = (1, 2, 3, 5, 10)
_SIZES = (0.5, 1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Design:
    """What is planned for: the spread of one item's difference, and where it is known from."""

    metric: str
    paired: bool
    components: Components
    """Paired: of the differences of two systems; else of one system."""
    sides: tuple[str, ...] = ()
    cost_usd: float | None = None
    """Of one item, once, on one side."""
    note: str = ""
    measured_in: str | None = None
    """Unit of the metric; None where it has none."""
    largest: float | None = None
    """The largest difference that there can be: 1 of a rate; None where there is no such bound."""


@dataclass(frozen=True, slots=True)
class Step:
    """One size: items of each side, replicates of each item, and the least difference that it finds."""

    items: int
    replicates: int
    mde: float
    calls: int
    """Items x replicates x 2 sides."""
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes to choose from."""

    metric: str
    paired: bool
    between: float
    """Standard deviation between items, in units of the metric: of differences where paired."""
    within: float | None
    """Standard deviation between replicates of an item; None where the pilot has none."""
    alpha: float
    power: float
    comparisons: int
    effect: float | None
    """The difference that is to be found; None where the sizes say which they find."""
    pilot_items: int | None
    pilot_replicates: float | None
    pilot_mde: float | None
    """Least difference that the pilot itself could find."""
    steps: tuple[Step, ...]
    note: str = ""
    measured_in: str | None = None
    """Unit of the metric; None where it has none."""
    largest: float | None = None
    """The largest difference that there can be, 1 of a rate: a size that finds none below finds nothing."""

    def blind(self, mde: float) -> bool:
        """Return whether what finds `mde` at the least finds nothing, since the metric cannot differ by so much."""
        return self.largest is not None and mde >= self.largest

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {name: plain(value) for name, value in asdict(self).items()}


def pilot(reader: Reader, pair: Pair, name: str, treatment: str | None = None) -> Design:
    """Return the spread that the runs of `pair` show of metric `name`: of the differences of its sides where paired.

    Raises BadInput where fewer than two items have values.
    """
    names = sorted({found for source in pair.sources for found in recorded(reader, source)})
    one = metric(name, names, {})
    if one.quantile is not None:
        raise BadInput(f"A plan is of means; name {name.partition('.')[0]!r}, not {name!r}.")
    arms = load(reader, pair.sources, [one])
    sides = [side for side in (pair.names[0], treatment or (pair.names[1] if len(pair.names) > 1 else None)) if side]
    having = [arms[side] for side in sides if side in arms and one.name in arms[side].columns]
    if not having:
        return _loose(reader, pair, one, [arms[side] for side in sides if side in arms])
    shared = set(having[0].items) & set(having[-1].items) if len(having) > 1 else set()
    cost = _cost(reader, pair.sources, [arm.name for arm in having])
    columns, sided = [arm.columns[one.name] for arm in having], tuple(arm.name for arm in having)
    largest = 1.0 if all(column.binary for column in columns) else None
    if len(shared) > 1:
        return Design(name, True, _paired(having, columns), sided, cost, largest=largest)
    parts = [_single(column) for column in columns]
    between = float(np.mean([part.between for part in parts]))
    noise = [part.within for part in parts if part.within is not None]
    components = Components(
        between, float(np.mean(noise)) if noise else None, parts[0].items, float(np.mean([p.replicates for p in parts]))
    )
    note = "one side in the pilot: planned as for two groups of different items" if len(having) == 1 else ""
    return Design(name, False, components, sided, cost, note, largest=largest)


def piloted(
    reader: Reader,
    experiment: str,
    name: str,
    baseline: str | None = None,
    treatment: str | None = None,
    on: str | None = None,
) -> Design:
    """Return what `pilot` says of two conditions of an experiment: those that are named, else the first two.

    Raises UnknownExperiment, or BadInput where a condition is not there.
    """
    seen = census(reader, experiment)
    pair = conditions(reader, seen, requests(reader, seen, on), (), baseline, named=False)
    if pair is None or (treatment is not None and treatment not in pair.names):
        raise BadInput(f"{experiment!r} has no condition {treatment!r}.")
    recorded_too = [found for source in pair.sources for found in recorded(reader, source)]
    return replace(pilot(reader, pair, name, treatment), measured_in=metric(name, recorded_too, {}).unit)


def spread(name: str, *, sd: float | None, within_sd: float | None, rate: float | None, paired: bool) -> Design:
    """Return a design from what is known without a pilot: standard deviations, or a rate of successes.

    Of a rate the variance of one outcome is rate x (1 - rate), and of a paired difference twice that, as if both sides
    were independent: pairs that agree more need fewer items. Raises BadInput.
    """
    if (sd is None) == (rate is None):
        raise BadInput("A plan takes an experiment as its pilot, or --sd, or --rate.")
    if rate is not None:
        if not 0 < rate < 1:
            raise BadInput(f"A rate is between 0 and 1, not {rate!r}.")
        variance = rate * (1 - rate) * (2 if paired else 1)
        note = "as if both sides succeeded independently" if paired else ""
        return Design(name, paired, Components(variance, None, 0, 1.0), note=note, largest=1.0)
    if not (sd is not None and math.isfinite(sd) and sd > 0) or not (within_sd is None or within_sd >= 0):
        raise BadInput("Standard deviations are numbers above 0.")
    return Design(name, paired, Components(sd**2, None if within_sd is None else within_sd**2, 0, 1.0))


def plan(
    design: Design,
    *,
    effect: float | None = None,
    items: int | None = None,
    replicates: int | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    comparisons: int = 1,
) -> Plan:
    """Return sizes that find `effect` (units of the metric), or what sizes around the pilot's find.

    `items` fixes the number of items and `replicates` that of replicates. With several `comparisons` each is tested at
    alpha / comparisons, Holm's first step. Raises BadInput.
    """
    if comparisons < 1 or not all(number is None or number >= least for number, least in ((items, 2), (replicates, 1))):
        raise BadInput("A plan takes at least 2 items, 1 replicate and 1 comparison.")
    if effect is not None and not (math.isfinite(effect) and effect > 0):
        raise BadInput(f"The effect is a number above 0, not {effect!r}.")
    if effect is not None and design.largest is not None and effect >= design.largest:
        raise BadInput(f"{design.metric} is a share of successes: two differ by less than 1, not by {effect:g}.")
    parts, level = design.components, alpha / comparisons
    size = _Size(design, level, power)
    kinds = (replicates,) if replicates else _REPLICATES if parts.within else (1,)
    if items is not None:
        steps = [size.step(items, k) for k in kinds]
    elif effect is not None:
        steps = [size.step(size.needed(effect, k), k) for k in kinds]
    else:
        base = parts.items or 100
        most = kinds[-1] if replicates else max(1, round(parts.replicates))
        steps = [size.step(max(2, round(base * factor)), most) for factor in _SIZES]
    known = parts.items > 1
    now = size.mde(parts.items, max(1.0, parts.replicates)) if known else None
    return Plan(
        design.metric,
        design.paired,
        math.sqrt(parts.between),
        None if parts.within is None else math.sqrt(parts.within),
        alpha,
        power,
        comparisons,
        effect,
        parts.items if known else None,
        parts.replicates if known else None,
        now,
        tuple(steps),
        design.note,
        design.measured_in,
        design.largest,
    )


@dataclass(frozen=True, slots=True)
class _Size:
    design: Design
    level: float
    power: float

    def _given(self, replicates: float) -> dict[str, Any]:
        parts = self.design.components
        return {
            "between": parts.between,
            "within": parts.within or 0.0,
            "replicates": replicates,
            "paired": self.design.paired,
            "alpha": self.level,
            "power": self.power,
        }

    def mde(self, items: int, replicates: float) -> float:
        return mde(items, **self._given(replicates))

    def needed(self, effect: float, replicates: float) -> int:
        return required_n(effect, **self._given(replicates))

    def step(self, items: int, replicates: int) -> Step:
        calls = items * replicates * 2
        cost = None if self.design.cost_usd is None else calls * self.design.cost_usd
        return Step(items, replicates, self.mde(items, replicates), calls, cost)


def _noise(column: Column) -> float | None:
    """Variance between replicates, pooled over the items that have two or more."""
    spare = np.where(column.count > 1, column.count - 1, 0)
    total = int(spare.sum())
    return float(np.nansum(np.where(spare > 0, column.variance, 0.0) * spare) / total) if total else None


def _single(column: Column) -> Components:
    there = column.count > 0
    means, counts = column.mean[there], column.count[there]
    if means.size < 2:  # noqa: PLR2004  # a variance takes two
        raise BadInput(f"The pilot has {means.size} item with a value; a plan needs at least 2.")
    noise, total = _noise(column), float(means.var(ddof=1))
    typical = 1 / float(np.mean(1 / counts))
    if noise is None:
        return Components(total, None, means.size, typical)
    return Components(max(0.0, total - noise / typical), noise, means.size, typical)


def _paired(arms: Sequence[Arm], columns: Sequence[Column]) -> Components:
    """Split the variance of the items' differences, as `stats.power.paired_components` does from rows."""
    at: list[Mapping[str, int]] = [
        {item: i for i, item in enumerate(arm.items) if column.count[i] > 0}
        for arm, column in zip(arms, columns, strict=True)
    ]
    shared = sorted(set(at[0]) & set(at[1]))
    if len(shared) < 2:  # noqa: PLR2004
        raise BadInput(
            f"The two sides of the pilot have {len(shared)} items with values in common; at least 2 are needed."
        )
    where = [np.array([one[item] for item in shared]) for one in at]
    old, new = (column.mean[rows] for column, rows in zip(columns, where, strict=True))
    counts = [column.count[rows] for column, rows in zip(columns, where, strict=True)]
    total = float((new - old).var(ddof=1))
    replicates = 1 / float(np.mean((1 / counts[0] + 1 / counts[1]) / 2))
    noise = [_noise(column) for column in columns]
    if noise[0] is None or noise[1] is None:
        return Components(total, None, len(shared), replicates)
    left = float(np.mean(noise[0] / counts[0] + noise[1] / counts[1]))
    return Components(max(0.0, total - left), noise[0] + noise[1], len(shared), replicates)


def _loose(reader: Reader, pair: Pair, one: Metric, arms: Sequence[Arm]) -> Design:
    samples = [arm.loose[one.name].values for arm in arms if one.name in arm.loose]
    samples = [values for values in samples if values.size > 1]
    if not samples:
        raise BadInput(f"The pilot has fewer than 2 values of {one.name!r}; record them, or give --sd.")
    variance = float(np.mean([values.var(ddof=1) for values in samples]))
    size = min(values.size for values in samples)
    cost = _cost(reader, pair.sources, [arm.name for arm in arms])
    return Design(
        one.name,
        False,
        Components(variance, None, size, 1.0),
        tuple(arm.name for arm in arms),
        cost,
        "values name no item",
        largest=1.0 if all(np.isin(values, (0.0, 1.0)).all() for values in samples) else None,
    )


def _cost(reader: Reader, sources: Sequence[Source], sides: Sequence[str]) -> float | None:
    """US dollars of one item, once, on one side; None where the pilot knows no cost."""
    total, tries = 0.0, 0
    for source in sources:
        params = [*source.requests.params, list(sides)]
        rows = reader.rows(
            f"""SELECT fsum(cost), count(*) FROM (
                SELECT sum(cost_usd) AS cost FROM {source.requests.source}
                    AND list_contains(${len(params)}, {source.side}) AND cost_usd IS NOT NULL
                GROUP BY {source.side}, run_id, replicate, coalesce(item_id, event_id))""",
            params,
        )
        total, tries = total + (rows[0][0] or 0.0), tries + rows[0][1]
    return total / tries if tries else None
