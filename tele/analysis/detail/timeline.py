"""Windows over time: the same figures in stretches of equal length, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tele.analysis.aggregations.requests import WINDOWS
from tele.analysis.detail.asked import Asked

__all__ = ["Stretch", "Timeline", "iso", "stretches", "timeline"]

_WINDOWS = 24
_SECOND = 1_000_000_000
_SIZES = [n * _SECOND for n in (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400)]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The requests that began in one window; latencies in milliseconds, cost in US dollars."""

    start: str
    count: int
    known: int
    """How many have a known outcome."""
    failed: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    cost_usd: float | None
    output_tokens: int | None
    requests_per_second: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The windows of one group in order; those without a request are left out."""

    key: Mapping[str, Any]
    window_seconds: float
    windows: tuple[Stretch, ...]


def timeline(asked: Asked) -> tuple[Timeline, ...]:
    """Return the section: at most about two dozen windows, of a length that people say."""
    size, first, rows = stretches(asked)
    return tuple(
        Timeline(
            asked.named(key),
            size / _SECOND,
            tuple(_stretch(row, size, first) for row in found),
        )
        for key, found in rows.items()
    )


def _stretch(row: tuple[Any, ...], size: int, first: int) -> Stretch:
    number, count, known, failed, _, mean, p50, p95, usd, written = row
    start = iso(first + number * size)
    return Stretch(start, count, known, failed, mean, p50, p95, usd, written, count * _SECOND / size)


def stretches(asked: Asked) -> tuple[int, int, dict[tuple[Any, ...], list[tuple[Any, ...]]]]:
    """Return the size of the windows and the start of the first, both in nanoseconds, and the rows of each group."""
    source, params = asked.requests.source, asked.requests.params
    [(first, last)] = asked.reader.rows(f"SELECT min(start_ns), max(start_ns) FROM {source}", params)
    if first is None:
        return _SECOND, 0, {}
    size = next((size for size in _SIZES if (last - first) // size < _WINDOWS), _SIZES[-1])
    first = first // size * size
    return size, first, asked.many(WINDOWS, first=str(first), size=str(size))


def iso(ns: int) -> str:
    """Return nanoseconds since the epoch as ISO 8601 in UTC, to the second."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
