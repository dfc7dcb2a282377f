"""Chains of causal reasoning: what was decided, against which alternatives, why, and how surely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EVENT_NAME", "TYPES", "Chain", "ParseWarning", "ReasoningEvent", "chain_records"]

EVENT_NAME = "causal_trace.event.created"
"""Name under which an event of reasoning stands in the log."""

TYPES = (
    "hypothesis_formed",
    "alternative_rejected",
    "constraint_evaluated",
    "pattern_applied",
    "ambiguity_flagged",
    "confidence_updated",
)
"""The types that models are asked for. Others are kept as they come, with a warning where text is parsed."""


@dataclass(frozen=True, slots=True)
class ReasoningEvent:
    """One step of reasoning."""

    type: str
    decision: str
    reasoning: str
    id: str
    """Unique in its chain."""
    alternatives: tuple[str, ...] = ()
    confidence: float | None = None
    """0 to 1; None where none was stated."""
    code_section: str | None = None
    spec_reference: str | None = None
    parent: str | None = None
    """Id of the event that this one is part of."""
    depends_on: tuple[str, ...] = ()
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class ParseWarning:
    """Something in the text that is not as it was asked for, and where: line and column count from 1."""

    code: str
    message: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Events of reasoning in their order."""

    id: str
    name: str
    events: tuple[ReasoningEvent, ...] = ()
    version: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[ParseWarning, ...] = ()
    """What the parser met in the text."""

    @property
    def mean_confidence(self) -> float | None:
        """Mean over the events that state a confidence, 0 to 1; None where none does."""
        stated = [event.confidence for event in self.events if event.confidence is not None]
        return sum(stated) / len(stated) if stated else None


def chain_records(chain: Chain, fields: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the chain as records of the log, one for each event, in order.

    `fields` are columns that all of them share: times, ids, experiment, run, condition. What an event does not state
    is left out of its attributes.
    """
    return [
        {**(fields or {}), "kind": "event", "name": EVENT_NAME, "attributes": _attributes(chain, position, event)}
        for position, event in enumerate(chain.events)
    ]


def _attributes(chain: Chain, position: int, event: ReasoningEvent) -> dict[str, Any]:
    said = {
        "chain_id": chain.id,
        "name": chain.name,
        "version": chain.version,
        "position": position,
        "id": event.id,
        "type": event.type,
        "decision": event.decision,
        "alternatives": list(event.alternatives),
        "reasoning": event.reasoning,
        "confidence": event.confidence,
        "code_section": event.code_section,
        "spec_reference": event.spec_reference,
        "parent": event.parent,
        "depends_on": list(event.depends_on),
        "stage": event.stage,
    }
    return {key: value for key, value in said.items() if value is not None and value != []}
