"""The figures of each group of requests, in two queries: sums over small cells, then the durations in order."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tele.analysis.aggregations import Reader, ask
from tele.analysis.aggregations.requests import OUTCOMES, RANKED
from tele.analysis.figures import PERCENTILES, Cost, Excluded, Group, Interval, Latency, ModelCost, Reliability, Tokens
from tele.analysis.intervals import clopper_pearson, quantile_ranks, wilson
from tele.analysis.scope import Requests

__all__ = ["TIMED", "Key", "Keys", "Ranked", "in_order", "measure", "ranked", "ranks_of"]

TIMED = "success IS NOT FALSE AND duration_ms IS NOT NULL"
"""SQL: a request that latency is of."""
Key = tuple[Any, ...]
SERVICE_LEVELS = {"99": 100, "999": 1_000, "9999": 10_000}
"""Service levels by their digits: one request in so many may fail."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns of groups (SQL), as the parts of an aggregation need them."""

    columns: Sequence[str]

    @property
    def select(self) -> str:
        """What selects them, under the names k0, k1, ..."""
        return "".join(f"{column} AS k{i}, " for i, column in enumerate(self.columns))

    @property
    def by(self) -> str:
        """Their names, each with a comma behind it."""
        return "".join(f"k{i}, " for i in range(len(self.columns)))

    @property
    def group(self) -> str:
        """GROUP BY, where there is something to group by."""
        return f"\nGROUP BY {self.by.rstrip(', ')}" if self.columns else ""

    @property
    def within(self) -> str:
        """PARTITION BY of a window, likewise."""
        return f"PARTITION BY {self.by.rstrip(', ')} " if self.columns else ""

    def same(self, one: str, other: str) -> str:
        """The condition that rows of two relations are of one group."""
        each = (f"{one}.k{i} IS NOT DISTINCT FROM {other}.k{i}" for i in range(len(self.columns)))
        return " AND ".join(each) or "TRUE"


@dataclass(frozen=True, slots=True)
class _Cell:
    """Requests of one group that share model, kind of error and outcome."""

    model: str | None
    provider: str | None
    operation: str | None
    error_type: str | None
    success: bool | None
    open: bool
    requests: int
    timed: int
    priced: int
    unpriced: int
    cost: float | None
    counted: int
    input: int | None
    output: int | None
    cache_read: int | None
    cache_write: int | None
    reasoning: int | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """One value of a group's requests: moments, and the values at the ranks that were asked for."""

    mean: float
    std_dev: float | None
    n: int
    at: dict[int, float]

    def percentile(self, q: float) -> float:
        """Return quantile `q` by linear interpolation between ranks (R type 7), as numpy does it."""
        return _percentile(self.at, self.n, q)

    def interval(self, q: float) -> Interval:
        """Return the order-statistic interval of quantile `q`, 95 %; None on a side where there are too few values."""
        return _interval(self.at, self.n, q)


def measure(reader: Reader, requests: Requests, names: Sequence[str], columns: Sequence[str]) -> tuple[Group, ...]:
    """Return the figures of `requests`, a group for each value of `columns` (SQL, named `names`), by key."""
    cells = _cells(reader, requests, columns)
    counts = {key: _timed(group) for key, group in cells.items()}
    durations = ranked(reader, requests, columns, {n: ranks_of(n) for n in counts.values() if n})
    return tuple(
        Group(
            key=dict(zip(names, key, strict=True)),
            latency=_latency(cells[key], durations.get(key)),
            cost=_cost(cells[key]),
            reliability=_reliability(cells[key]),
            tokens=_tokens(cells[key]),
        )
        for key in in_order(cells)
    )


def in_order(keys: Iterable[Key]) -> list[Key]:
    """Return the keys of groups in the order in which they are shown: what has none last."""
    return sorted(keys, key=lambda key: [(value is None, str(type(value)), value) for value in key])


