from __future__ import annotations

import json

import duckdb
import pytest

from tele.store.columns import COLUMNS
from tele.store.views import CALL, WRAPPED, view_sql


class Log:
    """Records under the views."""

    def __init__(self):
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute(f"CREATE TABLE events ({', '.join(f'{c.name} {c.type}' for c in COLUMNS)})")
        self.con.execute("CREATE TABLE liveness (writer VARCHAR, process VARCHAR, state VARCHAR)")
        for statement in view_sql().values():
            self.con.execute(statement)

    def add(self, *records):
        for number, record in enumerate(records):
            row = {
                "event_id": str(number),
                "kind": "span",
                "experiment": "e",
                "experiment_id": "eid",
                "seq": number,
            } | record
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            values = [json.dumps(value) if isinstance(value, dict) else value for value in row.values()]
            self.con.execute(f"INSERT INTO events ({names}) VALUES ({marks})", values)

    def rows(self, query):
        return self.con.execute(query).fetchall()


@pytest.fixture
def log():
    return Log()


def event(name, **fields):
    return {"kind": "event", "name": name} | fields


def life(what, run="r", **fields):
    return event(f"tele.experiment.{what}", run_id=run) | fields


def span(id_, parent=None, **fields):
    return {"trace_id": "t", "span_id": id_, "parent_id": parent, "name": id_} | fields


def test_views_come_in_an_order_in_which_they_can_be_made():
    assert list(view_sql()) == [
        "spans",
        "metrics",
        "tools",
        "wrappers",
        "llm_calls",
        "runs",
        "experiments",
        "artifacts",
        "votes",
        "ensembles",
        "hedges",
        "reasoning",
        "chain_versions",
        "chains",
    ]
    assert all(text.startswith(f"CREATE OR REPLACE VIEW {name} AS\n") for name, text in view_sql().items())


def test_spans_metrics_and_tools_are_rows_of_events_with_every_column(log):
    log.add(span("a"), span("b", operation="execute_tool"), {"kind": "metric", "name": "loss"}, event("x"))

    assert log.rows("SELECT name FROM spans ORDER BY name") == [("a",), ("b",)]
    assert log.rows("SELECT name FROM tools") == [("b",)]
    assert log.rows("SELECT name FROM metrics") == [("loss",)]
    for view in ("spans", "metrics", "tools", "llm_calls"):
        assert [row[0] for row in log.rows(f"DESCRIBE {view}")] == [column.name for column in COLUMNS]


def test_llm_calls_are_inference_operations_and_what_names_a_model_and_counts_tokens(log):
    log.add(
        span("chat", operation="chat"),
        span("embeddings", operation="embeddings"),
        span("other operation", operation="call_llm", model="m", input_tokens=1),
        span("no operation", model="m", output_tokens=1),
        span("no tokens", model="m"),
        span("no model", input_tokens=1),
        span("tool", operation="execute_tool", model="m", input_tokens=1),
        {**span("metric", operation="chat"), "kind": "metric"},
    )

    found = {name for (name,) in log.rows("SELECT name FROM llm_calls")}

    assert found == {"chat", "embeddings", "other operation", "no operation"}


def call(id_, parent=None, **fields):
    return span(id_, parent, operation="chat", model="m", input_tokens=5) | fields


