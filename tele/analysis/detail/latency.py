"""Latency in depth: first token, time per output token, speed, shape, and requests that a timeout cut off."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

from tele.analysis.aggregations.latency import HISTOGRAM, LOG_RANK, SIZES, SURVIVAL, THROUGHPUT
from tele.analysis.aggregations.reliability import TIMEOUTS
from tele.analysis.detail.asked import Asked
from tele.analysis.figures import PERCENTILES, Interval
from tele.analysis.measure import TIMED, Key, Keys, Ranked, in_order, ranked, ranks_of
from tele.analysis.stats.results import TestResult
from tele.store.schema import quoted

__all__ = ["TIMEOUT", "Bin", "Censored", "LatencyDetail", "Point", "Spread", "declared", "latency"]

TIMEOUT = "(?i)time.?out|timed.?out|deadline.?exceeded|^(408|504)$"
"""Types of error that say that an answer took too long."""
_POINTS = 100
_FIRST = "success IS NOT FALSE AND ttft_ms IS NOT NULL"
_EACH = f"{_FIRST} AND output_tokens > 1 AND duration_ms >= ttft_ms"
_SPEED = f"{TIMED} AND duration_ms > 0 AND output_tokens > 0"


@dataclass(frozen=True, slots=True)
class Spread:
    """One value of the requests that have it: moments, exact percentiles, 95 % order-statistic intervals."""

    count: int
    mean: float
    std_dev: float | None
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Bin:
    """Requests with low_ms <= duration < high_ms; the bin of 0 and below has no low end."""

    low_ms: float | None
    high_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the empirical distribution: `share` of the requests took at most `ms`."""

    ms: float
    share: float


@dataclass(frozen=True, slots=True)
class Censored:
    """Kaplan-Meier percentiles, milliseconds: None where too much was cut off to tell ("above the timeout")."""

    timeouts_ms: tuple[float, ...]
    """What the runs declare."""
    events: int
    censored: int
    """Failed requests that ended by the timeout; other failures are left out, as in every latency."""
    percentiles: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    """95 %, on the log-log scale (Brookmeyer and Crowley 1982)."""
    log_rank: TestResult | None = None
    """Against the first group: whether the distributions differ, what was cut off included."""


@dataclass(frozen=True, slots=True)
class LatencyDetail:
    """The section on latency of one group."""

    key: Mapping[str, Any]
    ttft_ms: Spread | None
    time_per_output_token_ms: Spread | None
    """(duration - time to first token) / (output tokens - 1), of each request that states them."""
    output_tokens_per_second: Spread | None
    """Output tokens over duration, of each request."""
    requests_per_second: float | None
    """Answered requests, from the first start to the last end."""
    tokens_per_second: float | None
    """Output tokens of all of them together, over the same time."""
    histogram: tuple[Bin, ...]
    ecdf: tuple[Point, ...]
    ecdf_band: float | None
    """Half width of a 95 % band around the whole distribution (Dvoretzky, Kiefer and Wolfowitz; Massart 1990)."""
    censored: Censored | None


def latency(asked: Asked) -> tuple[LatencyDetail, ...]:
    """Return the section."""
    counts = asked.each(SIZES, first=_FIRST, each=_EACH, speed=_SPEED)
    first = _spreads(asked, {key: row[0] for key, row in counts.items()}, "ttft_ms", _FIRST)
    per_token = _spreads(
        asked, {key: row[1] for key, row in counts.items()}, "(duration_ms - ttft_ms) / (output_tokens - 1)", _EACH
    )
    speed = _spreads(asked, {key: row[2] for key, row in counts.items()}, "1000 * output_tokens / duration_ms", _SPEED)
    flow = asked.each(THROUGHPUT)
    bins = asked.many(HISTOGRAM)
    curves = _curves(asked, {key: sum(n for _, n in rows) for key, rows in bins.items()})
    cut = _censored(asked)
    found = []
    for key in in_order(counts):
        rate, tokens = _rates(flow.get(key))
        points, band = curves.get(key, ((), None))
        shape = tuple(_bin(*row) for row in bins.get(key, ()))
        one = (first.get(key), per_token.get(key), speed.get(key))
        found.append(LatencyDetail(asked.named(key), *one, rate, tokens, shape, points, band, cut.get(key)))
    return tuple(found)


