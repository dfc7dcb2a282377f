"""What the sections on ensembles, hedging and reasoning ask."""

from __future__ import annotations

from tele.analysis.aggregations.asking import Aggregation

__all__ = ["CONFIDENCES", "HEDGED", "VOTES"]

VOTES = Aggregation(
    "votes",
    "each member's answer in each ensemble, with the winner, what was expected and whether the winner was right",
    ("ensemble", "member", "answer", "winner", "agreement", "expected", "correct"),
    """
WITH panel AS (
    SELECT {keys}ensemble_id, event_id, trace_id, winner, agreement FROM ensembles WHERE {told}),
told AS (
    SELECT trace_id, parent_id IS NULL AS root, event_id, attributes->>'$."expected"' AS expected FROM events
    WHERE {whole} AND kind <> 'metric'
        AND (name IN ('ensemble', 'ensemble.result', 'ensemble.prediction.stop') OR parent_id IS NULL)
        AND attributes LIKE '%"expected"%'),
rooted AS (SELECT trace_id, min(expected) AS expected FROM told WHERE root GROUP BY trace_id),
right_ AS (
    SELECT trace_id, min(value) AS correct FROM events
    WHERE {whole} AND kind = 'metric' AND name = {metric} AND trace_id IS NOT NULL
    GROUP BY trace_id HAVING count(*) = 1)
SELECT {by}coalesce(panel.ensemble_id, panel.event_id) AS ensemble, votes.member, votes.answer, winner, agreement,
    coalesce(told.expected, rooted.expected) AS expected, correct
FROM panel
LEFT JOIN (SELECT ensemble_id, member, answer FROM votes WHERE {whole}) AS votes USING (ensemble_id)
LEFT JOIN told ON told.event_id = panel.event_id
LEFT JOIN rooted ON rooted.trace_id = panel.trace_id
LEFT JOIN right_ ON right_.trace_id = panel.trace_id
ORDER BY {by}ensemble, member""",
)

HEDGED = Aggregation(
    "hedged",
    "hedged requests: how many fired, who won, how long the one that lost would have taken, and what it cost",
    ("requests", "fired", "backup_won", "told", "saved_ms", "with_waste", "wasted_usd", "wasted_tokens", "delay_ms"),
    """
WITH hedge AS (
    SELECT {keys}event_id, trace_id, hedge_id, delay_ms, fired, winner, wasted_usd, wasted_tokens FROM hedges
    WHERE {told}),
took AS (SELECT event_id, duration_ms FROM events WHERE {whole} AND name IN ('hedge', 'hedging.request.stop')),
lost AS (
    SELECT trace_id, attributes->>'$."hedge_id"' AS hedge_id, max(duration_ms) AS ms FROM events
    WHERE {whole} AND kind = 'span' AND name = 'hedge.attempt' AND attributes->>'$."attempt"' = 'primary'
        AND attributes->>'$."outcome"' <> 'won' AND status <> 'open'
    GROUP BY ALL)
SELECT {by}count(*) AS requests, count(*) FILTER (fired) AS fired,
    count(*) FILTER (fired AND winner <> 'primary') AS backup_won,
    count(ms) FILTER (fired AND winner <> 'primary') AS told,
    fsum(greatest(ms - duration_ms, 0)) FILTER (fired AND winner <> 'primary') AS saved_ms,
    count(wasted_usd) FILTER (fired) AS with_waste, fsum(wasted_usd) AS wasted_usd,
    sum(wasted_tokens)::BIGINT AS wasted_tokens, favg(delay_ms) FILTER (fired) AS delay_ms
FROM hedge LEFT JOIN took USING (event_id) LEFT JOIN lost USING (trace_id, hedge_id){group}""",
)

CONFIDENCES = Aggregation(
    "confidences",
    "how sure each chain of reasoning was in the end, and whether what came of it was right",
    ("chain", "confidence", "events", "correct", "item_id"),
    """
WITH chain AS (
    SELECT {keys}chain_id, min(trace_id) AS trace_id, run_id, item_id, replicate,
        arg_max(confidence, (position, start_ns)) AS sure, count(*) AS events
    FROM reasoning WHERE {told} AND chain_id IS NOT NULL
    GROUP BY {by}chain_id, run_id, item_id, replicate),
said AS (
    SELECT trace_id, run_id, item_id, replicate, value FROM events
    WHERE {whole} AND kind = 'metric' AND name = {metric} AND value IS NOT NULL),
traced AS (SELECT trace_id, avg(value) AS v FROM said WHERE trace_id IS NOT NULL GROUP BY trace_id),
itemed AS (
    SELECT run_id, item_id, coalesce(replicate, -1) AS replicate, avg(value) AS v FROM said WHERE item_id IS NOT NULL
    GROUP BY ALL)
SELECT {by}chain_id, sure, events, coalesce(traced.v, itemed.v) AS correct, chain.item_id
FROM chain
LEFT JOIN traced ON traced.trace_id = chain.trace_id
LEFT JOIN itemed ON itemed.run_id = chain.run_id AND itemed.item_id = chain.item_id
    AND itemed.replicate = coalesce(chain.replicate, -1)
ORDER BY {by}chain_id""",
)
