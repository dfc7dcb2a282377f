"""Where the time of a trace goes: the time of spans themselves, and the path that decided when the trace ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from tele.analysis.aggregations import ask
from tele.analysis.aggregations.traces import SELF_TIME, SPANS
from tele.analysis.detail.asked import Asked
from tele.analysis.measure import Keys
from tele.store.schema import quoted

__all__ = ["MOST_TRACES", "Named", "Piece", "Span", "TraceTime", "critical_path", "traces"]

MOST_TRACES = 1_000
"""Traces whose critical path is looked for: those whose id has the least hash, which is a random sample."""


class Span(NamedTuple):
    """What a path needs of a span; times in nanoseconds."""

    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int


class Piece(NamedTuple):
    """A stretch of time in which the trace waited for one span and none below it; nanoseconds since the epoch."""

    span: Span
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Named:
    """Spans of one name."""

    name: str
    count: int
    total_ms: float
    self_ms: float
    """The part of it in which no child of theirs ran."""
    critical_ms: float
    """What they add to the critical paths, of the traces that were looked at."""
    critical_share: float
    """Of those paths' whole length."""


@dataclass(frozen=True, slots=True)
class TraceTime:
    """The section on traces of one group."""

    key: Mapping[str, Any]
    traces: int
    """Traces whose critical path was found."""
    sampled: bool
    """Whether they are a sample of more."""
    names: tuple[Named, ...]
    """Longest on the critical path first, then by their own time."""


def traces(asked: Asked) -> tuple[TraceTime, ...]:
    """Return the section; it is of all spans of the traces that have a row which is asked for."""
    keyed, scope = Keys(asked.columns), asked.seen.scope
    where = scope.whole
    if scope.only:
        where += f" AND trace_id IN (SELECT trace_id FROM events WHERE {scope.where} AND trace_id IS NOT NULL)"
    parts = {"keys": keyed.select, "by": keyed.by, "where": where}
    times: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for row in ask(asked.reader, SELF_TIME, scope.params, **parts):
        times[row[: asked.width]].append(row[asked.width :])
    picked = [
        trace
        for (trace,) in asked.reader.rows(
            f"""SELECT trace_id FROM events WHERE {where} AND kind = 'span' AND trace_id IS NOT NULL
            GROUP BY trace_id ORDER BY hash(trace_id) LIMIT {MOST_TRACES + 1}""",
            scope.params,
        )
    ]
    paths, counts = _paths(asked, picked[:MOST_TRACES], parts)
    return tuple(
        TraceTime(asked.named(key), counts[key], len(picked) > MOST_TRACES, _names(times[key], paths.get(key, {})))
        for key in _ordered(times)
    )


def critical_path(spans: Iterable[Span]) -> tuple[Piece, ...]:
    """Return the path that decided when a trace ended, in the order of time; its pieces do not overlap.

    From the end of the root that ends last one goes back: the trace waited for the child that ended last, before that
    for the one that ended last before that child began, and so on, and within each likewise; the rest is a span's own
    time. The pieces of a trace with one root add up to its duration.
    """
    known = list(spans)
    ids = {span.span_id for span in known}
    below: dict[str | None, list[Span]] = defaultdict(list)
    for span in known:
        above = span.parent_id if span.parent_id in ids and span.parent_id != span.span_id else None
        below[above].append(span)
    roots = below.pop(None, [])
    if not roots:
        return ()
    last = max(roots, key=lambda span: (span.end_ns, -span.start_ns))
    return tuple(sorted(_walk(last, below), key=lambda piece: (piece.start_ns, piece.end_ns)))


def _walk(root: Span, below: Mapping[str | None, list[Span]]) -> list[Piece]:
    """Go back through `root` and all below it; without recursion, for a trace may be deep."""
    pieces: list[Piece] = []
    stack = [(root, root.start_ns, root.end_ns)]
    while stack:
        span, begin, whole = stack.pop()
        at = whole
        for child in sorted(below.get(span.span_id, ()), key=lambda one: one.end_ns, reverse=True):
            start, end = max(child.start_ns, begin), min(child.end_ns, at)
            ran_beside = child.end_ns > at and at < whole  # what followed did not wait for it
            if end <= start or ran_beside:
                continue
            if at > end:
                pieces.append(Piece(span, end, at))
            stack.append((child, start, end))
            at = start
        if at > begin:
            pieces.append(Piece(span, begin, at))
    return pieces


def _paths(
    asked: Asked, picked: Sequence[str], parts: Mapping[str, str]
) -> tuple[dict[tuple[Any, ...], dict[str, int]], dict[tuple[Any, ...], int]]:
    """Return nanoseconds on critical paths by key and name, and the number of traces by key; a trace is its root's."""
    paths: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    listed = ", ".join(map(quoted, picked)) or "NULL"
    rows = ask(asked.reader, SPANS, asked.seen.scope.params, traces=listed, **parts)
    width = asked.width
    for _, group in groupby(rows, key=lambda row: row[width]):
        found = list(group)
        keys = {row[width + 1]: row[:width] for row in found}
        path = critical_path(Span(*row[width + 1 :]) for row in found)
        for piece in path:
            paths[keys[piece.span.span_id]][piece.span.name] += piece.end_ns - piece.start_ns
        for key in {keys[piece.span.span_id] for piece in path}:
            counts[key] += 1
    return paths, counts


def _names(times: Sequence[tuple[Any, ...]], path: Mapping[str, int]) -> tuple[Named, ...]:
    whole = sum(path.values())
    found = [
        Named(name, count, total, own, path.get(name, 0) / 1e6, path.get(name, 0) / whole if whole else 0.0)
        for name, count, total, own in times
    ]
    return tuple(sorted(found, key=lambda one: (-one.critical_ms, -one.self_ms, one.name)))


def _ordered(times: Mapping[tuple[Any, ...], Any]) -> list[tuple[Any, ...]]:
    from tele.analysis.measure import in_order

    return in_order(times)
