"""Reliability in depth: kinds of error, timeouts, retries, the time between failures, and the error budget."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tele.analysis.aggregations.reliability import GAPS, RETRIES
from tele.analysis.detail.asked import Asked
from tele.analysis.detail.latency import TIMEOUT
from tele.analysis.detail.timeline import iso, stretches
from tele.analysis.figures import Group

__all__ = ["TAXONOMY", "Budget", "ReliabilityDetail", "Retries", "kind_of", "reliability"]

TAXONOMY = {
    "timeout": TIMEOUT,
    "rate limit": r"(?i)rate.?limit|too.?many.?requests|quota|throttl|^429$",
    "context length": r"(?i)context.?(length|window)|too.?long|max.?tokens",
    "content filter": r"(?i)content.?(filter|policy)|moderation|safety|refus",
    "authentication": r"(?i)auth|permission|forbidden|api.?key|^(401|403)$",
    "cancelled": r"(?i)cancel|abort|interrupt",
    "connection": r"(?i)connect|network|socket|dns|ssl|tls|broken.?pipe|remote.?protocol|^(UNAVAILABLE)$",
    "server": r"(?i)server|overload|unavailable|bad.?gateway|internal|^5\d\d$",
    "bad request": r"(?i)bad.?request|invalid|validation|not.?found|unprocessable|unsupported|^4\d\d$",
    "parsing": r"(?i)pars|decode|json|schema|format",
}
"""Kinds of error by what their type says; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Requests that try again what had failed."""

    retries: int
    retry_rate: float | None
    """Of all requests."""
    recovered: int
    """Retries that succeeded."""
    failed_usd: float | None
    """What failed requests are known to have cost."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What failures took of the share that a service level leaves to them."""

    service_level: float
    allowed: float
    """Failures that the level allows among the requests with a known outcome."""
    failed: int
    burn_rate: float | None
    """Failure rate over the rate that is allowed: above 1, the level is missed if this goes on."""
    remaining: float | None
    """Share of the budget that is left; below 0, it is overdrawn."""
    worst_burn_rate: float | None
    """The same in the worst window that has at least one allowed failure's worth of requests, or is all there is."""
    worst_window: str | None


@dataclass(frozen=True, slots=True)
class ReliabilityDetail:
    """The section on reliability of one group."""

    key: Mapping[str, Any]
    taxonomy: Mapping[str, int]
    """Failed requests by kind of error."""
    timeouts: int
    retries: Retries
    failures: int
    """Those with a time."""
    mean_time_between_failures_ms: float | None
    """From one failure's start to the next one's, on the clock and not in time of use."""
    median_time_between_failures_ms: float | None
    longest_time_without_failure_ms: float | None
    """Between two failures."""
    error_budget: Budget


def kind_of(error: str) -> str:
    """Return the kind of an error by its type; `other` where no word of it is known."""
    return next((kind for kind, words in TAXONOMY.items() if re.search(words, error)), "other")


def reliability(asked: Asked) -> tuple[ReliabilityDetail, ...]:
    """Return the section."""
    gaps, retries = asked.each(GAPS), asked.each(RETRIES)
    size, first, windows = stretches(asked)
    found = []
    for key, group in zip(_keys(asked), asked.groups, strict=True):
        kinds = Counter[str]()
        for error, n in group.reliability.errors.items():
            kinds[kind_of(error)] += n
        failures, _, _, mean, median, longest = gaps.get(key, (0, None, None, None, None, None))
        found.append(
            ReliabilityDetail(
                asked.named(key),
                dict(kinds.most_common()),
                kinds["timeout"],
                _retries(retries.get(key, (0, 0, 0, None))),
                failures,
                mean,
                median,
                longest,
                _budget(group, asked.wanted.service_level, windows.get(key, ()), size, first),
            )
        )
    return tuple(found)


def _keys(asked: Asked) -> list[tuple[Any, ...]]:
    """Return the keys of the groups as the queries have them."""
    return [tuple(group.key.get(name) for name in asked.names) for group in asked.groups]


def _retries(row: Sequence[Any]) -> Retries:
    requests, again, recovered, usd = row
    return Retries(again, again / requests if requests else None, recovered, usd)


def _budget(group: Group, level: float, windows: Sequence[tuple[Any, ...]], size: int, first: int) -> Budget:
    failed = group.reliability.failed
    known = group.reliability.successful + failed
    share = 1 - level
    burns = {
        row[0]: row[3] / row[2] / share for row in windows if row[2] and (row[2] * share >= 1 or len(windows) == 1)
    }
    worst = max(burns, key=lambda number: burns[number], default=None)
    return Budget(
        level,
        known * share,
        failed,
        failed / known / share if known else None,
        1 - failed / (known * share) if known else None,
        None if worst is None else burns[worst],
        None if worst is None else iso(first + worst * size),
    )