def _cells(reader: Reader, requests: Requests, columns: Sequence[str]) -> dict[Key, list[_Cell]]:
    keyed = Keys(columns)
    parts = {"requests": requests.source, "unpriced": requests.unpriced, "keys": keyed.select, "by": keyed.by}
    cells: dict[Key, list[_Cell]] = defaultdict(list)
    for row in ask(reader, OUTCOMES, requests.params, **parts):
        cells[row[: len(columns)]].append(_Cell(*row[len(columns) :]))
    return cells


def ranked(
    reader: Reader,
    requests: Requests,
    columns: Sequence[str],
    ranks: Mapping[int, Sequence[int]],
    *,
    value: str = "duration_ms",
    condition: str = TIMED,
) -> dict[Key, Ranked]:
    """Return the moments of `value` (SQL) in each group and its values at the ranks that the group's size asks for."""
    if not ranks:
        return {}
    keyed = Keys(columns)
    rows = ask(
        reader,
        RANKED,
        requests.params,
        requests=requests.source,
        keys=keyed.select,
        by=keyed.by,
        group=keyed.group,
        value=value,
        condition=condition,
        ranks=", ".join(f"({n}, {list(ranks[n])})" for n in sorted(ranks)),
    )
    cut = len(columns)
    return {
        row[:cut]: Ranked(
            row[cut], row[cut + 1], row[cut + 2], dict(zip(ranks[row[cut + 2]], row[cut + 3], strict=True))
        )
        for row in rows
    }


def ranks_of(n: int) -> list[int]:
    """Return every rank that the percentiles of `n` values and their intervals need, counted from 1."""
    wanted: set[int | None] = {1, n}
    for q in PERCENTILES.values():
        low = math.floor((n - 1) * q) + 1
        bounds = quantile_ranks(n, q)
        wanted |= {low, min(low + 1, n), bounds.low, bounds.high}
    return sorted(rank for rank in wanted if rank is not None)


def _percentile(at: dict[int, float], n: int, q: float) -> float:
    """Return quantile `q` by linear interpolation between ranks (R type 7), as numpy does it."""
    position = (n - 1) * q
    low = math.floor(position)
    a, b, share = at[low + 1], at[min(low + 2, n)], position - low
    return a + (b - a) * share if share < 0.5 else b - (b - a) * (1 - share)  # noqa: PLR2004 (the nearer end)


def _timed(cells: list[_Cell]) -> int:
    return sum(cell.timed for cell in cells if cell.success is not False)


def _latency(cells: list[_Cell], durations: Ranked | None) -> Latency:
    n = _timed(cells)
    failed = sum(cell.requests for cell in cells if cell.success is False)
    untimed = [cell for cell in cells if cell.success is not False]
    excluded = Excluded(
        failed=failed,
        open=sum(cell.requests - cell.timed for cell in untimed if cell.open),
        no_duration=sum(cell.requests - cell.timed for cell in untimed if not cell.open),
    )
    if durations is None:
        intervals: dict[str, Interval] = dict.fromkeys(PERCENTILES, (None, None))
        return Latency(0, None, None, None, None, None, None, None, None, None, intervals, excluded)
    at = durations.at
    found = {name: _percentile(at, n, q) for name, q in PERCENTILES.items()}
    return Latency(
        count=n,
        mean=durations.mean,
        median=found["p50"],
        std_dev=durations.std_dev,
        min=at[1],
        max=at[n],
        **found,
        intervals={name: _interval(at, n, q) for name, q in PERCENTILES.items()},
        excluded=excluded,
    )


def _interval(at: dict[int, float], n: int, q: float) -> Interval:
    ranks = quantile_ranks(n, q)
    return (None if ranks.low is None else at[ranks.low], None if ranks.high is None else at[ranks.high])


