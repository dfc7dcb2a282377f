"""Queueing: how latency depends on the requests that were in flight when one began."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from tele.analysis.aggregations.latency import LOAD
from tele.analysis.detail.asked import Asked

__all__ = ["Level", "Load", "load"]


@dataclass(frozen=True, slots=True)
class Level:
    """Requests that met so many others in flight (both ends included)."""

    least: int
    most: int
    count: int
    mean_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """Latency against concurrency of one group, by least squares.

    `adjusted_mean_ms` is the mean that the group would have had at the concurrency that all groups met on average, by
    the slope within groups (analysis of covariance): what is left of a difference when one condition ran at a busier
    time. It describes; a busy provider may slow several requests at once, so that the interval is too narrow there.
    """

    key: Mapping[str, Any]
    count: int
    mean_others: float
    max_others: int
    correlation: float | None
    slope_ms: float | None
    """Milliseconds for each further request in flight."""
    slope_interval: tuple[float, float] | None
    mean_ms: float
    adjusted_mean_ms: float
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class _Sums:
    n: int
    x: float
    y: float
    """Means."""
    xx: float
    xy: float
    yy: float
    """Sums of products of distances from them."""


def load(asked: Asked) -> tuple[Load, ...]:
    """Return the section."""
    rows = asked.many(LOAD)
    sums = {key: _sums(found) for key, found in rows.items()}
    xx = math.fsum(one.xx for one in sums.values())
    slope = math.fsum(one.xy for one in sums.values()) / xx if xx > 0 else 0.0
    n = sum(one.n for one in sums.values())
    grand = math.fsum(one.x * one.n for one in sums.values()) / n if n else 0.0
    return tuple(
        Load(
            asked.named(key),
            one.n,
            one.x,
            rows[key][-1][0],
            one.xy / math.sqrt(one.xx * one.yy) if one.xx > 0 and one.yy > 0 else None,
            *_slope(one),
            one.y,
            one.y - slope * (one.x - grand),
            _levels(rows[key]),
        )
        for key, one in sums.items()
    )


def _sums(rows: Sequence[tuple[Any, ...]]) -> _Sums:
    n = sum(count for _, count, _, _ in rows)
    x = math.fsum(others * count for others, count, _, _ in rows) / n
    y = math.fsum(total for _, _, total, _ in rows) / n
    xx = math.fsum(count * (others - x) ** 2 for others, count, _, _ in rows)
    xy = math.fsum((others - x) * (total - count * y) for others, count, total, _ in rows)
    yy = math.fsum(squares - 2 * y * total + count * y * y for _, count, total, squares in rows)
    return _Sums(n, x, y, xx, xy, max(yy, 0.0))


def _slope(one: _Sums) -> tuple[float | None, tuple[float, float] | None]:
    if one.xx <= 0:
        return None, None
    slope = one.xy / one.xx
    if one.n < 3:  # noqa: PLR2004  # a line goes through two points
        return slope, None
    error = math.sqrt(max(one.yy - slope * one.xy, 0.0) / (one.n - 2) / one.xx)
    half = NormalDist().inv_cdf(0.975) * error
    return slope, (slope - half, slope + half)


def _levels(rows: Sequence[tuple[Any, ...]]) -> tuple[Level, ...]:
    """Return the levels 0, 1, 2-3, 4-7, ...: each twice as wide as the one before."""
    found: dict[int, list[float]] = {}
    for others, count, total, _ in rows:
        sums = found.setdefault(others.bit_length(), [0, 0.0])
        sums[0] += count
        sums[1] += total
    return tuple(
        Level((1 << bits) >> 1, (1 << bits) - 1, int(count), total / count)
        for bits, (count, total) in sorted(found.items())
    )
