"""The table of spans and the list of traces, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tele.trace.tree import Node
from tele.viewer.encode import Coded

__all__ = ["FLAGS", "SpanTable", "Totals", "TraceTable", "flag_bits"]

FLAGS = (
    *("error", "error_below", "open", "call", "point"),
    *("orphan", "cycle", "duplicate", "conflict", "no_start", "no_duration", "negative", "child_outlives_parent"),
)
"""What is to be said of a row, in the order of its bits; the second line is the tree's own."""
_BIT = {flag: 1 << position for position, flag in enumerate(FLAGS)}

Row = Mapping[str, object]


def flag_bits(*flags: str) -> int:
    """Return the bits of some of `FLAGS`."""
    return sum(_BIT[flag] for flag in set(flags))


@dataclass(slots=True)
class Totals:
    """Sums over the model calls of a trace or of a page; roll-up parents are not calls, so nothing counts twice."""

    spans: int = 0
    errors: int = 0
    open: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    unpriced: int = 0
    """Calls without a known price."""

    def add(self, other: Totals) -> None:
        """Add what another one counted."""
        for name in ("spans", "errors", "open", "calls", "input_tokens", "output_tokens", "unpriced"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + other.cost_usd


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


@dataclass(slots=True)
class SpanTable:
    """One entry per row of all traces, traces one after another, each in reading order."""

    name: Coded = field(default_factory=Coded)
    operation: Coded = field(default_factory=Coded)
    model: Coded = field(default_factory=Coded)
    error: Coded = field(default_factory=Coded)
    start_us: list[int | None] = field(default_factory=list)
    """Microseconds after the trace's first start."""
    duration_us: list[int | None] = field(default_factory=list)
    up: list[int] = field(default_factory=list)
    """How many rows above the parent stands; 0 at a root."""
    depth: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    tokens: list[int | None] = field(default_factory=list)
    cost_usd: list[float | None] = field(default_factory=list)

    def add(self, node: Node, origin_ns: int | None, flags: int) -> None:
        """Append a node of a trace's tree; `origin_ns` is the trace's first start."""
        row = node.span
        self.name.add(row["name"])
        self.operation.add(row["operation"])
        self.model.add(row["model"])
        self.error.add(row["error_type"])
        start, duration = row["start_ns"], _number(row["duration_ms"])
        self.start_us.append(None if start is None or origin_ns is None else (int(str(start)) - origin_ns) // 1000)
        self.duration_us.append(None if duration is None else round(duration * 1000))
        self.up.append(0 if node.parent is None else node.index - node.parent)
        self.depth.append(node.depth)
        self.flags.append(flags)
        tokens = [row[key] for key in ("input_tokens", "output_tokens") if row[key] is not None]
        self.tokens.append(sum(int(str(count)) for count in tokens) if tokens else None)
        self.cost_usd.append(_number(row["cost_usd"]))

    def to_dict(self) -> dict[str, object]:
        """Return the columns as the page reads them."""
        return _columns(self)


@dataclass(slots=True)
class TraceTable:
    """One entry per trace, in the order of their first start."""

    id: list[str | None] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """Rows of `SpanTable` that are this trace's; they follow one another."""
    start_ms: list[float | None] = field(default_factory=list)
    """Milliseconds since the epoch."""
    duration_us: list[int | None] = field(default_factory=list)
    """From the first start to the last end."""
    spans: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    input_tokens: list[int] = field(default_factory=list)
    output_tokens: list[int] = field(default_factory=list)
    cost_usd: list[float | None] = field(default_factory=list)
    unpriced: list[int] = field(default_factory=list)
    run: Coded = field(default_factory=Coded)
    condition: Coded = field(default_factory=Coded)
    item: Coded = field(default_factory=Coded)
    replicate: Coded = field(default_factory=Coded)

    def add(self, trace_id: str | None, rows: Sequence[Row], bounds: tuple[int | None, int | None]) -> None:
        """Append a trace of `rows`, which begin and end at `bounds` (nanoseconds)."""
        begin, end = bounds
        self.id.append(trace_id)
        self.rows.append(len(rows))
        self.start_ms.append(None if begin is None else begin / 1e6)
        self.duration_us.append(None if begin is None or end is None else (end - begin) // 1000)
        for column, key in ((self.run, "run_id"), (self.condition, "condition"), (self.item, "item_id")):
            column.add(_only(rows, key))
        self.replicate.add(_only(rows, "replicate"))

    def count(self, totals: Totals) -> None:
        """Append the sums of the trace that `add` was given last."""
        for name in ("spans", "errors", "open", "input_tokens", "output_tokens", "cost_usd", "unpriced"):
            getattr(self, name).append(getattr(totals, name))

    def to_dict(self) -> dict[str, object]:
        """Return the columns as the page reads them."""
        return _columns(self)


def _only(rows: Sequence[Row], key: str) -> object:
    """Return the value that all rows share, or None where they name several."""
    values = {row[key] for row in rows if row[key] is not None}
    return values.pop() if len(values) == 1 else None


def _columns(table: SpanTable | TraceTable) -> dict[str, object]:
    columns = {name: getattr(table, name) for name in table.__slots__}
    return {name: column.to_dict() if isinstance(column, Coded) else column for name, column in columns.items()}
