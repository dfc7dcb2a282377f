"""What every analysis asks: what the log holds, how the requests ended and what they used, and values in order."""

from __future__ import annotations

from tele.analysis.aggregations.asking import Aggregation

__all__ = ["CENSUS", "COUNTED", "OUTCOMES", "RANKED", "REPRICED", "SPENT", "WINDOWS"]

COUNTED = """,
    count(input_tokens) AS with_input, count(coalesce(input_tokens, output_tokens)) AS with_tokens"""
"""What a census also counts where nobody knows whether calls wrap others."""

CENSUS = Aggregation(
    "census",
    "how many rows of each run, kind, name and operation there are, and from when to when",
    ("run_id", "kind", "name", "rows", "timed", "first_ns", "last_ns", "operation", "with_model"),
    """
SELECT run_id, kind, name, count(*) AS rows, count(start_ns) AS timed,
    min(start_ns) AS first_ns, max(greatest(start_ns, end_ns)) AS last_ns, operation,
    count(model) AS with_model{counted}
FROM events
WHERE {where}
GROUP BY run_id, kind, name, operation""",
)

OUTCOMES = Aggregation(
    "outcomes",
    "requests by model, provider, operation, kind of error and outcome, with what they used and cost",
    (
        *("model", "provider", "operation", "error_type", "success", "open", "requests", "timed"),
        *("priced", "unpriced", "cost_usd", "counted", "input_tokens", "output_tokens"),
        *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    ),
    """
SELECT {keys}model AS m, provider AS p, operation AS op, error_type AS e, success AS s,
    status IS NOT DISTINCT FROM 'open' AS o, count(*) AS requests, count(duration_ms) AS timed,
    count(cost_usd) AS priced, count(*) FILTER ({unpriced}) AS unpriced, fsum(cost_usd) AS usd,
    count(coalesce(input_tokens, output_tokens)) AS counted,
    sum(input_tokens)::BIGINT AS read, sum(output_tokens)::BIGINT AS written,
    sum(cache_read_tokens)::BIGINT AS cache_read, sum(cache_write_tokens)::BIGINT AS cache_write,
    sum(reasoning_tokens)::BIGINT AS reasoned
FROM {requests}
GROUP BY {by}m, p, op, e, s, o""",
)

RANKED = Aggregation(
    "ranked",
    "mean and sample deviation of a value of the requests, and its values at given ranks (1 is the least) by how many",
    ("mean", "std_dev", "n", "values"),
    """
WITH asked(n, ranks) AS (VALUES {ranks}),
ordered AS (
    SELECT {keys}list_sort(list({value})) AS v, favg({value}) AS mean, stddev_samp({value}) AS std_dev
    FROM {requests} AND {condition}{group})
SELECT {by}mean, std_dev, n, list_select(v, ranks) AS at
FROM ordered JOIN asked ON len(v) = n""",
)

SPENT = Aggregation(
    "spent",
    "mean and sample deviation of the known costs of requests",
    ("priced", "mean_usd", "std_dev_usd"),
    """
SELECT {keys}count(cost_usd) AS priced, favg(cost_usd) AS mean_usd, stddev_samp(cost_usd) AS std_dev_usd
FROM {requests}{group}""",
)

REPRICED = Aggregation(
    "repriced",
    "what the requests cost as recorded, by some price table, and by it if no token had been cached",
    ("requests", "recorded_usd", "priced", "usd", "cached", "uncached_usd", "cached_usd"),
    """
WITH request AS (SELECT {keys}event_id, cost_usd, cache_read_tokens, cache_write_tokens FROM {requests}),
priced AS (SELECT event_id, new_cost AS usd FROM ({priced})),
bare AS (SELECT event_id, new_cost AS uncached FROM ({uncached}))
SELECT {by}count(*) AS requests, fsum(cost_usd) AS recorded_usd, count(usd) AS priced, fsum(usd) AS usd,
    count(usd) FILTER ({cached}) AS cached, fsum(uncached) FILTER (usd IS NOT NULL AND {cached}) AS uncached_usd,
    fsum(usd) FILTER (uncached IS NOT NULL AND {cached}) AS cached_usd
FROM request LEFT JOIN priced USING (event_id) LEFT JOIN bare USING (event_id){group}""",
)

WINDOWS = Aggregation(
    "windows",
    "requests by windows of equal length that stand side by side, by start",
    (
        *("window", "requests", "known", "failed", "timed", "mean_ms", "p50_ms", "p95_ms"),
        *("cost_usd", "output_tokens"),
    ),
    """
SELECT {keys}(start_ns - {first}) // {size} AS number, count(*) AS requests, count(success) AS known,
    count(*) FILTER (NOT success) AS failed,
    count(duration_ms) FILTER (success IS NOT FALSE) AS timed,
    favg(duration_ms) FILTER (success IS NOT FALSE) AS mean_ms,
    quantile_cont(duration_ms, 0.5) FILTER (success IS NOT FALSE) AS p50_ms,
    quantile_cont(duration_ms, 0.95) FILTER (success IS NOT FALSE) AS p95_ms,
    fsum(cost_usd) AS usd, sum(output_tokens)::BIGINT AS written
FROM {requests} AND start_ns IS NOT NULL
GROUP BY {by}number
ORDER BY {by}number""",
)