def _cost(cells: list[_Cell]) -> Cost:
    total, count, unpriced = _priced(cells)
    mean = None if total is None else total / count
    good = sum(cell.requests for cell in cells if cell.success is True)
    return Cost(
        total=total,
        count=count,
        unpriced=unpriced,
        mean_per_request=mean,
        cost_per_1k_requests=None if mean is None else mean * 1e3,
        cost_per_1m_requests=None if mean is None else mean * 1e6,
        by_model=_split(cells, lambda cell: cell.model),
        cost_per_success=None if total is None or not good else total / good,
        by_provider=_split(cells, lambda cell: cell.provider),
        by_operation=_split(cells, lambda cell: cell.operation),
    )


def _split(cells: list[_Cell], of: Callable[[_Cell], str | None]) -> dict[str, ModelCost]:
    """Return the cost by what the cells name, by that name."""
    found: dict[str, list[_Cell]] = defaultdict(list)
    for cell in cells:
        if (name := of(cell)) is not None:
            found[name].append(cell)
    return {name: ModelCost(*_priced(found[name])) for name in sorted(found)}


def _priced(cells: list[_Cell]) -> tuple[float | None, int, int]:
    """Return the cost of all cells, how many requests it covers, and how many have no price."""
    known = [cell.cost for cell in cells if cell.cost is not None]
    priced, unpriced = sum(cell.priced for cell in cells), sum(cell.unpriced for cell in cells)
    return (math.fsum(known) if known else None), priced, unpriced


def _reliability(cells: list[_Cell]) -> Reliability:
    total = sum(cell.requests for cell in cells)
    good = sum(cell.requests for cell in cells if cell.success is True)
    failed = sum(cell.requests for cell in cells if cell.success is False)
    still_open = sum(cell.requests for cell in cells if cell.success is None and cell.open)
    known = good + failed
    rate = good / known if known else None
    errors: Counter[str] = Counter()
    for cell in cells:
        if cell.success is False:
            errors[cell.error_type or "unknown"] += cell.requests
    return Reliability(
        total_requests=total,
        successful=good,
        failed=failed,
        unknown=total - known - still_open,
        open=still_open,
        success_rate=rate,
        success_rate_interval=wilson(good, known),
        failure_rate=failed / known if known else None,
        sla_99=_reaches(good, known, 100),
        sla_999=_reaches(good, known, 1_000),
        sla_9999=_reaches(good, known, 10_000),
        errors=dict(sorted(errors.items(), key=lambda item: (-item[1], item[0]))),
        success_rate_bounds=(bounds := clopper_pearson(good, known)),
        service_levels={name: _level(bounds, one_in) for name, one_in in SERVICE_LEVELS.items()} if bounds else {},
    )


def _reaches(good: int, known: int, one_in: int) -> bool | None:
    """Return whether at most one request in `one_in` failed; in integers, so that 99 of 100 is 99 %."""
    return (known - good) * one_in <= known if known else None


def _level(bounds: tuple[float, float], one_in: int) -> str:
    """Return on which side of a service level the bounds of a rate lie."""
    level = 1 - 1 / one_in
    return "met" if bounds[0] >= level else "missed" if bounds[1] < level else "undecided"


def _tokens(cells: list[_Cell]) -> Tokens:
    prompt, completion = _sum(cells, lambda cell: cell.input), _sum(cells, lambda cell: cell.output)
    count = sum(cell.counted for cell in cells)
    total = (prompt or 0) + (completion or 0) if count else None
    return Tokens(
        count=count,
        total_prompt=prompt,
        total_completion=completion,
        total=total,
        mean_total=None if total is None else total / count,
        cache_read=_sum(cells, lambda cell: cell.cache_read),
        cache_write=_sum(cells, lambda cell: cell.cache_write),
        reasoning=_sum(cells, lambda cell: cell.reasoning),
    )


def _sum(cells: list[_Cell], of: Callable[[_Cell], int | None]) -> int | None:
    known = [value for value in map(of, cells) if value is not None]
    return sum(known) if known else None
