"""The SQL views, as text: what `tele sql --views` prints is what runs.

Two things stand before them, made by the reader: `events` (every column, corrections applied, open spans included) and
`liveness(writer, process, state)`, where `state` is `alive`, `dead` or `silent` and a writer that is absent is dead.

**Which spans are calls of a model.** `llm_calls` holds the spans whose operation is an inference operation of the
GenAI conventions (`chat`, `text_completion`, `generate_content`, `embeddings`, `rerank`), and those of another
operation, or none, that name a model and count tokens. Two sorts are left out, for they repeat what their children say:

* agents and workflows (`invoke_agent`, `invoke_workflow`, `create_agent`, `plan`): what they count, their calls used;
* wrappers: a call that counts tokens and has below it a call that counts tokens, whatever either calls itself:
  `call_llm` above `openai.chat` is one call. Between the two may stand spans that are nothing of a model's, which name
  no operation and count no tokens (a retry, a request over HTTP). A tool or an agent between them ends it: what a tool
  asks a model is a call of its own.

`wrappers` names those. The reader finds them once and keeps them; where the segments say that there are none (see
`nesting`) it does not look, and `llm_calls` is the calls alone.
"""

from __future__ import annotations

from tele.store.attributes import either, field, named
from tele.store.reasoning import chain_versions_sql, chains_sql, reasoning_sql

__all__ = ["AGGREGATES", "CALL", "COUNTED", "FLAT_CALLS", "INFERENCE", "PLAIN", "TOKENS", "WRAPPED", "view_sql"]

INFERENCE = ("chat", "text_completion", "generate_content", "embeddings", "rerank")
"""Operations that are calls of a model."""

AGGREGATES = ("invoke_agent", "invoke_workflow", "create_agent", "plan", "execute_tool")
"""Operations that are none, whatever they count."""

CALL = f"""kind = 'span' AND CASE
        WHEN operation IN {INFERENCE} THEN TRUE
        WHEN operation IN {AGGREGATES} THEN FALSE
        ELSE model IS NOT NULL AND coalesce(input_tokens, output_tokens) IS NOT NULL END"""
"""SQL: this span is a call of a model, or a wrapper around one."""

TOKENS = "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)"
"""SQL: how many tokens a span counts."""

COUNTED = f"{CALL} AND {TOKENS} > 0"
"""SQL: this call counts tokens."""

PLAIN = f"kind = 'span' AND operation IS NULL AND {TOKENS} = 0"
"""SQL: this span may stand between a wrapper and what it wraps."""

WRAPPED = """SELECT 1
FROM (SELECT hash(span_id) AS id FROM events WHERE {tokens} IS NOT NULL AND {which}) AS call
SEMI JOIN (
    SELECT hash(parent_id) AS id FROM events
    WHERE (operation IS NULL OR {tokens} IS NOT NULL) AND kind = 'span' AND parent_id IS NOT NULL AND {which}) AS child
    USING (id)
LIMIT 1"""
"""SQL: a row where some span may be a wrapper; where there is none, `llm_calls` is `CALL` alone. To be filled in:
`which` rows, and the column (`tokens`) that is known where a span counts any."""

_DONE = "'tele.experiment.stopped', 'tele.experiment.failed'"
_RUN_TYPE = """CASE WHEN started_ns IS NOT NULL THEN coalesce(attributes->>'$."run_type"', 'trial') END"""
"""SQL: trial or milestone; NULL where nothing says that tele ran it."""


