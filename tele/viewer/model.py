"""The view model: one target of a store, folded into the columns, bodies and figures that a page shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tele.trace.tree import Node
from tele.trace.tree import build as grow
from tele.viewer.bodies import Bodies, attach
from tele.viewer.encode import BlockWriter
from tele.viewer.lists import LOW_CONFIDENCE, chains, ensembles
from tele.viewer.reading import SHOWN, Part, Row, Trace, parts, read, traces, with_texts
from tele.viewer.spans import FLAGS, SpanTable, Totals, TraceTable, flag_bits
from tele.viewer.target import Reader, Target, resolve

__all__ = ["MAX_ROWS", "Model", "build"]

MAX_ROWS = 1_000_000
"""Rows of one page; traces beyond are left out, and the page says how many."""
MAX_BODIES = 256 * 1024 * 1024
"""Characters of packed bodies in one page (a browser holds a text of about 512 M); the same holds."""
_ID_ROWS = 4096


@dataclass(slots=True)
class Model:
    """Everything on one page."""

    target: Target
    spans: SpanTable = field(default_factory=SpanTable)
    traces: TraceTable = field(default_factory=TraceTable)
    totals: Totals = field(default_factory=Totals)
    ids: BlockWriter = field(default_factory=lambda: BlockWriter(MAX_BODIES, _ID_ROWS))
    bodies: BlockWriter = field(default_factory=lambda: BlockWriter(MAX_BODIES))
    chains: list[dict[str, object]] = field(default_factory=list)
    ensembles: list[dict[str, object]] = field(default_factory=list)
    runs: list[dict[str, object]] = field(default_factory=list)
    folded: int = 0
    """Rows that say exactly what another row says, and stand in it."""
    notes: list[str] = field(default_factory=list)
    """What is not on the page, in sentences."""

    def data(self) -> dict[str, object]:
        """Return the page's first block: what is needed before anything is chosen."""
        return {
            "kind": self.target.kind,
            "name": self.target.name,
            "flags": FLAGS,
            "lowConfidence": LOW_CONFIDENCE,
            "spans": self.spans.to_dict(),
            "traces": self.traces.to_dict(),
            "chains": self.chains,
            "ensembles": self.ensembles,
            "bodyRows": self.bodies.rows,
            "idRows": self.ids.rows,
        }


def build(reader: Reader, name: str) -> Model:
    """Return the model of the experiment, run, trace or chain called `name`.

    Raises `UnknownTarget` with the nearest names where there is no such thing.
    """
    target = resolve(reader, name)
    model, bodies = Model(target), Bodies(reader)
    for part in parts(_kept(model, traces(reader, target))):
        _read(reader, model, bodies, part)
    model.bodies.close()
    model.ids.close()
    model.chains = chains(reader, target)
    model.ensembles = ensembles(reader, target)
    model.runs = _runs(reader, target)
    _say(reader, model, bodies)
    return model


def _kept(model: Model, found: list[Trace]) -> list[Trace]:
    kept, rows = 0, 0
    for trace in found:
        if kept and rows + trace.rows > MAX_ROWS:
            break
        kept, rows = kept + 1, rows + trace.rows
    if kept < len(found):
        model.notes.append(f"{len(found) - kept:,} later traces are left out: a page holds {MAX_ROWS:,} rows.")
    return found[:kept]


def _read(reader: Reader, model: Model, bodies: Bodies, part: Part) -> None:
    where, params = part.where(model.target)
    calls = {row[0] for row in reader.rows(f"SELECT event_id FROM llm_calls WHERE {where}", params)}
    by_trace: dict[str | None, list[Row]] = {trace.id: [] for trace in part.traces}
    for row in read(reader, model.target, part):
        by_trace[row["trace_id"]].append(row)  # type: ignore[index]  # a text or NULL, as its column is
    for trace_id, rows in by_trace.items():
        found = with_texts(reader, model.target, part, _add(model, trace_id, rows, calls))
        model.bodies.extend(bodies.of(row, on_it) for row, on_it in found)


