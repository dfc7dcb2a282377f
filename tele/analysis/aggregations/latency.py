"""What the section on latency asks: shape, speed, requests that were cut off, and the load that they met."""

from __future__ import annotations

from tele.analysis.aggregations.asking import Aggregation

__all__ = ["HISTOGRAM", "LOAD", "LOG_RANK", "SIZES", "SURVIVAL", "THROUGHPUT"]

_TIMED = """
WITH declared(run, most) AS (VALUES {timeouts}),
said AS (
    SELECT {keys}run_id AS run_of, duration_ms, success, coalesce(error_type, '') AS kind_of_error FROM {requests}),
judged AS (
    SELECT said.*, most, success IS FALSE AND most IS NOT NULL
        AND (regexp_matches(kind_of_error, '{named}') OR coalesce(duration_ms >= most, FALSE)) AS cut
    FROM said LEFT JOIN declared ON run_of = run),
timed AS (
    SELECT {by}CASE WHEN cut THEN coalesce(duration_ms, most) ELSE duration_ms END AS t, cut
    FROM judged WHERE success IS NOT FALSE OR cut)"""
"""How long each request took, or how long it was waited for (`cut`)."""

SIZES = Aggregation(
    "sizes",
    "how many requests have a first token, a time per output token, and an output speed",
    ("first_tokens", "per_token", "speeds"),
    """
SELECT {keys}count(*) FILTER ({first}) AS first_tokens, count(*) FILTER ({each}) AS per_token,
    count(*) FILTER ({speed}) AS speeds
FROM {requests}{group}""",
)

HISTOGRAM = Aggregation(
    "histogram",
    "durations in bins of equal width on a logarithmic scale, ten to a power of ten; bin NULL holds 0 and below",
    ("bin", "requests"),
    """
SELECT {keys}CASE WHEN duration_ms > 0 THEN floor(10 * log10(duration_ms))::BIGINT END AS bin, count(*) AS requests
FROM {requests} AND success IS NOT FALSE AND duration_ms IS NOT NULL
GROUP BY {by}bin
ORDER BY {by}bin NULLS FIRST""",
)

THROUGHPUT = Aggregation(
    "throughput",
    "answered requests and their tokens, from the first start to the last end",
    ("requests", "first_ns", "last_ns", "output_tokens", "input_tokens"),
    """
SELECT {keys}count(*) AS requests, min(start_ns) AS first_ns, max(end_ns) AS last_ns,
    sum(output_tokens)::BIGINT AS written, sum(input_tokens)::BIGINT AS read
FROM {requests} AND success IS NOT FALSE AND start_ns IS NOT NULL AND end_ns IS NOT NULL{group}""",
)

SURVIVAL = Aggregation(
    "survival",
    "Kaplan-Meier estimate of the durations, requests that a declared timeout cut off being censored there",
    ("events", "censored", "quantile", "value_ms", "low_ms", "high_ms"),
    _TIMED
    + """,
steps AS (
    SELECT {by}t, count(*) FILTER (NOT cut) AS d, count(*) AS n FROM timed WHERE t IS NOT NULL GROUP BY {by}t),
risk AS (SELECT *, sum(n) OVER ({within}ORDER BY t DESC ROWS UNBOUNDED PRECEDING) AS r FROM steps),
curve AS (
    SELECT *, exp(sum(CASE WHEN d = r THEN -1e300 ELSE ln(1 - d / r) END) OVER up) AS s,
        sum(CASE WHEN d = r THEN 0 ELSE d / (r * (r - d)) END) OVER up AS v
    FROM risk WINDOW up AS ({within}ORDER BY t ROWS UNBOUNDED PRECEDING)),
band AS (
    SELECT *, CASE WHEN s > 0 AND s < 1 THEN pow(s, exp({z} * sqrt(v) / -ln(s))) ELSE s END AS least,
        CASE WHEN s > 0 AND s < 1 THEN pow(s, exp(-{z} * sqrt(v) / -ln(s))) ELSE s END AS most
    FROM curve)
SELECT {by}sum(d)::BIGINT AS events, (sum(n) - sum(d))::BIGINT AS censored, q,
    min(t) FILTER (s <= 1 - q + 1e-12) AS value, min(t) FILTER (least <= 1 - q + 1e-12) AS low,
    min(t) FILTER (most <= 1 - q + 1e-12) AS high
FROM band, (VALUES {quantiles}) AS asked(q)
GROUP BY {by}q
ORDER BY {by}q""",
)

LOG_RANK = Aggregation(
    "log_rank",
    "how many requests of each group ended beyond what the curve of it and the first group together expects, and "
    "the variance of that",
    ("beyond_expected", "variance"),
    _TIMED
    + """,
steps AS (
    SELECT {by}t, count(*) FILTER (NOT cut) AS d, count(*) AS n FROM timed WHERE t IS NOT NULL GROUP BY {by}t),
places AS (SELECT *, row_number() OVER (ORDER BY {by}one) AS place FROM (SELECT DISTINCT {by}1 AS one FROM steps)),
numbered AS (SELECT place, t, d, n FROM steps JOIN places ON {same}),
meeting AS (
    SELECT place, t, d, n, 0 AS d1, 0 AS n1 FROM numbered WHERE place > 1
    UNION ALL SELECT other.place, t, 0, 0, d, n FROM numbered, places AS other
    WHERE numbered.place = 1 AND other.place > 1),
moment AS (
    SELECT place, t, sum(d)::DOUBLE AS d, sum(n)::DOUBLE AS n, sum(d + d1)::DOUBLE AS ended,
        sum(n + n1)::DOUBLE AS both_n
    FROM meeting GROUP BY place, t),
risk AS (
    SELECT *, sum(n) OVER down AS r, sum(both_n) OVER down AS at_risk
    FROM moment WINDOW down AS (PARTITION BY place ORDER BY t DESC ROWS UNBOUNDED PRECEDING)),
told AS (
    SELECT place, fsum(d - ended * (r / at_risk)) AS beyond,
        fsum(CASE WHEN at_risk > 1 THEN ended * (r / at_risk) * (1 - r / at_risk) * (at_risk - ended) / (at_risk - 1)
            ELSE 0 END) AS variance
    FROM risk WHERE ended > 0 GROUP BY place)
SELECT {by}beyond, variance FROM told JOIN places USING (place)""",
)

LOAD = Aggregation(
    "load",
    "durations by how many other requests were in flight when a request began",
    ("others", "requests", "sum_ms", "sum_of_squares"),
    """
WITH request AS (
    SELECT {keys}start_ns, end_ns, success IS NOT FALSE AND duration_ms IS NOT NULL AS timed, duration_ms
    FROM {requests} AND start_ns IS NOT NULL),
mark AS (
    SELECT *, start_ns AS moment, 1 AS step FROM request
    UNION ALL SELECT *, end_ns, -1 FROM request WHERE end_ns IS NOT NULL),
met AS (SELECT *, sum(step) OVER (ORDER BY moment, step ROWS UNBOUNDED PRECEDING) - 1 AS others FROM mark)
SELECT {by}others::BIGINT AS others, count(*) AS requests, fsum(duration_ms) AS total,
    fsum(duration_ms * duration_ms) AS squares
FROM met WHERE step = 1 AND timed
GROUP BY {by}others
ORDER BY {by}others""",
)