_WRAPPERS = f"""WITH RECURSIVE call AS (
    SELECT trace_id, span_id, parent_id FROM events WHERE {COUNTED}
), plain AS (
    SELECT trace_id, span_id, parent_id FROM events WHERE {PLAIN} AND parent_id IS NOT NULL
), under AS (
    -- spans of no model below a call, however deep, with the call that they are below
    SELECT trace_id, parent_id AS top, span_id
    FROM plain
    SEMI JOIN (SELECT trace_id, span_id AS parent_id FROM call) AS counted USING (trace_id, parent_id)
    UNION
    SELECT trace_id, top, plain.span_id
    FROM under
    JOIN plain USING (trace_id)
    WHERE plain.parent_id = under.span_id
)
SELECT trace_id, parent_id AS span_id
FROM call
SEMI JOIN (SELECT trace_id, span_id AS parent_id FROM call) AS counted USING (trace_id, parent_id)
WHERE parent_id <> span_id
UNION
SELECT trace_id, top
FROM under
JOIN call USING (trace_id)
WHERE call.parent_id = under.span_id AND call.span_id <> top"""

_LLM_CALLS = f"""SELECT * EXCLUDE (counted)
FROM (SELECT *, {TOKENS} > 0 AS counted FROM events WHERE {CALL})
ANTI JOIN (SELECT *, TRUE AS counted FROM wrappers) AS wrapper USING (trace_id, span_id, counted)"""
FLAT_CALLS = f"CREATE OR REPLACE VIEW llm_calls AS\nSELECT *\nFROM events\nWHERE {CALL}"
"""The view `llm_calls` of a store in which no call wraps another."""

_RUNS = f"""WITH life AS MATERIALIZED (
    SELECT experiment_id, run_id,
        bool_or(name = 'tele.experiment.pruned') AS pruned,
        min(make_timestamptz((attributes->>'$.first_ns')::BIGINT // 1000))
            FILTER (name = 'tele.experiment.pruned') AS began,
        bool_or(name = 'tele.experiment.archived') AS archived,
        bool_or(name = 'tele.experiment.superseded') AS superseded,
        bool_or(name = 'tele.experiment.failed') AS failed,
        bool_or(name = 'tele.experiment.stopped') AS stopped,
        arg_max(name, (start_ns, seq)) FILTER (name IN ('tele.experiment.paused', 'tele.experiment.resumed'))
            = 'tele.experiment.paused' AS paused,
        count(*) FILTER (name = 'tele.experiment.paused') AS pause_count,
        bool_or(name = 'tele.experiment.replaced') AS replaces,
        min(start_ns) FILTER (name = 'tele.experiment.started') AS started_ns,
        max(start_ns) FILTER (name IN ({_DONE})) AS ended_ns,
        arg_max(attributes, (start_ns, seq)) FILTER (name IN ({_DONE})) AS told,
        arg_min(replicate, (start_ns, seq)) FILTER (name = 'tele.experiment.started') AS replicate,
        min(time) FILTER (name = 'tele.experiment.started') AS started,
        max(time) FILTER (name IN ({_DONE})) AS ended,
        arg_min(writer, (start_ns, seq)) FILTER (name = 'tele.experiment.started') AS owner,
        arg_min(condition, (start_ns, seq)) FILTER (name = 'tele.experiment.started') AS condition,
        arg_min(tags, (start_ns, seq)) FILTER (name = 'tele.experiment.started') AS tags,
        arg_min(attributes, (start_ns, seq)) FILTER (name = 'tele.experiment.started') AS attributes,
        arg_max(attributes, (start_ns, seq)) FILTER (name = 'tele.experiment.environment') AS measured
    FROM events
    WHERE kind = 'event' AND name LIKE 'tele.experiment.%' AND run_id IS NOT NULL
    GROUP BY experiment_id, run_id
), ranked AS (
    -- a trial that replaces stands in the place of every earlier trial of its condition and replicate
    SELECT *, max(started_ns) FILTER (replaces)
            OVER (PARTITION BY experiment_id, condition, replicate, {_RUN_TYPE} = 'trial') AS replaced_ns
    FROM life
), seen AS (
    SELECT experiment_id, run_id,
        min(experiment) AS experiment,
        CASE WHEN min(condition) = max(condition) THEN min(condition) END AS condition,
        min(time) AS first,
        arg_max(writer, (coalesce(end_ns, start_ns), seq)) AS last_writer,
        max(start_ns) FILTER (kind <> 'event' OR NOT starts_with(name, 'tele.')) AS last_ns,
        count(*) FILTER (kind = 'span') AS n_spans,
        count(*) FILTER (kind = 'span' AND status = 'open') AS n_open
    FROM events
    WHERE run_id IS NOT NULL
    GROUP BY experiment_id, run_id
), pulse AS (
    SELECT writer, max(CASE state WHEN 'alive' THEN 2 WHEN 'silent' THEN 1 ELSE 0 END)
        OVER (PARTITION BY coalesce(process, writer)) AS beat
    FROM liveness
)
SELECT run_id, experiment, experiment_id, coalesce(ranked.condition, seen.condition) AS condition,
    {_RUN_TYPE} AS run_type,
    CASE
        WHEN ranked.run_id IS NULL THEN 'ingested'
        WHEN pruned THEN 'pruned'
        WHEN archived THEN 'archived'
        WHEN superseded OR ({_RUN_TYPE} = 'trial' AND started_ns < replaced_ns) THEN 'superseded'
        WHEN failed THEN 'failed'
        WHEN stopped THEN 'stopped'
        WHEN greatest(owner.beat, latest.beat) = 2 THEN if(paused, 'paused', 'running')
        WHEN greatest(owner.beat, latest.beat) = 1 THEN 'silent'
        ELSE 'interrupted'
    END AS status,
    coalesce(started, began, first) AS started, ended, n_spans, n_open,
    {field("hypothesis")},
    {field("sample_size", "BIGINT")},
    {field("sampling_rate", "DOUBLE")},
    told->>'$."reason"' AS reason,
    coalesce(pause_count, 0) AS pause_count,
    coalesce(last_ns > ended_ns, FALSE) AS written_late,
    coalesce(TRY_CAST(attributes->'$."tags"' AS VARCHAR[]), tags) AS tags,
    coalesce(measured->'$."environment"', attributes->'$."environment"') AS environment
FROM seen
LEFT JOIN ranked USING (experiment_id, run_id)
LEFT JOIN pulse AS owner ON owner.writer = ranked.owner
LEFT JOIN pulse AS latest ON latest.writer = seen.last_writer"""


