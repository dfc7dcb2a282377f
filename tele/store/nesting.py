"""Whether some call of a model wraps another, told by the segments themselves: most stores hold none.

The view `llm_calls` leaves out calls that repeat the tokens of a child, which takes a join of the log with itself.
Where each segment says that none of its calls is such a wrapper, and names the few parents of calls that lie outside
it, only those have to be looked at. Span ids are taken to be unique within their trace, as they are by definition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tele.store.manifest import Segment
from tele.store.schema import quoted
from tele.store.views import CALL, TOKENS

if TYPE_CHECKING:
    import duckdb

__all__ = ["MOST_ABOVE", "above", "flat", "moved"]

MOST_ABOVE = 32
"""Parents outside that one segment names: as many traces as are at work at a time; more are not worth their bytes."""
_MOST_ASKED = 4_096

_COUNTED = f"{CALL} AND {TOKENS} > 0"
_READ = frozenset({"kind", "operation", "model", "input_tokens", "output_tokens", "trace_id", "span_id", "parent_id"})
"""Columns that decide what a wrapper is."""


def above(con: duckdb.DuckDBPyConnection, rows: str) -> list[list[str]] | None:
    """Return trace and span id of those parents of calls that are not among `rows` (SQL of a FROM clause).

    None where one of the rows wraps another of them, or where the parents are more than `MOST_ABOVE`.
    """
    found = con.execute(f"""
        WITH parent AS (
            SELECT DISTINCT trace_id, parent_id AS span_id FROM {rows} WHERE {_COUNTED} AND parent_id <> span_id),
        here AS (SELECT trace_id, span_id, {_COUNTED} AS counted FROM {rows} WHERE kind = 'span')
        SELECT trace_id, span_id, bool_or(counted) FROM parent LEFT JOIN here USING (trace_id, span_id)
        WHERE trace_id IS NOT NULL
        GROUP BY trace_id, span_id HAVING count(counted) = 0 OR bool_or(counted)
        ORDER BY trace_id, span_id LIMIT {MOST_ABOVE + 1}""").fetchall()
    if len(found) > MOST_ABOVE or any(wraps for *_, wraps in found):
        return None
    return [[trace, span] for trace, span, _ in found]


def flat(con: duckdb.DuckDBPyConnection, segments: Iterable[Segment], *, tail: bool) -> bool:
    """Return whether no call wraps another, of `segments` and, where there is one, table `tail`.

    False where that would take a look at all rows. `con` has the view `events_raw`.
    """
    parts = [segment.above for segment in segments]
    if tail:
        parts.append(above(con, "tail"))
    asked: set[tuple[str, str]] = set()
    for part in parts:
        if part is None:
            return False
        asked |= {(trace, span) for trace, span in part}
    if len(asked) > _MOST_ASKED:
        return False
    if not asked:
        return True
    traces = ", ".join(sorted({quoted(trace) for trace, _ in asked}))
    places = ", ".join(f"({quoted(trace)}, {quoted(span)})" for trace, span in sorted(asked))
    wrapper = f"""SELECT 1 FROM events_raw
        WHERE trace_id IN ({traces}) AND (trace_id, span_id) IN ({places}) AND {_COUNTED} LIMIT 1"""
    return not con.execute(wrapper).fetchall()


def moved(columns: Iterable[str]) -> bool:
    """Return whether corrections of these columns may make a call a wrapper, or take that away."""
    return not _READ.isdisjoint(columns)
