"""The views `reasoning`, `chain_versions` and `chains`: chains of causal reasoning, as SQL.

A chain is one event for itself (`causal_trace.chain.created`, later versions `causal_trace.chain.saved`) and one for
each step of reasoning. Shown is the latest version that was recorded in a run; what is saved elsewhere later changes
nothing of what that run says.
"""

from __future__ import annotations

from tele.store.attributes import field, named

__all__ = ["ARCHIVED", "chain_versions_sql", "chains_sql", "reasoning_sql"]

_REASONING = [
    field("chain_id"),
    field("name", column="chain_name"),
    field("version", "BIGINT", column="chain_version"),
    field("position", "BIGINT"),
    field("id"),
    field("type"),
    field("decision"),
    field("alternatives", "VARCHAR[]"),
    field("reasoning"),
    field("confidence", "DOUBLE"),
    field("code_section"),
    field("spec_reference"),
    field("parent"),
    field("depends_on", "VARCHAR[]"),
    field("stage"),
    field("chain_hash"),
    field("of_experiment"),
    field("metadata", "JSON"),
]
_VERSION = [
    field("chain_id"),
    field("name", column="chain_name"),
    field("version", "BIGINT"),
    field("hash"),
    field("parent_hash"),
    field("n_events", "BIGINT"),
    field("n_warnings", "BIGINT"),
    field("description"),
    field("created_at", "TIMESTAMPTZ"),
    field("metadata", "JSON"),
]
_SAID = "name = 'causal_trace.event.created'"
_SAVED = "name = 'causal_trace.chain.saved'"
_TOLD = "name IN ('causal_trace.chain.created', 'causal_trace.chain.saved')"
_PLACE = ("experiment", "experiment_id", "run_id", "condition", "replicate", "item_id", "trace_id", "span_id")
_CHAIN = f"{', '.join(_PLACE)}, chain_id"
ARCHIVED = """SELECT attributes->>'$."chain_id"' AS chain_id,
        arg_max(name, (start_ns, seq)) = 'causal_trace.chain.archived' AS archived
    FROM events
    WHERE kind = 'event' AND name IN ('causal_trace.chain.archived', 'causal_trace.chain.restored')
    GROUP BY ALL"""


def _newest(of: str) -> str:
    """Return SQL that takes, of `of(chain_id, experiment_id, run_id, version)`, what no later version of its run is of.

    A version that is saved elsewhere changes nothing of what a run says.
    """
    return f"""LEFT JOIN (
    SELECT attributes->>'$."chain_id"' AS chain_id, experiment_id, run_id,
        max(TRY_CAST(attributes->>'$."version"' AS BIGINT)) AS newest
    FROM events
    WHERE kind = 'event' AND {_SAVED}
    GROUP BY ALL
) AS later ON later.chain_id = {of}.chain_id AND later.experiment_id IS NOT DISTINCT FROM {of}.experiment_id
    AND later.run_id IS NOT DISTINCT FROM {of}.run_id"""


def reasoning_sql(where: str = "") -> str:
    """Return what the view `reasoning` is; `where` narrows it by columns of `events`, before anything is read."""
    narrowed = f" AND {where}" if where else ""
    return f"""SELECT said.*
FROM (
    {named(_REASONING, f"kind = 'event' AND {_SAID}{narrowed}")}
) AS said
{_newest("said")}
WHERE newest IS NULL OR chain_version IS NULL OR chain_version >= newest"""


def chain_versions_sql() -> str:
    """Return what the view `chain_versions` is: every recording of a chain, with its hash and its parent's."""
    return named(_VERSION, f"kind = 'event' AND {_TOLD}")


def chains_sql() -> str:
    """Return what the view `chains` is: a row for each time that a chain was told, also twice in one span."""
    alike = (f"told.{name} IS NOT DISTINCT FROM said.{name}" for name in ("version", "hash", *_PLACE))
    same = "\n    AND ".join(alike)
    return f"""WITH said AS (
    SELECT min(event_id) AS event_id, min(time) AS time, min(start_ns) AS start_ns, {_CHAIN}, telling,
        min(chain_name) AS chain_name, chain_version AS version, chain_hash AS hash,
        count(*) AS n_events, avg(confidence) AS mean_confidence
    FROM (
        SELECT *, CASE WHEN position IS NULL THEN 1 ELSE row_number() OVER (
            PARTITION BY {_CHAIN}, chain_version, chain_hash, position ORDER BY start_ns, event_id) END AS telling
        FROM reasoning
        WHERE chain_id IS NOT NULL
    )
    GROUP BY {_CHAIN}, chain_version, chain_hash, telling
), told AS (
    SELECT *, row_number() OVER (PARTITION BY {_CHAIN}, version, hash ORDER BY start_ns, event_id) AS telling
    FROM chain_versions
), archived AS (
    {ARCHIVED}
)
SELECT coalesce(said.event_id, told.event_id) AS event_id,
    coalesce(said.time, told.time) AS time, coalesce(said.start_ns, told.start_ns) AS start_ns,
    {", ".join(f"coalesce(said.{name}, told.{name}) AS {name}" for name in _CHAIN.split(", "))},
    coalesce(said.chain_name, told.chain_name) AS name,
    coalesce(said.version, told.version) AS version,
    coalesce(said.n_events, 0) AS n_events, mean_confidence,
    coalesce(said.hash, told.hash) AS hash, parent_hash, n_warnings, description, created_at, metadata,
    coalesce(archived.archived, FALSE) AS archived
FROM said
FULL JOIN (
    SELECT told.* FROM told
    {_newest("told")}
    WHERE newest IS NULL OR version >= newest
) AS told ON told.chain_id = said.chain_id AND told.telling = said.telling
    AND {same}
LEFT JOIN archived ON archived.chain_id = coalesce(said.chain_id, told.chain_id)"""
