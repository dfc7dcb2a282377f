"""What an analysis says, as facts: `Analysis.to_dict()` is the JSON of `tele analyze --format json`.

A figure that nobody stated is None, never 0: no known cost is no free call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from tele.analysis.comparisons import Check, Comparison, Comparisons

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "PERCENTILES",
    "Analysis",
    "Chosen",
    "Cost",
    "CustomMetric",
    "Ensembles",
    "Excluded",
    "Group",
    "Latency",
    "ModelCost",
    "Reasoning",
    "Reliability",
    "Runs",
    "Summary",
    "TimeRange",
    "Tokens",
]

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
"""The percentiles of latency, by name."""

Interval = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """First start and last end, ISO 8601 in UTC; None where no event has a time."""

    start: str | None
    end: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What the experiment's log holds."""

    total_events: int
    time_range: TimeRange
    duration_seconds: float | None
    event_types: Mapping[str, int]
    """Number of events by name."""
    untimed: int
    """Events without a time, which `time_range` does not see."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """Requests that latency leaves out, each counted once."""

    failed: int
    open: int
    no_duration: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency in milliseconds over requests that did not fail and whose duration is known.

    Percentiles are exact, with linear interpolation (R type 7, numpy's default); `std_dev` is the sample one (n-1).
    """

    count: int
    mean: float | None
    median: float | None
    std_dev: float | None
    min: float | None
    max: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    intervals: Mapping[str, Interval]
    """95 % order-statistic interval of each percentile; None on a side for which there are too few requests."""
    excluded: Excluded


@dataclass(frozen=True, slots=True)
class ModelCost:
    """Cost of one model, provider or operation, in US dollars."""

    total: float | None
    count: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost in US dollars over the requests whose price is known; `unpriced` counts the others."""

    total: float | None
    count: int
    unpriced: int
    mean_per_request: float | None
    cost_per_1k_requests: float | None
    cost_per_1m_requests: float | None
    by_model: Mapping[str, ModelCost]
    cost_per_success: float | None = None
    """All that is known to have been spent, failures included, for each request that succeeded."""
    by_provider: Mapping[str, ModelCost] = field(default_factory=dict)
    by_operation: Mapping[str, ModelCost] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How many requests succeeded. Rates are over those whose outcome is known; None where none is."""

    total_requests: int
    successful: int
    failed: int
    unknown: int
    open: int
    success_rate: float | None
    success_rate_interval: tuple[float, float] | None
    """Wilson's, 95 %."""
    failure_rate: float | None
    sla_99: bool | None
    sla_999: bool | None
    sla_9999: bool | None
    errors: Mapping[str, int]
    """Number of failed requests by type of error."""
    success_rate_bounds: tuple[float, float] | None = None
    """Clopper and Pearson's, 95 %: for a gate, which has to hold whatever the rate is."""
    service_levels: Mapping[str, str] = field(default_factory=dict)
    """Whether .99, .999 and .9999 are `met`, `missed` or `undecided`: on which side of them those bounds lie."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of the requests that count any (`count`); the input includes what was cached, the output the reasoning."""

    count: int
    total_prompt: int | None
    total_completion: int | None
    total: int | None
    mean_total: float | None
    cache_read: int | None
    cache_write: int | None
    reasoning: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of the requests that share `key`."""

    key: Mapping[str, Any]
    latency: Latency
    cost: Cost
    reliability: Reliability
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Runs:
    """How many runs the figures take in, and how many they leave out."""

    used: int
    archived: int
    superseded: int


@dataclass(frozen=True, slots=True)
class Ensembles:
    """The experiment's ensembles and how far their members agreed, 0 to 1."""

    count: int
    mean_agreement: float | None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The experiment's chains of reasoning, their events and how sure these were, 0 to 1."""

    chains: int
    events: int
    mean_confidence: float | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Sections that the runs' metrics config asks to be shown; figures of all are there."""

    latency: bool
    cost: bool
    success_rate: bool
    tokens: bool
    custom: tuple[str, ...]
    """Metrics of the user's own."""


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """One metric of the user's in one group; `std_dev` is the sample one (n-1)."""

    key: Mapping[str, Any]
    metric: str
    count: int
    mean: float
    std_dev: float | None
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Every figure of one experiment."""

    experiment: str
    on: str
    """Which spans count as requests: `llm`, `root`, `all` or a span's name."""
    summary: Summary
    runs: Runs
    groups: tuple[Group, ...]
    sampling_rate: float = 1.0
    """Lowest rate at which a run kept its traces; counts and costs are of what was kept."""
    ensembles: Ensembles | None = None
    reasoning: Reasoning | None = None
    metrics_config: Chosen | None = None
    """What the runs ask to be shown, where one does."""
    custom: tuple[CustomMetric, ...] | None = None
    """The metrics that they name."""
    detail: Mapping[str, tuple[Any, ...]] | None = None
    """Deeper sections by name, where they were asked for; each has an entry for each group."""
    significance: Comparisons | None = None
    """Comparisons between groups, where a baseline or a declared hypothesis asks for them."""
    checks: tuple[Check, ...] = ()
    """Declared guardrails, and the conditions that the call asks about."""

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison with the baseline, and with what was declared."""
        return () if self.significance is None else self.significance.comparisons

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as plain JSON values; `sampling_rate` stands there only where it is below 1."""
        plain: dict[str, Any] = _plain(asdict(self))
        if self.sampling_rate >= 1:
            del plain["sampling_rate"]
        for part in ("ensembles", "reasoning", "metrics_config", "custom", "detail"):
            if plain[part] is None:
                del plain[part]
        del plain["significance"], plain["checks"]
        plain["comparisons"] = [one.to_dict() for one in self.comparisons]
        if self.significance is not None:
            plain |= self.significance.beside()
        if self.checks:
            plain["checks"] = [one.to_dict() for one in self.checks]
        return plain

    def frame(self, section: str | None = None) -> pl.LazyFrame:
        """Return the groups, or the entries of a section, as a polars LazyFrame: columns such as `latency.p99`.

        Raises BadInput where polars is missing or there is no such section.
        """
        from tele.analysis.frames import frame

        return frame(self.to_dict(), section)

    def _repr_html_(self) -> str:
        from tele.analysis.html import html

        return html(self)


def _plain(value: Any) -> Any:
    """Return `value` with its tuples as lists, as JSON would have it; what is not finite is an open bound, None."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
