"""Loading: the values of each side, brought to one number per item by SQL.

Rows of one item, run and replicate are averaged first, then the replicates of the item: an item weighs the same
however often it was asked. Where values name no item, each stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tele.analysis.aggregations import Reader
from tele.analysis.compare.metrics import Metric
from tele.analysis.scope import Requests, Scope
from tele.errors import BadInput

__all__ = ["Arm", "Column", "Loose", "Source", "load", "recorded"]

Floats = NDArray[np.float64]
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one experiment, and the SQL that says which side a row is on."""

    scope: Scope
    requests: Requests
    side: str
    sides: tuple[str, ...] | None = None
    """Sides to read; all where None."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric over the items of a side: mean of the replicates (NaN where none has a value), number, variance."""

    mean: Floats
    count: NDArray[np.int64]
    variance: Floats
    """Between the replicates of an item; NaN where there are fewer than two."""

    @property
    def sums(self) -> Floats:
        """Sum of the replicates of each item."""
        return np.where(self.count > 0, self.mean * self.count, 0.0)

    @property
    def binary(self) -> bool:
        """Whether every value is 0 or 1, as the means and variances tell it."""
        n, ones = self.count, np.rint(self.sums)
        spread = np.where(n > 1, self.variance * (n - 1), 0.0)
        squares = np.where(n > 0, ones - ones * ones / np.maximum(n, 1), 0.0)  # of so many ones among n, from the mean
        near = np.abs(self.sums - ones) <= _ROUNDING
        return bool(
            np.all(near & (np.abs(spread - squares) <= _ROUNDING * np.maximum(n, 1)) & (ones >= 0) & (ones <= n))
        )


@dataclass(frozen=True, slots=True)
class Loose:
    """Values that name no item: one of each row, or of each run where rows are steps of it."""

    values: Floats
    clusters: tuple[str | None, ...]
    unit: str
    without_value: int
    """Requests that failed, or have no such value."""


