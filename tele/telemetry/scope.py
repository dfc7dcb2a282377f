"""What a record inherits from around it: experiment, run, condition, item and their like, and the span above.

A scope is immutable and holds its columns as encoded JSON, so that a span pays for them once, not at every record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import orjson

from tele.store.names import DEFAULT_EXPERIMENT, experiment_id
from tele.telemetry.plain import plain
from tele.telemetry.redact import redact
from tele.telemetry.samples import Samples

__all__ = ["INHERITED", "OUTSIDE", "Node", "Scope", "foreign", "here", "place"]

LONGEST = 1024
"""Characters of a column that is inherited."""
INHERITED = frozenset({"condition", "replicate", "item_id", "seed", "cluster", "conversation_id"})
"""Columns that spans, events and metrics take over from the span or experiment around them."""


class Scope:
    """Columns shared by all records within."""

    __slots__ = ("columns", "encoded", "run", "samples", "sampling_rate")

    def __init__(
        self,
        columns: dict[str, Any],
        sampling_rate: float = 1.0,
        *,
        ours: bool = False,
        run: object = None,
        samples: Samples | None = None,
    ) -> None:
        """Take the columns; `ours` says that none of them is the user's, so that there is nothing to redact.

        `run` is the run of this process that the records belong to; `samples` counts its samples, where they count.
        """
        self.run = run
        self.samples = samples
        self.columns = columns
        self.sampling_rate = sampling_rate
        text = orjson.dumps(columns if ours else {key: _short(value) for key, value in redact(plain(columns)).items()})
        self.encoded = text[:-1] + b"," if columns else text[:-1]
        """The beginning of a JSON object that holds the columns."""

    def with_columns(self, columns: dict[str, Any]) -> Scope:
        """Return a scope where `columns` stand over these."""
        if self.samples is not None and "item_id" in columns:
            self.samples.saw(columns["item_id"])
        return Scope(self.columns | columns, self.sampling_rate, run=self.run, samples=self.samples)


def _short(value: Any) -> Any:
    """A text that every record within would repeat, cut where it is long; equal ones stay equal, others differ."""
    if not isinstance(value, str) or len(value) <= LONGEST:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{value[:LONGEST]}... ({len(value)} characters, SHA-256 {digest})"


class Node:
    """A place in the tree of what is going on: a span, an experiment, or a caller in another process."""

    __slots__ = ("sampled", "scope", "span_id", "trace_id")

    def __init__(self, scope: Scope, trace_id: str = "", span_id: str = "", *, sampled: bool = True) -> None:
        self.scope = scope
        self.trace_id = trace_id
        self.span_id = span_id
        self.sampled = sampled


_DEFAULT = {"experiment": DEFAULT_EXPERIMENT, "experiment_id": experiment_id(DEFAULT_EXPERIMENT)}
OUTSIDE = Node(Scope(_DEFAULT, ours=True))
"""Outside any experiment."""

here: ContextVar[Node] = ContextVar("tele.here", default=OUTSIDE)
"""Where the running code is; follows asyncio tasks."""


class _Foreign:
    """Somebody else's spans; the bridge to OpenTelemetry fills it."""

    __slots__ = ("innermost",)

    def __init__(self) -> None:
        self.innermost: Callable[[Node], Node] | None = None
        """Gives a foreign span that is open within a place of ours, else that place."""


foreign = _Foreign()


def place() -> Node:
    """Where the running code is, spans that are not tele's included."""
    node = here.get()
    return node if foreign.innermost is None else foreign.innermost(node)
