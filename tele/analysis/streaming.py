"""Figures that grow record by record and can be merged: no row is kept.

Mean and variance are Welford's (1962), merged as Chan, Golub and LeVeque (1979) do; the variance is the sample one
(n-1), as in every other figure of tele.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from tele.store.views import AGGREGATES, INFERENCE

__all__ = ["Moments", "Streamed", "StreamingMetrics"]


@dataclass(slots=True)
class Moments:
    """Count, mean, spread and bounds of numbers that come one by one."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared distances from the mean."""
    min: float | None = None
    max: float | None = None

    def add(self, value: float) -> None:
        """Take one number."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.m2 += delta * (value - self.mean)
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)

    def merge(self, other: Moments) -> None:
        """Take all numbers that `other` took."""
        if not other.count:
            return
        if not self.count:
            self.count, self.mean, self.m2, self.min, self.max = other.count, other.mean, other.m2, other.min, other.max
            return
        total = self.count + other.count
        delta = other.mean - self.mean
        self.m2 += other.m2 + delta * delta * self.count * other.count / total
        self.mean += delta * other.count / total
        self.count = total
        self.min = min(x for x in (self.min, other.min) if x is not None)
        self.max = max(x for x in (self.max, other.max) if x is not None)

    @property
    def variance(self) -> float | None:
        """The sample variance (n-1); None below two numbers."""
        return self.m2 / (self.count - 1) if self.count > 1 else None

    @property
    def std_dev(self) -> float | None:
        """The sample standard deviation (n-1); None below two numbers."""
        return None if (found := self.variance) is None else sqrt(found)


@dataclass(frozen=True, slots=True)
class Streamed:
    """The figures so far: latency in milliseconds, cost in US dollars. What nobody stated is None, never 0."""

    total_requests: int
    latency_count: int
    latency_mean: float | None
    latency_std_dev: float | None
    latency_min: float | None
    latency_max: float | None
    cost_total: float | None
    cost_count: int
    """Requests whose cost is known."""
    unpriced: int
    """Requests that count tokens and whose cost is not known."""
    successful: int
    failed: int
    unknown: int
    open: int
    success_rate: float | None
    """Of those whose outcome is known."""
    input_tokens: int
    output_tokens: int
    event_counts: Mapping[str, int]
    """Records by name."""


@dataclass(slots=True)
class StreamingMetrics:
    """The figures of the requests among the records that it is given.

    `on` is `llm` (calls of a model, as the view `llm_calls` has them), `root`, `all` or the name of spans. A wrapper
    that repeats the tokens of a call below it is left out where that call, and what stands between the two, were
    recorded first, as they are when each ended within the one above it. Not for several threads at once: give each its
    own, and merge.
    """

    on: str = "llm"
    latency: Moments = field(default_factory=Moments)
    cost: Moments = field(default_factory=Moments)
    unpriced: int = 0
    outcomes: Counter[bool | None] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    open: dict[str, bool] = field(default_factory=dict)
    """Spans that have begun and not ended, by event id, and whether they are requests."""
    parents: set[tuple[Any, Any]] = field(default_factory=set)
    """Spans that have not ended and have a call that counts tokens right below them, or below spans of no model."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Take one record: a row of `events`, or a line of a journal."""
        event_id = record.get("event_id")
        if record.get("kind") == "span" and record.get("status") == "open":
            if event_id not in self.open:
                self.events[str(record.get("name"))] += 1
                self.open[str(event_id)] = self._is_request(record)
            return
        if self.open.pop(str(event_id), None) is None:
            self.events[str(record.get("name"))] += 1
        if record.get("kind") == "span":
            self._ended(record)

    def merge(self, other: StreamingMetrics) -> None:
        """Take all records that `other` took; both are of different records."""
        self.latency.merge(other.latency)
        self.cost.merge(other.cost)
        self.unpriced += other.unpriced
        self.outcomes.update(other.outcomes)
        self.tokens.update(other.tokens)
        self.events.update(other.events)
        self.open |= other.open
        self.parents |= other.parents

    def reset(self) -> None:
        """Forget all figures; spans that are open now are still known to be."""
        self.latency, self.cost, self.unpriced = Moments(), Moments(), 0
        self.outcomes, self.tokens, self.events = Counter(), Counter(), Counter()

    def figures(self) -> Streamed:
        """Return the figures so far."""
        known = self.outcomes[True] + self.outcomes[False]
        open_ = sum(self.open.values())
        return Streamed(
            total_requests=self.outcomes.total() + open_,
            latency_count=self.latency.count,
            latency_mean=self.latency.mean if self.latency.count else None,
            latency_std_dev=self.latency.std_dev,
            latency_min=self.latency.min,
            latency_max=self.latency.max,
            cost_total=self.cost.mean * self.cost.count if self.cost.count else None,
            cost_count=self.cost.count,
            unpriced=self.unpriced,
            successful=self.outcomes[True],
            failed=self.outcomes[False],
            unknown=self.outcomes[None],
            open=open_,
            success_rate=self.outcomes[True] / known if known else None,
            input_tokens=self.tokens["input"],
            output_tokens=self.tokens["output"],
            event_counts=dict(sorted(self.events.items(), key=lambda item: (-item[1], item[0]))),
        )

    def _ended(self, record: Mapping[str, Any]) -> None:
        place = (record.get("trace_id"), record.get("span_id"))
        above = (record.get("trace_id"), record.get("parent_id"))
        wraps = place in self.parents
        self.parents.discard(place)
        tokens = (record.get("input_tokens") or 0) + (record.get("output_tokens") or 0)
        counted = _is_call(record) and tokens > 0
        between = wraps and record.get("operation") is None and tokens == 0
        if (counted or between) and above[1] is not None and above != place:
            self.parents.add(above)
        if self._is_request(record) and not (self.on == "llm" and wraps and counted):
            self._request(record)

    def _request(self, record: Mapping[str, Any]) -> None:
        success, cost, duration = record.get("success"), record.get("cost_usd"), _duration(record)
        self.outcomes[success] += 1
        if success is not False and duration is not None:
            self.latency.add(duration)
        used = record.get("input_tokens"), record.get("output_tokens")
        if cost is not None:
            self.cost.add(cost)
        elif used != (None, None) or (self.on == "llm" and success is not False):
            self.unpriced += 1
        self.tokens["input"] += used[0] or 0
        self.tokens["output"] += used[1] or 0

    def _is_request(self, record: Mapping[str, Any]) -> bool:
        match self.on:
            case "llm":
                return _is_call(record)
            case "root":
                return record.get("parent_id") is None
            case "all":
                return True
            case name:
                return record.get("name") == name


def _is_call(record: Mapping[str, Any]) -> bool:
    """Whether a span is a call of a model: `tele.store.views.CALL`, of one record."""
    operation = record.get("operation")
    if operation in INFERENCE or operation in AGGREGATES:
        return operation in INFERENCE
    used = (record.get("input_tokens"), record.get("output_tokens"))
    return record.get("model") is not None and used != (None, None)


def _duration(record: Mapping[str, Any]) -> float | None:
    """Milliseconds; a journal line holds the two instants instead where they agree with it."""
    start, end = record.get("start_ns"), record.get("end_ns")
    found = record.get("duration_ms")
    if found is None and start is not None and end is not None:
        return float((end - start) / 1e6)
    return None if found is None else float(found)