def _experiments() -> str:
    return """WITH seen AS (
    SELECT min(experiment) AS experiment, experiment_id, count(*) AS n_events,
        list_sort(coalesce(list(DISTINCT condition) FILTER (condition IS NOT NULL), [])) AS conditions,
        min(time) AS first,
        max(coalesce(end_time, time)) AS last
    FROM events
    GROUP BY experiment_id
), told AS (
    SELECT experiment_id, count(*) AS n_runs,
        coalesce(
            arg_max(status, (started, run_id)) FILTER (status NOT IN ('archived', 'superseded', 'pruned', 'ingested')),
            arg_max(status, (started, run_id))) AS status,
        arg_max(hypothesis, (started, run_id)) FILTER (hypothesis IS NOT NULL) AS hypothesis
    FROM runs
    GROUP BY experiment_id
)
SELECT experiment, experiment_id, coalesce(n_runs, 0) AS n_runs, n_events, conditions, first, last,
    coalesce(status, 'ingested') AS status, hypothesis
FROM seen
LEFT JOIN told USING (experiment_id)"""


def _ensembles() -> str:
    return f"""WITH said AS (
    {named(_ENSEMBLE, "name IN ('ensemble', 'ensemble.result', 'ensemble.prediction.stop') AND kind <> 'metric'")}
)
SELECT *
FROM said
WHERE coalesce(strategy, winner) IS NOT NULL
-- a span and an event may tell of one ensemble: the one that names the winner counts
QUALIFY row_number() OVER (
    PARTITION BY experiment, run_id, coalesce(ensemble_id, event_id) ORDER BY winner IS NULL, start_ns, event_id) = 1"""


_ARTIFACT = [
    field("name", column="artifact"),
    field("role"),
    field("media_type"),
    field("length", "BIGINT"),
    field("sha256"),
    """'blob:' || (attributes->>'$."body"."$blob"') AS body""",
    """coalesce(TRY_CAST(attributes->>'$."redacted"' AS BOOLEAN), FALSE) AS redacted""",
]