@pytest.mark.parametrize(
    ("records", "calls"),
    [
        ([call("outer", operation="call_llm"), call("inner", "outer")], {"inner"}),
        ([call("outer"), call("inner", "outer")], {"inner"}),
        ([call("outer"), call("middle", "outer"), call("inner", "middle")], {"inner"}),
        ([call("outer"), span("http", "outer")], {"outer"}),
        ([call("outer"), span("tool", "outer", operation="execute_tool", input_tokens=5)], {"outer"}),
        ([call("outer"), call("failed", "outer", input_tokens=0)], {"outer", "failed"}),
        ([call("outer", input_tokens=None), call("inner", "outer")], {"outer", "inner"}),
        ([call("outer"), call("elsewhere", "outer", trace_id="u")], {"outer", "elsewhere"}),
        ([call("itself", "itself")], {"itself"}),
        ([call("agent", operation="invoke_agent"), span("step", "agent"), call("inner", "step")], {"inner"}),
        ([call("agent", operation="invoke_agent")], set()),
        ([call("outer"), span("retry", "outer"), span("http", "retry"), call("inner", "http")], {"inner"}),
        ([call("outer"), span("try", "outer"), call("middle", "try"), span("a", "middle"), call("b", "a")], {"b"}),
        ([call("outer"), span("tool", "outer", operation="execute_tool"), call("own", "tool")], {"outer", "own"}),
        ([call("outer"), span("step", "outer", input_tokens=5), call("inner", "step")], {"outer", "inner"}),
        ([call("itself"), span("round", "itself"), call("itself", "round")], {"itself"}),
    ],
)
def test_agents_and_wrappers_are_no_calls(log, records, calls):
    log.add(*records)

    assert {name for (name,) in log.rows("SELECT name FROM llm_calls")} == calls


def test_without_a_sign_of_wrappers_the_calls_are_all_of_llm_calls(log):
    look = WRAPPED.format(tokens="coalesce(input_tokens, output_tokens)", which="experiment = 'e'")
    log.add(span("root"), call("a", "root"), call("b", "root"))
    assert log.rows(look) == []
    assert log.rows(f"SELECT name FROM events WHERE {CALL} ORDER BY 1") == log.rows(
        "SELECT name FROM llm_calls ORDER BY 1"
    )

    log.add(call("c", "b"))

    assert log.rows(look) == [(1,)]


@pytest.mark.parametrize(
    ("events", "state", "status"),
    [
        (["started"], "alive", "running"),
        (["started"], "silent", "silent"),
        (["started"], "dead", "interrupted"),
        (["started"], None, "interrupted"),
        (["started", "paused"], "alive", "paused"),
        (["started", "paused", "resumed"], "alive", "running"),
        (["started", "paused"], "dead", "interrupted"),
        (["started", "stopped"], "alive", "stopped"),
        (["started", "stopped"], None, "stopped"),
        (["started", "failed", "stopped"], None, "failed"),
        (["started", "stopped", "superseded"], None, "superseded"),
        (["started", "failed", "archived"], "alive", "archived"),
    ],
)
def test_the_status_of_a_run_is_a_fold_of_its_lifecycle_and_its_pulse(log, events, state, status):
    log.add(*(life(what, writer="w", start_ns=1) for what in events))  # at one instant: seq decides
    if state:
        log.con.execute("INSERT INTO liveness VALUES ('w', 'p', ?)", [state])

    assert log.rows("SELECT status FROM runs") == [(status,)]
    assert log.rows("SELECT status FROM experiments") == [(status,)]


def test_a_run_lives_while_its_owner_or_its_last_writer_does(log):
    log.add(life("started", writer="owner", start_ns=1), span("a", run_id="r", writer="worker", start_ns=2))
    log.con.execute("INSERT INTO liveness VALUES ('owner', 'p', 'alive')")
    assert log.rows("SELECT status FROM runs") == [("running",)]

    log.con.execute("DELETE FROM liveness")
    log.con.execute("INSERT INTO liveness VALUES ('owner', 'p', 'dead'), ('later file', 'p', 'alive')")

    assert log.rows("SELECT status FROM runs") == [("running",)]


