"""What the section on traces asks: where the time of a trace goes."""

from __future__ import annotations

from tele.analysis.aggregations.asking import Aggregation

__all__ = ["SELF_TIME", "SPANS"]

SELF_TIME = Aggregation(
    "self_time",
    "the time of spans by name, and the part of it in which no child of theirs ran",
    ("name", "spans", "total_ms", "self_ms"),
    """
WITH span AS (
    SELECT {keys}trace_id, span_id, parent_id, name, start_ns, end_ns FROM events
    WHERE {where} AND kind = 'span' AND start_ns IS NOT NULL AND end_ns IS NOT NULL),
child AS (
    SELECT p.trace_id, p.span_id, greatest(c.start_ns, p.start_ns) AS b, least(c.end_ns, p.end_ns) AS e
    FROM span c JOIN span p ON c.trace_id = p.trace_id AND c.parent_id = p.span_id
    WHERE c.span_id <> p.span_id AND least(c.end_ns, p.end_ns) > greatest(c.start_ns, p.start_ns)),
reached AS (
    SELECT *, max(e) OVER (
        PARTITION BY trace_id, span_id ORDER BY b, e ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until
    FROM child),
covered AS (
    SELECT trace_id, span_id, sum(greatest(e - greatest(b, coalesce(until, b)), 0)) AS ns
    FROM reached GROUP BY trace_id, span_id)
SELECT {by}name, count(*) AS spans, sum(end_ns - start_ns) / 1e6 AS total_ms,
    sum(end_ns - start_ns - coalesce(ns, 0)) / 1e6 AS self_ms
FROM span LEFT JOIN covered USING (trace_id, span_id)
GROUP BY {by}name
ORDER BY {by}self_ms DESC, name""",
)

SPANS = Aggregation(
    "spans",
    "the ended spans of some traces, trace by trace: what a critical path is found in",
    ("trace_id", "span_id", "parent_id", "name", "start_ns", "end_ns"),
    """
SELECT {keys}trace_id, span_id, parent_id, name, start_ns, end_ns
FROM events
WHERE {where} AND kind = 'span' AND start_ns IS NOT NULL AND end_ns IS NOT NULL AND trace_id IN ({traces})
ORDER BY trace_id, start_ns, span_id""",
)