@dataclass(slots=True)
class Arm:
    """One side: its items in order of their ids, and what each metric says of them."""

    name: str
    items: tuple[str, ...] = ()
    clusters: tuple[str | None, ...] = ()
    attempts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Replicates in which the item was tried."""
    failed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Whether a span of the item failed."""
    first_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    columns: dict[str, Column] = field(default_factory=dict)
    loose: dict[str, Loose] = field(default_factory=dict)
    without_item: dict[str, int] = field(default_factory=dict)
    """Values that name no item beside others that do, by metric."""
    no_number: dict[str, int] = field(default_factory=dict)
    """Records of a metric whose value is NaN, infinite or none: they cannot enter."""

    def knows(self, metric: str) -> bool:
        """Whether this side has any value of a metric."""
        loose = self.loose.get(metric)
        return metric in self.columns or (loose is not None and loose.values.size > 0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """How many values of a metric there are on a side, how many name an item, are steps, and are no number."""

    values: int
    itemised: int
    steps: int
    no_number: int = 0


def recorded(reader: Reader, source: Source) -> list[str]:
    """Return the names of the metrics that were recorded, in order."""
    found = reader.rows(
        f"""SELECT DISTINCT name FROM events WHERE {source.scope.where} AND kind = 'metric' AND value IS NOT NULL
        ORDER BY name""",
        source.scope.params,
    )
    return [name for (name,) in found]


def load(reader: Reader, sources: Sequence[Source], metrics: Sequence[Metric]) -> dict[str, Arm]:
    """Return the sides of all sources by name, with a column or loose values of each metric that they have."""
    arms: dict[str, Arm] = {}
    for source in sources:
        seen = _seen(reader, source, metrics)
        with_items = [
            one for one in metrics if one.quantile is None and any(s.itemised for s in seen[one.name].values())
        ]
        if with_items:
            _itemised(reader, source, with_items, arms, stepped=_stepped(seen))
        for one in metrics:
            counts = seen[one.name]
            items = any(found.itemised for found in counts.values())  # where there are none, failures are loose too
            bare = [side for side, found in counts.items() if not found.itemised and (found.values or not items)]
            if one.quantile is not None:
                bare = list(counts)
            if bare:
                _loose(reader, source, one, bare, arms, steps=any(counts[side].steps for side in bare))
            for side, found in counts.items():
                if found.itemised and found.values > found.itemised:
                    _arm(arms, side).without_item[one.name] = found.values - found.itemised
                if found.no_number:
                    _arm(arms, side).no_number[one.recorded] = found.no_number
    return arms


def _arm(arms: dict[str, Arm], name: str) -> Arm:
    return arms.setdefault(name, Arm(name))


def _stepped(seen: Mapping[str, Mapping[str, _Seen]]) -> frozenset[str]:
    return frozenset(name for name, sides in seen.items() if any(found.steps for found in sides.values()))


def _which(source: Source, params: list[object]) -> str:
    """SQL condition on the side, beginning with AND; its parameter joins `params`."""
    if source.sides is None:
        return f" AND {source.side} IS NOT NULL"
    params.append(list(source.sides))
    return f" AND list_contains(${len(params)}, {source.side})"


def _seen(reader: Reader, source: Source, metrics: Sequence[Metric]) -> dict[str, dict[str, _Seen]]:
    found: dict[str, dict[str, _Seen]] = {one.name: {} for one in metrics}
    of_requests = [one for one in metrics if one.sql is not None]
    if of_requests:
        params = list(source.requests.params)
        counts = ", ".join(f"count({one.sql}), count({one.sql}) FILTER (item_id IS NOT NULL)" for one in of_requests)
        which = _which(source, params)
        query = f"SELECT {source.side} AS side, {counts} FROM {source.requests.source}{which} GROUP BY side"
        for side, *numbers in reader.rows(query, params):
            for i, one in enumerate(of_requests):
                found[one.name][str(side)] = _Seen(numbers[2 * i], numbers[2 * i + 1], 0)
    named: dict[str, list[str]] = {}
    for one in metrics:
        if one.sql is None:
            named.setdefault(one.recorded, []).append(one.name)
    if named:
        params = [*source.scope.params]
        which = _which(source, params)
        params.append(list(named))
        query = f"""SELECT {source.side} AS side, name,
                count(value), count(value) FILTER (item_id IS NOT NULL), count(step), count(*) - count(value)
            FROM events WHERE {source.scope.where}{which} AND kind = 'metric' AND list_contains(${len(params)}, name)
            GROUP BY side, name"""
        for side, name, *numbers in reader.rows(query, params):
            for asked in named[name]:
                found[asked][str(side)] = _Seen(*numbers)
    return found


def _itemised(
    reader: Reader, source: Source, metrics: Sequence[Metric], arms: dict[str, Arm], *, stepped: frozenset[str]
) -> None:
    """Add the items of each side: one pass over the rows, one over the requests where one of their metrics is asked."""
    query, params = _items_sql(source, metrics, stepped)
    for side, items, clusters, attempts, failed, first, *columns in reader.rows(query, params):
        arm = _arm(arms, str(side))
        arm.items, arm.clusters = tuple(items), tuple(clusters)
        arm.attempts, arm.failed = np.array(attempts, np.int64), np.array(failed, np.bool_)
        arm.first_ns = np.array(first, np.int64)
        for i, one in enumerate(metrics):
            mean, count, variance = columns[3 * i : 3 * i + 3]
            if any(count):
                column = Column(np.array(mean, float), np.array(count, np.int64), np.array(variance, float))
                arm.columns[one.name] = passed(column, one) if one.k else column


def passed(column: Column, one: Metric) -> Column:
    """Return pass@k or pass^k of each item, from the successes among its n replicates; NaN where n is below k.

    1 - C(n - c, k) / C(n, k), unbiased (M. Chen and others, "Evaluating large language models trained on code",
    arXiv 2107.03374, 2021); for pass^k C(c, k) / C(n, k). Raises BadInput where replicates are not 0 or 1.
    """
    if not column.binary:
        raise BadInput(f"{one.name} takes successes and failures; {one.recorded!r} has values other than 0 and 1.")
    n, c = column.count, np.rint(column.sums).astype(np.int64)
    share = np.ones(n.size)
    hits = c if one.every else n - c
    for i in range(one.k):  # C(hits, k) / C(n, k) as a product: no factorial overflows
        share *= np.maximum(hits - i, 0) / np.maximum(n - i, 1)
    value = np.where(n >= one.k, share if one.every else 1 - share, np.nan)
    return Column(value, np.where(n >= one.k, n, 0), np.full(n.size, np.nan))


def _items_sql(source: Source, metrics: Sequence[Metric], stepped: frozenset[str]) -> tuple[str, list[object]]:
    of_requests = [(i, one.sql) for i, one in enumerate(metrics) if one.sql is not None]
    named = [(i, one.recorded) for i, one in enumerate(metrics) if one.sql is None]
    params: list[object] = list(source.scope.params)
    keys = f"{source.side} AS side, item_id AS item, run_id, replicate, cluster, start_ns"
    which = _which(source, params)
    parts = []
    values = []
    for i, name in named:
        params.append(name)
        values.append(f"CASE WHEN name = ${len(params)} AND kind = 'metric' THEN value END AS m{i}")
    listed = "".join(f", {value}" for value in values)
    kinds = "kind IN ('span', 'metric')" if named else "kind = 'span'"
    step = ", step" if stepped else ""
    parts.append(
        f"""SELECT {keys}{step}, kind = 'span' AND success IS FALSE AS failed{listed}
        FROM events WHERE {source.scope.where}{which} AND {kinds} AND item_id IS NOT NULL"""
    )
    if of_requests:  # the requests' parameters begin with those of the scope, so that the numbers agree
        extra = source.requests.params[len(source.scope.params) :]
        condition = source.requests.source
        for n, value in enumerate(extra):
            params.append(value)
            condition = condition.replace(f"${len(source.scope.params) + 1 + n}", f"${len(params)}")
        chosen = "".join(f", {sql} AS m{i}" for i, sql in of_requests)
        parts.append(f"SELECT {keys}, FALSE AS failed{chosen} FROM {condition}{which} AND item_id IS NOT NULL")
    cells = "".join(f", {_of_cell(i, one.name in stepped)} AS m{i}" for i, one in enumerate(metrics))
    over = "".join(f", favg(m{i}) AS m{i}, count(m{i}) AS n{i}, var_samp(m{i}) AS v{i}" for i in range(len(metrics)))
    lists = "".join(
        f", list(m{i} ORDER BY item), list(n{i} ORDER BY item), list(v{i} ORDER BY item)" for i in range(len(metrics))
    )
    query = f"""WITH rows AS ({" UNION ALL BY NAME ".join(parts)}),
    cell AS (
        SELECT side, item, run_id, replicate, min(cluster) AS cluster, min(start_ns) AS first,
            bool_or(failed) AS failed{cells}
        FROM rows GROUP BY side, item, run_id, replicate),
    item AS (
        SELECT side, item, min(cluster) AS cluster, count(*) AS attempts, bool_or(failed) AS failed,
            coalesce(min(first), 0) AS first{over}
        FROM cell GROUP BY side, item)
    SELECT side, list(item ORDER BY item), list(cluster ORDER BY item), list(attempts ORDER BY item),
        list(failed ORDER BY item), list(first ORDER BY item){lists}
    FROM item GROUP BY side"""
    return query, params


def _of_cell(i: int, stepped: bool) -> str:
    """SQL of one metric in one replicate of an item: the mean of its rows, or the value at its last step."""
    return f"coalesce(arg_max(m{i}, step) FILTER (m{i} IS NOT NULL), favg(m{i}))" if stepped else f"favg(m{i})"


def _loose(
    reader: Reader, source: Source, one: Metric, sides: Sequence[str], arms: dict[str, Arm], *, steps: bool
) -> None:
    if one.sql is None:
        params: list[object] = list(source.scope.params)
        which = _which(source, params)
        params.append(one.recorded)
        rows = f"""SELECT {source.side} AS side, value, cluster, step, run_id, replicate FROM events
            WHERE {source.scope.where}{which} AND kind = 'metric' AND name = ${len(params)}"""
        if steps:
            rows = f"""SELECT side, coalesce(arg_max(value, step) FILTER (value IS NOT NULL), favg(value)) AS value,
                min(cluster) AS cluster FROM ({rows}) GROUP BY side, run_id, replicate"""
        unit = "run" if steps else "value"
    else:
        params = list(source.requests.params)
        which = _which(source, params)
        rows = f"SELECT {source.side} AS side, {one.sql} AS value, cluster FROM {source.requests.source}{which}"
        unit = "request"
    query = f"""SELECT side, coalesce(list(value ORDER BY value) FILTER (value IS NOT NULL), []),
            coalesce(list(cluster ORDER BY value) FILTER (value IS NOT NULL), []), count(*) - count(value)
        FROM ({rows}) GROUP BY side"""
    for side, values, clusters, absent in reader.rows(query, params):
        if str(side) in sides:
            _arm(arms, str(side)).loose[one.name] = Loose(np.array(values, float), tuple(clusters), unit, absent)