def test_a_run_tells_what_it_was_started_with(log):
    facts = {
        "hypothesis": "h",
        "sample_size": 40,
        "sampling_rate": 0.5,
        "tags": ["a", "b"],
        "environment": {"python": "3"},
    }
    log.add(
        life("started", time="2026-01-01 00:00:00+00", condition="c", attributes=facts),
        span("a", run_id="r", status="ok", condition="other"),
        span("b", run_id="r", status="open"),
        life("stopped", time="2026-01-01 00:01:00+00"),
    )

    assert log.rows("""SELECT run_id, experiment, experiment_id, condition, status, epoch(ended - started),
        n_spans, n_open, hypothesis, sample_size, sampling_rate, tags, environment FROM runs""") == [
        ("r", "e", "eid", "c", "stopped", 60.0, 2, 1, "h", 40, 0.5, ["a", "b"], '{"python":"3"}')
    ]


def test_what_has_no_lifecycle_is_ingested(log):
    log.add(span("a", run_id="r", condition="x"), span("b", condition="y"), span("c", condition="x"))

    assert log.rows("SELECT run_id, status, condition FROM runs") == [("r", "ingested", "x")]
    assert log.rows("SELECT experiment, n_runs, n_events, conditions, status FROM experiments") == [
        ("e", 1, 3, ["x", "y"], "ingested")
    ]


def test_an_experiment_has_the_status_of_its_latest_run_that_is_not_archived(log):
    log.add(
        life("started", "r1", time="2026-01-01 00:00:00+00"),
        life("stopped", "r1", attributes={}),
        life("started", "r2", time="2026-01-02 00:00:00+00", attributes={"hypothesis": "h2"}),
        life("failed", "r2"),
        life("archived", "r2"),
    )

    assert log.rows("SELECT n_runs, status, hypothesis FROM experiments") == [(2, "stopped", "h2")]


def test_votes_hedges_and_reasoning_read_their_attributes(log):
    log.add(
        event(
            "ensemble.vote",
            attributes={"ensemble_id": "1", "member": "m", "answer": 42, "weight": 2, "confidence": 0.5},
        ),
        event(
            "hedge", attributes={"strategy": "fixed", "delay_ms": 100, "fired": True, "winner": "b", "wasted_usd": 0.1}
        ),
        event(
            "causal_trace.event.created",
            attributes={
                "chain_id": "c",
                "position": 0,
                "id": "c.1",
                "type": "hypothesis_formed",
                "decision": "d",
                "alternatives": ["x", "y"],
                "reasoning": "why",
                "confidence": "high",
                "depends_on": [],
            },
        ),
    )

    assert log.rows("SELECT ensemble_id, member, answer, weight, confidence FROM votes") == [("1", "m", "42", 2.0, 0.5)]
    assert log.rows("SELECT strategy, delay_ms, fired, winner, wasted_usd FROM hedges") == [
        ("fixed", 100.0, True, "b", 0.1)
    ]
    assert log.rows("""SELECT chain_id, position, id, type, decision, alternatives, reasoning, confidence, code_section,
        depends_on FROM reasoning""") == [("c", 0, "c.1", "hypothesis_formed", "d", ["x", "y"], "why", None, None, [])]


def test_an_ensemble_told_of_by_a_span_and_an_event_counts_once(log):
    said = {"ensemble_id": "1", "strategy": "majority"}
    log.add(
        span("s", name="ensemble", attributes=said),
        event("ensemble.result", attributes=said | {"winner": "42", "agreement": 0.75, "entropy": 0.5}),
        span("u", name="ensemble", attributes={}),
    )

    assert log.rows("SELECT strategy, winner, agreement, entropy FROM ensembles") == [("majority", "42", 0.75, 0.5)]


def test_chains_fold_their_events(log):
    def step(chain, **more):
        return event(
            "causal_trace.event.created", run_id="r", attributes={"chain_id": chain, "name": "n", "version": 2} | more
        )

    log.add(step("a", confidence=0.5), step("a", confidence=1.0), step("a"), step("b"))

    assert log.rows("SELECT chain_id, name, version, n_events, mean_confidence FROM chains ORDER BY 1") == [
        ("a", "n", 2, 3, 0.75),
        ("b", "n", 2, 1, None),
    ]