def declared(asked: Asked) -> dict[str, float]:
    """Return the timeout of each run that declares one, in milliseconds."""
    from tele.analysis.aggregations import ask

    scope = asked.seen.scope
    return dict(ask(asked.reader, TIMEOUTS, scope.params, whole=scope.whole))


def _spreads(asked: Asked, sizes: Mapping[Key, int], value: str, condition: str) -> dict[Key, Spread]:
    ranks = {n: ranks_of(n) for n in sizes.values() if n}
    found = ranked(asked.reader, asked.requests, asked.columns, ranks, value=value, condition=condition)
    return {key: _spread(one) for key, one in found.items()}


def _spread(found: Ranked) -> Spread:
    values = {name: found.percentile(q) for name, q in PERCENTILES.items()}
    intervals = {name: found.interval(q) for name, q in PERCENTILES.items()}
    return Spread(found.n, found.mean, found.std_dev, found.at[1], found.at[found.n], **values, intervals=intervals)


def _rates(row: Sequence[Any] | None) -> tuple[float | None, float | None]:
    if row is None or not row[0] or row[2] <= row[1]:
        return None, None
    requests, first, last, written, _ = row
    seconds = (last - first) / 1e9
    return requests / seconds, None if written is None else written / seconds


def _bin(number: int | None, count: int) -> Bin:
    if number is None:
        return Bin(None, 0.0, count)
    return Bin(10 ** (number / 10), 10 ** ((number + 1) / 10), count)


def _curves(asked: Asked, sizes: Mapping[Key, int]) -> dict[Key, tuple[tuple[Point, ...], float]]:
    """Return the distribution at about a hundred points, which are values of the sample."""
    ranks = {n: sorted({1, *(math.ceil(n * j / _POINTS) for j in range(1, _POINTS + 1))}) for n in sizes.values() if n}
    found = ranked(asked.reader, asked.requests, asked.columns, ranks)
    return {
        key: (
            tuple(Point(one.at[rank], rank / one.n) for rank in ranks[one.n]),
            math.sqrt(math.log(2 / 0.05) / (2 * one.n)),
        )
        for key, one in found.items()
    }


def _censored(asked: Asked) -> dict[Key, Censored]:
    timeouts = declared(asked)
    if not timeouts:
        return {}
    runs = ", ".join(f"({quoted(run)}, {most}::DOUBLE)" for run, most in timeouts.items())
    quantiles = ", ".join(f"({q})" for q in PERCENTILES.values())
    z = str(NormalDist().inv_cdf(0.975))
    rows = asked.many(SURVIVAL, timeouts=runs, named=TIMEOUT, quantiles=quantiles, z=z)
    stated = tuple(sorted(set(timeouts.values())))
    found = {key: _survival(stated, one) for key, one in rows.items()}
    if len(found) > 1:
        tests = asked.each(LOG_RANK, timeouts=runs, named=TIMEOUT, same=Keys(asked.columns).same("steps", "places"))
        against = next(iter(found.values()))
        found = {key: replace(one, log_rank=_log_rank(one, against, tests.get(key))) for key, one in found.items()}
    return found


def _log_rank(one: Censored, against: Censored, row: Sequence[Any] | None) -> TestResult | None:
    """Return the test of a group against the first; None for the first, and where nothing ended by itself."""
    from tele.analysis.stats.survival import log_rank_of

    if row is None:
        return None
    return log_rank_of(row[0], row[1], (one.events + one.censored, against.events + against.censored))


def _survival(timeouts: tuple[float, ...], rows: Sequence[tuple[Any, ...]]) -> Censored:
    names = {round(q, 9): name for name, q in PERCENTILES.items()}
    at = {names[round(float(q), 9)]: (value, (low, high)) for _, _, q, value, low, high in rows}
    events, censored = rows[0][:2]
    ordered = [name for name in PERCENTILES if name in at]
    percentiles = {name: at[name][0] for name in ordered}
    return Censored(timeouts, events, censored, percentiles, {name: at[name][1] for name in ordered})
