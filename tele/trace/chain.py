"""Chains of causal reasoning: what was decided, against which alternatives, why, and how surely."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tele.telemetry.plain import plain

if TYPE_CHECKING:
    from tele.telemetry.scope import Node

__all__ = [
    "CHAIN_NAME",
    "EVENT_NAME",
    "MORE_TYPES",
    "SAID",
    "SAVED_NAME",
    "TYPES",
    "Chain",
    "ParseWarning",
    "ReasoningEvent",
    "chain_records",
    "content_hash",
    "facts",
]

EVENT_NAME = "causal_trace.event.created"
"""Name under which an event of reasoning stands in the log."""
CHAIN_NAME = "causal_trace.chain.created"
"""Name under which a chain stands there: how many events it has, its hash."""
SAVED_NAME = "causal_trace.chain.saved"
"""The same of each later version, with its parent: a search for what is not the latest asks these alone."""

TYPES = (
    "hypothesis_formed",
    "alternative_rejected",
    "constraint_evaluated",
    "pattern_applied",
    "ambiguity_flagged",
    "confidence_updated",
)
"""The types that models are asked for. Others are kept as they come, with a warning where text is parsed."""

MORE_TYPES = (
    *("training_started", "training_completed", "epoch_started", "epoch_completed", "batch_processed"),
    *("loss_computed", "metric_recorded", "gradient_computed", "checkpoint_saved", "checkpoint_loaded"),
    *("early_stopped", "deployment_started", "deployment_completed", "model_loaded", "inference_completed"),
    *("reward_received", "policy_updated", "experience_sampled", "stage_started", "stage_completed"),
)
"""Types of events that programs write beside what a model says of its reasoning."""


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
    experiment: str | None = None
    """Name of the experiment that the event speaks of, where the text names one."""
    created_at: dt.datetime | None = None
    """When it was thought, with a time zone; None where nothing says so."""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


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
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    warnings: tuple[ParseWarning, ...] = ()
    """What the parser met in the text."""
    created_at: dt.datetime | None = None
    """With a time zone; None where nothing says so."""
    description: str | None = None
    parent_hash: str | None = None
    """Hash of the version that this one was made from; None for the first."""

    @property
    def mean_confidence(self) -> float | None:
        """Mean over the events that state a confidence, 0 to 1; None where none does."""
        stated = [event.confidence for event in self.events if event.confidence is not None]
        return sum(stated) / len(stated) if stated else None

    @property
    def hash(self) -> str:
        """SHA-256 of what the events say, in their order: 64 hex digits, the same for equal events anywhere.

        Name, version and times of the chain are not in it, nor what the parser met.
        """
        return content_hash(facts(event) for event in self.events)

    def record_at(self, node: Node) -> None:
        """Record the chain at this place of the log; see `record_chain`."""
        from tele.trace.record import record_chain

        record_chain(self, node=node)


def content_hash(events: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256, 64 hex digits, of events given as `facts` gives them: of their JSON with sorted keys."""
    digest = hashlib.sha256()
    for event in events:
        digest.update(orjson.dumps(event, option=orjson.OPT_SORT_KEYS))
        digest.update(b"\n")
    return digest.hexdigest()


def chain_records(chain: Chain, fields: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the chain as records of the log: one for each event, in order.

    `fields` are columns that all of them share: times, ids, experiment, run, condition. What an event does not state
    is left out of its attributes.
    """
    about = {"chain_id": chain.id, "name": chain.name, "version": chain.version}
    return [
        {
            **(fields or {}),
            "kind": "event",
            "name": EVENT_NAME,
            "attributes": {**about, "position": position, **facts(event)},
        }
        for position, event in enumerate(chain.events)
    ]


SAID = frozenset(
    {"id", "type", "decision", "alternatives", "reasoning", "confidence", "code_section", "spec_reference"}
    | {"parent", "depends_on", "stage", "of_experiment", "created_at", "metadata"}
)
"""Keys of `facts`: of an event's attributes in the log, what the event says."""


def facts(event: ReasoningEvent) -> dict[str, Any]:
    """Return what an event says as plain JSON values, without what it does not say."""
    said = {
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
        "of_experiment": event.experiment,
        "created_at": None if event.created_at is None else event.created_at.isoformat(),
        "metadata": dict(event.metadata),
    }
    found = plain({key: value for key, value in said.items() if value not in (None, [], {})})
    return found if isinstance(found, dict) else {}