def _hedges() -> str:
    return f"""WITH RECURSIVE said AS (
    {named(_HEDGE, "name IN ('hedge', 'hedging.request.stop') AND kind <> 'metric'")}
), under AS (
    -- what was called by a request that lost, however deep, cost its tokens for nothing
    SELECT attributes->>'$."hedge_id"' AS hedge_id, trace_id, span_id
    FROM events
    WHERE kind = 'span' AND name = 'hedge.attempt' AND attributes->>'$."outcome"' <> 'won'
    UNION
    SELECT hedge_id, trace_id, inner_span.span_id
    FROM under
    JOIN (SELECT trace_id, span_id, parent_id AS above FROM events WHERE kind = 'span') AS inner_span USING (trace_id)
    WHERE above = under.span_id
), wasted AS (
    SELECT trace_id, hedge_id, sum(cost_usd) AS usd, sum({TOKENS})::BIGINT AS tokens
    FROM under
    JOIN llm_calls USING (trace_id, span_id)
    GROUP BY trace_id, hedge_id
)
SELECT said.* REPLACE (
    coalesce(wasted_usd, usd, if(fired, NULL, 0)) AS wasted_usd,
    coalesce(wasted_tokens, tokens, if(fired, NULL, 0)) AS wasted_tokens)
FROM said
LEFT JOIN wasted USING (trace_id, hedge_id)"""


_VOTE = [
    field("ensemble_id"),
    field("member"),
    field("answer"),
    field("weight", "DOUBLE"),
    field("confidence", "DOUBLE"),
]
_ENSEMBLE = [
    field("ensemble_id"),
    field("strategy"),
    either("winner", "VARCHAR", "answer"),
    either("agreement", "DOUBLE", "consensus"),
    field("entropy", "DOUBLE"),
]
_HEDGE = [
    field("hedge_id"),
    field("strategy"),
    either("delay_ms", "DOUBLE", "hedge_delay"),
    either("fired", "BOOLEAN", "hedged"),
    """coalesce(attributes->>'$."winner"', CASE attributes->>'$."hedge_won"'
        WHEN 'true' THEN 'backup' WHEN 'false' THEN 'primary' END) AS winner""",
    field("wasted_usd", "DOUBLE"),
    field("wasted_tokens", "BIGINT"),
]


def view_sql() -> dict[str, str]:
    """Return every view as name and `CREATE OR REPLACE VIEW` text, in the order in which they can be created.

    They need `events` and `liveness(writer, process, state)`, which the reader makes. A run is `pruned`, else
    `archived`, `superseded`, `failed` or `stopped` when its lifecycle says so; else it is as alive as the process that
    began it or the process that wrote its last event: `running` or `paused`, `silent`, `interrupted`. Runs and
    experiments with no lifecycle are `ingested`. A trial that a later one replaced is `superseded`. `written_late` says
    that something was recorded in it after its end.
    """
    bodies = {
        "spans": "SELECT *\nFROM events\nWHERE kind = 'span'",
        "metrics": "SELECT *\nFROM events\nWHERE kind = 'metric'",
        "tools": "SELECT *\nFROM events\nWHERE kind = 'span' AND operation = 'execute_tool'",
        "wrappers": _WRAPPERS,
        "llm_calls": _LLM_CALLS,
        "runs": _RUNS,
        "experiments": _experiments(),
        "artifacts": named(_ARTIFACT, "kind = 'event' AND name = 'tele.experiment.artifact' AND run_id IS NOT NULL"),
        "votes": named(_VOTE, "kind = 'event' AND name = 'ensemble.vote'"),
        "ensembles": _ensembles(),
        "hedges": _hedges(),
        "reasoning": reasoning_sql(),
        "chain_versions": chain_versions_sql(),
        "chains": chains_sql(),
    }
    return {name: f"CREATE OR REPLACE VIEW {name} AS\n{body}" for name, body in bodies.items()}
