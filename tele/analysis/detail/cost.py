"""Cost in depth: what caches saved, what another price table would have taken, what more requests will cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, cast

from tele.analysis.aggregations.requests import REPRICED, SPENT
from tele.analysis.detail.asked import Asked
from tele.errors import BadInput

if TYPE_CHECKING:
    from tele.store.reader import Store
    from tele.telemetry.prices.tables import Tables

__all__ = ["Affordable", "CostDetail", "Projected", "Savings", "WhatIf", "cost"]

_CACHED = "coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) > 0"
_SIZES = (1_000, 1_000_000)
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Savings:
    """What the providers' caches saved, net of what writing into them cost, by the price tables of today."""

    requests: int
    """Those that used a cache and have a price."""
    uncached_usd: float | None
    """What they would have cost with every token read anew."""
    cached_usd: float | None
    """What they cost by the same tables."""
    saved_usd: float | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The requests by another price table, where it has a price for them."""

    table: str
    priced: int
    unpriced: int
    recorded_usd: float | None
    """What was recorded, of all requests."""
    usd: float | None
    """By that table, of those that it prices."""


@dataclass(frozen=True, slots=True)
class Projected:
    """Cost of so many further requests, with a 95 % prediction interval."""

    requests: int
    usd: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Affordable:
    """How many requests a budget buys: what is expected, and a 95 % interval of it."""

    budget_usd: float
    requests: int
    interval: tuple[int, int | None] | None


@dataclass(frozen=True, slots=True)
class CostDetail:
    """The section on cost of one group.

    Projections take requests as independent and of the same sort as those whose cost is known: the sum of n further
    ones has variance s² (n + n²/N), N being the number that was seen. Normal; no cost is projected below 0.
    """

    key: Mapping[str, Any]
    mean_usd: float | None
    std_dev_usd: float | None
    cached_savings: Savings | None
    """None where no request with a price used a cache."""
    what_if: WhatIf | None
    projections: tuple[Projected, ...]
    affordable: Affordable | None


def cost(asked: Asked) -> tuple[CostDetail, ...]:
    """Return the section. Raises BadInput where a price table or a budget is not sound."""
    budget = asked.wanted.budget_usd
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise BadInput(f"A budget is an amount of US dollars above 0, not {budget!r}.")
    spent = asked.each(SPENT)
    own = _repriced(asked, None) if _any_cached(asked) else {}
    other = _repriced(asked, asked.wanted.prices) if asked.wanted.prices else {}
    return tuple(
        CostDetail(
            asked.named(key),
            mean,
            spread,
            _savings(own.get(key)),
            _what_if(str(asked.wanted.prices), other.get(key)),
            tuple(_projected(n, count, mean, spread) for n in _SIZES) if count else (),
            _affordable(budget, count, mean, spread) if count and budget is not None else None,
        )
        for key, (count, mean, spread) in _sorted(spent)
    )


def _sorted(found: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    from tele.analysis.measure import in_order

    return [(key, found[key]) for key in in_order(found)]


def _any_cached(asked: Asked) -> bool:
    return any(group.tokens.cache_read or group.tokens.cache_write for group in asked.groups)


def _repriced(asked: Asked, prices: str | None) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    from tele.telemetry.prices.reprice import Plan

    # A plan asks rows and nothing else of its store here.
    store, tables = cast("Store", asked.reader), _tables(asked, prices)
    experiment = asked.seen.scope.experiment
    as_it_was = Plan(store, tables, experiment, everything=True)
    bare = Plan(store, tables, experiment, everything=True, uncached=True)
    return asked.each(REPRICED, priced=as_it_was.query, uncached=bare.query, cached=_CACHED)


def _tables(asked: Asked, prices: str | None) -> Tables:
    from tele.telemetry.prices.tables import Tables
    from tele.telemetry.pricing import own_table

    if prices is not None:
        return Tables(Path(prices))
    return Tables(own_table(getattr(asked.reader, "path", None)))


def _savings(row: Sequence[Any] | None) -> Savings | None:
    if row is None or not row[4]:
        return None
    _, _, _, _, requests, bare, cached = row
    return Savings(requests, bare, cached, None if bare is None or cached is None else bare - cached)


def _what_if(table: str, row: Sequence[Any] | None) -> WhatIf | None:
    if row is None:
        return None
    requests, recorded, priced, usd, *_ = row
    return WhatIf(table, priced, requests - priced, recorded, usd)


def _projected(n: int, seen: int, mean: float, spread: float | None) -> Projected:
    if spread is None:
        return Projected(n, n * mean, None)
    half = _Z * spread * math.sqrt(n + n * n / seen)
    return Projected(n, n * mean, (max(0.0, n * mean - half), n * mean + half))


def _affordable(budget: float, seen: int, mean: float, spread: float | None) -> Affordable | None:
    """Return the n whose projected cost is the budget, and those whose upper and lower end are."""
    if mean <= 0:
        return None
    expected = math.floor(budget / mean)
    if spread is None:
        return Affordable(budget, expected, None)
    low = _most(lambda n: n * mean + _Z * spread * math.sqrt(n + n * n / seen), budget)
    high = _most(lambda n: n * mean - _Z * spread * math.sqrt(n + n * n / seen), budget)
    return Affordable(budget, expected, (low or 0, high))


def _most(cost_of: Any, budget: float) -> int | None:
    """Return the largest n up to which `cost_of(n)` stays within the budget; None where it always does."""
    high = 1
    while cost_of(high) <= budget:
        high *= 2
        if high > 2**53:
            return None
    low = high // 2 if high > 1 else 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost_of(middle) <= budget else (low, middle)
    return low
