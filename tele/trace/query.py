"""Questions to one chain: figures, decision points, doubts, and what fulfils a filter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from tele.errors import BadInput
from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.filters import matching

__all__ = [
    "LOW_CONFIDENCE",
    "Statistics",
    "aggregate",
    "by_experiment",
    "by_stage",
    "by_type",
    "decision_points",
    "find",
    "low_confidence",
    "statistics",
]

LOW_CONFIDENCE = 0.7
"""A confidence below this is low."""

_FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": fmean,
    "median": median,
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of one chain; a mean, a duration or an end is None where nothing states it."""

    total_events: int
    event_types: dict[str, int]
    """Number of events of each type, the most frequent first."""
    stages: dict[str, int]
    with_confidence: int
    mean_confidence: float | None
    min_confidence: float | None
    max_confidence: float | None
    decision_points: int
    """Events that name alternatives."""
    alternatives: int
    """How many they name together."""
    low_confidence: int
    duration_seconds: float | None
    """From the earliest to the latest event that states a time."""


def statistics(chain: Chain, *, low: float = LOW_CONFIDENCE) -> Statistics:
    """Return the figures of a chain; `low` is the confidence below which an event is doubtful."""
    sure = [event.confidence for event in chain.events if event.confidence is not None]
    times = [event.created_at for event in chain.events if event.created_at is not None]
    zoned = {time.tzinfo is not None for time in times}
    took = (max(times) - min(times)).total_seconds() if len(zoned) == 1 else None
    return Statistics(
        total_events=len(chain.events),
        event_types=dict(Counter(event.type for event in chain.events).most_common()),
        stages=dict(Counter(event.stage for event in chain.events if event.stage is not None)),
        with_confidence=len(sure),
        mean_confidence=chain.mean_confidence,
        min_confidence=min(sure, default=None),
        max_confidence=max(sure, default=None),
        decision_points=len(decision_points(chain)),
        alternatives=sum(len(event.alternatives) for event in chain.events),
        low_confidence=len(low_confidence(chain, low)),
        duration_seconds=took,
    )


def decision_points(chain: Chain) -> tuple[ReasoningEvent, ...]:
    """Return the events that name alternatives, whatever their type."""
    return tuple(event for event in chain.events if event.alternatives)


def low_confidence(chain: Chain, threshold: float = LOW_CONFIDENCE) -> tuple[ReasoningEvent, ...]:
    """Return the events that state a confidence below `threshold`, 0 to 1; those that state none are not among them."""
    return tuple(event for event in chain.events if event.confidence is not None and event.confidence < threshold)


def by_type(chain: Chain, *types: str) -> tuple[ReasoningEvent, ...]:
    """Return the events of these types."""
    return tuple(event for event in chain.events if event.type in types)


def by_stage(chain: Chain) -> dict[str | None, tuple[ReasoningEvent, ...]]:
    """Return the events of each stage, in order; None for those that name none."""
    return _grouped(chain.events, lambda event: event.stage)


def by_experiment(chain: Chain) -> dict[str | None, tuple[ReasoningEvent, ...]]:
    """Return the events of each experiment that they name, in order; None for those that name none."""
    return _grouped(chain.events, lambda event: event.experiment)


def find(chain: Chain, where: Mapping[str, Any]) -> tuple[ReasoningEvent, ...]:
    """Return the events that fulfil a filter (see `tele.trace.filters`); raises BadInput."""
    wanted = matching(where)
    return tuple(event for position, event in enumerate(chain.events) if wanted(_At(event, position, chain)))


def aggregate(
    chain: Chain, by: str, of: str = "confidence", how: str = "mean", where: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Return one number for each value of the field `by`: `how` over the numbers in the field `of`.

    `how` is mean, median, min, max, sum or count. Events that do not state both are left out. Raises BadInput.
    """
    if how not in _FUNCTIONS:
        raise BadInput(f"An aggregate is {', '.join(_FUNCTIONS)}, not {how!r}.")
    groups: dict[str, list[float]] = defaultdict(list)
    for event in find(chain, where or {}):
        key, value = _field(event, by), _field(event, of)
        if key is not None and value is not None:
            if how != "count" and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise BadInput(f"{of!r} holds {value!r}, which is no number to take the {how} of.")
            groups[str(key)].append(value)
    return {key: _FUNCTIONS[how](values) for key, values in groups.items()}


def _field(event: ReasoningEvent, name: str) -> Any:
    if name.startswith("metadata."):
        return event.metadata.get(name.removeprefix("metadata."))
    if name not in ReasoningEvent.__dataclass_fields__:
        raise BadInput(f"An event has no field {name!r}.")
    return getattr(event, name)


def _grouped(
    events: Iterable[ReasoningEvent], key: Callable[[ReasoningEvent], str | None]
) -> dict[str | None, tuple[ReasoningEvent, ...]]:
    groups: dict[str | None, list[ReasoningEvent]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return {name: tuple(found) for name, found in groups.items()}


class _At:
    """An event with its place, as a filter asks for it."""

    __slots__ = ("_event", "chain_id", "chain_name", "position")

    def __init__(self, event: ReasoningEvent, position: int, chain: Chain) -> None:
        self._event = event
        self.position = position
        self.chain_id = chain.id
        self.chain_name = chain.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._event, name)
