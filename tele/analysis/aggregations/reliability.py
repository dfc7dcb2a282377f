"""What the section on reliability asks: when requests fail, and what is tried again."""

from __future__ import annotations

from tele.analysis.aggregations.asking import Aggregation

__all__ = ["GAPS", "RETRIES", "TIMEOUTS"]

TIMEOUTS = Aggregation(
    "timeouts",
    "the timeout in milliseconds that each run declares, in its attributes or its config",
    ("run_id", "timeout_ms"),
    """
SELECT run_id, max(coalesce(
    TRY_CAST(attributes->>'$."timeout_ms"' AS DOUBLE), TRY_CAST(attributes->>'$."config"."timeout_ms"' AS DOUBLE),
    1000 * TRY_CAST(attributes->>'$."timeout_s"' AS DOUBLE),
    1000 * TRY_CAST(attributes->>'$."config"."timeout_s"' AS DOUBLE))) AS most
FROM events
WHERE {whole} AND kind = 'event' AND name = 'tele.experiment.started'
GROUP BY run_id HAVING most > 0
ORDER BY run_id""",
)

GAPS = Aggregation(
    "gaps",
    "the time from one failure to the next, by start",
    ("failures", "first_ns", "last_ns", "mean_ms", "median_ms", "longest_ms"),
    """
WITH failure AS (
    SELECT {keys}start_ns FROM {requests} AND success IS FALSE AND start_ns IS NOT NULL),
gap AS (
    SELECT {by}start_ns, (start_ns - lag(start_ns) OVER ({within}ORDER BY start_ns)) / 1e6 AS ms FROM failure)
SELECT {by}count(*) AS failures, min(start_ns) AS first_ns, max(start_ns) AS last_ns, favg(ms) AS mean_ms,
    quantile_cont(ms, 0.5) AS median_ms, max(ms) AS longest_ms
FROM gap{group}""",
)

RETRIES = Aggregation(
    "retries",
    "requests that try again: those that say so, else those that follow a failed one of their name and parent",
    ("requests", "retries", "recovered", "failed_usd"),
    """
WITH request AS (
    SELECT {keys}success, cost_usd, parent_id,
        lag(success) OVER (PARTITION BY trace_id, parent_id, name ORDER BY start_ns, event_id) AS before,
        coalesce(TRY_CAST(attributes->>'$."attempt"' AS BIGINT) > 1,
            TRY_CAST(attributes->>'$."retry.count"' AS BIGINT) > 0,
            TRY_CAST(attributes->>'$."http.request.resend_count"' AS BIGINT) > 0) AS said
    FROM {requests}),
judged AS (SELECT *, coalesce(said, before IS FALSE AND parent_id IS NOT NULL) AS again FROM request)
SELECT {by}count(*) AS requests, count(*) FILTER (again) AS retries,
    count(*) FILTER (again AND success) AS recovered, fsum(cost_usd) FILTER (NOT success) AS failed_usd
FROM judged{group}""",
)
