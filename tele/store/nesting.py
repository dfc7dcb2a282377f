"""Whether some call of a model wraps another, told by the segments themselves: most stores hold none.

The view `llm_calls` leaves out calls that repeat the tokens of a call below them, which takes joins of the log with
itself. Where each segment says that none of its calls is such a wrapper, and names the few spans above its calls that
lie outside it, only those have to be looked at. That trusts span ids to be unique within their trace. Those that were
made here are; where segments may hold the same foreign trace, told twice and differently, they are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tele.store.manifest import Segment
from tele.store.schema import quoted
from tele.store.views import COUNTED, PLAIN, TOKENS, WRAPPED

if TYPE_CHECKING:
    import duckdb

__all__ = ["MOST_OUTSIDE", "OWN", "Outside", "flat", "moved", "outside"]

MOST_OUTSIDE = 32
"""Spans outside that one segment names: as many traces as are at work at a time; more are not worth their bytes."""
_MOST_ASKED = 4_096
_MOST_LEVELS = 32
"""Spans of no model between a call and what may wrap it; of deeper ones it is not known whether it does."""

OWN = """coalesce(bool_and(
    event_id[13] = '7' AND coalesce(event_id[:5] = printf('%012x', start_ns // 1000000)[:5], FALSE))
    FILTER (kind = 'span'), TRUE)"""
"""SQL: all spans got their event ids where they were recorded, from the time; ids of foreign ones are digests."""

Outside = list[list[str]] | None
"""What calls stand under and lies elsewhere, as trace and span id; None where not known."""

_READ = frozenset({"kind", "operation", "model", "input_tokens", "output_tokens", "trace_id", "span_id", "parent_id"})
"""Columns that decide what a wrapper is."""


def outside(con: duckdb.DuckDBPyConnection, rows: str) -> dict[str, Outside]:
    """Return, by experiment, trace and span id of what its calls stand under and is not among its `rows` (SQL of FROM).

    It is what the nearest spans above a call that are of no model name as their parent. None where one of the rows
    wraps another of them, where that is too deep to say, or where there are more than `MOST_OUTSIDE`; an experiment
    that is absent has nothing outside. One query tells of all experiments: it costs as much as sealing one.
    """
    found = con.execute(f"""
        WITH RECURSIVE span AS MATERIALIZED (
            SELECT experiment_id, trace_id, span_id, nullif(parent_id, span_id) AS parent_id,
                {COUNTED} AS counted, {PLAIN} AS plain
            FROM {rows} WHERE kind = 'span' AND trace_id IS NOT NULL),
        up AS (
            SELECT DISTINCT experiment_id, trace_id, parent_id AS span_id, 1 AS level
            FROM span WHERE counted AND parent_id IS NOT NULL
            UNION
            SELECT experiment_id, trace_id, parent_id, level + 1
            FROM up JOIN (FROM span WHERE plain AND parent_id IS NOT NULL) USING (experiment_id, trace_id, span_id)
            WHERE level <= {_MOST_LEVELS}),
        place AS (
            SELECT experiment_id, trace_id, span_id,
                coalesce(bool_or(counted), FALSE) OR max(level) > {_MOST_LEVELS} AS wraps
            FROM up LEFT JOIN span USING (experiment_id, trace_id, span_id)
            GROUP BY ALL HAVING count(counted) = 0 OR wraps)
        SELECT experiment_id, CASE WHEN NOT bool_or(wraps) AND count(*) <= {MOST_OUTSIDE}
            THEN list([trace_id, span_id] ORDER BY trace_id, span_id) END
        FROM place GROUP BY experiment_id""")
    return dict(found.fetchall())


def flat(con: duckdb.DuckDBPyConnection, segments: Iterable[Segment], *, tail: bool) -> bool:
    """Return whether no call wraps another, of `segments` and, where there is one, table `tail`.

    False where that would take a look at all rows. `con` has the view `events_raw`.
    """
    parts: list[Outside] = []
    foreign = []
    for segment in segments:
        parts.append(segment.outside)
        if not segment.own:
            foreign.append((segment.min_trace, segment.max_trace))
    if tail:
        parts += outside(con, "tail").values()
        [(own, low, high)] = con.execute(f"SELECT {OWN}, min(trace_id), max(trace_id) FROM tail").fetchall()
        if not own:
            foreign.append((low, high))
    asked: set[tuple[str, str]] = set()
    for part in parts:
        if part is None:
            return False
        asked |= {(trace, span) for trace, span in part}
    return not _wrapper(con, asked) and not _told_twice(con, foreign)


def _wrapper(con: duckdb.DuckDBPyConnection, asked: set[tuple[str, str]]) -> bool:
    """Return whether one of these spans, or one above it with none of a model between, may be a wrapper."""
    seen = set(asked)
    for _ in range(_MOST_LEVELS):
        if not asked:
            return False
        if len(seen) > _MOST_ASKED:
            return True
        traces = ", ".join(sorted({quoted(trace) for trace, _ in asked}))
        spans = ", ".join(sorted({quoted(span) for _, span in asked}))  # alone, it is compared before others are read
        places = ", ".join(f"({quoted(trace)}, {quoted(span)})" for trace, span in sorted(asked))
        above = con.execute(f"""SELECT DISTINCT trace_id, parent_id, {COUNTED} FROM events_raw
            WHERE trace_id IN ({traces}) AND span_id IN ({spans}) AND (trace_id, span_id) IN ({places})
                AND (({COUNTED}) OR ({PLAIN}))""")
        found = above.fetchall()
        if any(wraps for *_, wraps in found):
            return True
        asked = {(trace, span) for trace, span, _ in found if span is not None} - seen
        seen |= asked
    return True


def _told_twice(con: duckdb.DuckDBPyConnection, ranges: Iterable[tuple[str | None, str | None]]) -> bool:
    """Return whether foreign traces that two parts may both hold may have a wrapper in one and its call in the other.

    `ranges` are the least and the greatest trace id of each part.
    """
    shared = []
    reach = ""
    for low, high in sorted((low, high) for low, high in ranges if low is not None and high is not None):
        if low <= reach:
            shared.append((low, min(high, reach)))
        reach = max(reach, high)
    if not shared:
        return False
    low, high = shared[0][0], max(high for _, high in shared)
    which = f"trace_id BETWEEN {quoted(low)} AND {quoted(high)}"
    counted = f"nullif({TOKENS}, 0)"
    return bool(con.execute(WRAPPED.format(which=which, tokens=counted)).fetchall())


def moved(columns: Iterable[str]) -> bool:
    """Return whether corrections of these columns may make a call a wrapper, or take that away."""
    return not _READ.isdisjoint(columns)