def _add(model: Model, trace_id: str | None, rows: list[Row], calls: set[str]) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Add one trace but for its bodies; give its rows as the page lists them, each with the events on it."""
    spans = [row for row in rows if row["kind"] == "span"]
    on, loose = attach([row for row in rows if row["kind"] != "span"], spans)
    forest = grow([*spans, *(_hung(row) for row in loose)])
    nodes = forest.nodes
    model.folded += forest.folded
    flags = _flags(nodes, calls)
    bounds = _bounds(rows)
    for node, said in zip(nodes, flags, strict=True):
        model.spans.add(node, bounds[0], said)
    model.traces.add(trace_id, [node.span for node in nodes], bounds)
    totals = _totals(rows, calls)
    model.traces.count(totals)
    model.totals.add(totals)
    model.ids.extend(node.span["span_id"] for node in nodes)
    # events stand once, at the first span of their id
    return ((node.span, on.pop(str(node.span["span_id"]), ())) for node in nodes)


def _hung(event: Row) -> dict[str, object]:
    """Return an event as the tree reads it: without an id of its own, under the span that it names."""
    return dict(event) | {"span_id": None, "parent_id": event["span_id"]}


def _flags(nodes: Sequence[Node], calls: set[str]) -> list[int]:
    flags = [_own(node, calls) for node in nodes]
    failed, below = flag_bits("error"), flag_bits("error_below")
    for node in reversed(nodes):  # children stand after their parent
        if node.parent is not None and flags[node.index] & (failed | below):
            flags[node.parent] |= below
    return flags


def _own(node: Node, calls: set[str]) -> int:
    row = node.span
    point, still_open = row["kind"] != "span", row["status"] == "open"
    said = {"error": _failed(row), "open": still_open, "call": row["event_id"] in calls, "point": point}
    untold = {"no_duration"} if point or still_open else set()
    return flag_bits(*(flag for flag, holds in said.items() if holds), *(node.flags - untold))


def _failed(row: Row) -> bool:
    return row["status"] == "error" or row["success"] is False


def _free(row: Row) -> bool:
    """Whether a call failed before it counted a token: it costs nothing that is not known."""
    return row["success"] is False and row["input_tokens"] is None and row["output_tokens"] is None


def _bounds(rows: Sequence[Row]) -> tuple[int | None, int | None]:
    starts = [int(str(row["start_ns"])) for row in rows if row["start_ns"] is not None]
    ends = [int(str(row["end_ns"])) for row in rows if row["end_ns"] is not None]
    return (min(starts) if starts else None), (max(ends) if ends else None)


def _totals(rows: Sequence[Row], calls: set[str]) -> Totals:
    called = [row for row in rows if row["event_id"] in calls]
    costs = [float(str(row["cost_usd"])) for row in called if row["cost_usd"] is not None]
    return Totals(
        spans=sum(row["kind"] == "span" for row in rows),
        errors=sum(row["kind"] == "span" and _failed(row) for row in rows),
        open=sum(row["status"] == "open" for row in rows),
        calls=len(called),
        input_tokens=sum(int(str(row["input_tokens"] or 0)) for row in called),
        output_tokens=sum(int(str(row["output_tokens"] or 0)) for row in called),
        cost_usd=sum(costs) if costs else None,
        unpriced=sum(row["cost_usd"] is None and not _free(row) for row in called),
    )


def _runs(reader: Reader, target: Target) -> list[dict[str, object]]:
    keys = ("run_id", "condition", "status", "hypothesis")
    where = target.where if target.kind in ("experiment", "run") else "experiment = ?"
    params = target.params if target.kind in ("experiment", "run") else (target.experiment,)
    found = reader.rows(f"SELECT {', '.join(keys)} FROM runs WHERE {where} ORDER BY run_id", params)
    return [dict(zip(keys, row, strict=True)) for row in found]


def _say(reader: Reader, model: Model, bodies: Bodies) -> None:
    sql = f"SELECT count(*) FROM events WHERE {model.target.where} AND NOT {SHOWN} AND NOT starts_with(name, 'tele.')"
    said = (
        (
            int(reader.rows(sql, model.target.params)[0][0]),
            "events and metrics outside any trace are not listed here; `tele sql` reads them.",
        ),
        (model.folded, "rows repeat another exactly and are folded into it; the sums count them."),
        (bodies.cut, "long texts are cut; the store has them whole."),
        (bodies.missing, "bodies could not be read from the store."),
        (model.bodies.left_out, "rows stand without their details: the page would be too large for a browser."),
        (model.totals.unpriced, "model calls have no known price and count as no cost."),
    )
    model.notes.extend(f"{count:,} {what}" for count, what in said if count)
