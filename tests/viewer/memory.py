"""A store in memory: the table `events` filled from records, and the views that a reader makes on it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import duckdb
import pyarrow as pa

from tele.errors import UnknownTarget
from tele.store.columns import COLUMNS
from tele.store.views import view_sql

JSON = [column.name for column in COLUMNS if column.json]
BEGIN = 1_760_000_000_000_000_000
MS = 1_000_000


class Memory:
    """Reads like an open store."""

    path = Path("/data/.tele")

    def __init__(self, records, blobs=None):
        self.blobs = blobs or {}
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("CREATE TABLE liveness (writer VARCHAR, process VARCHAR, state VARCHAR)")
        self.con.execute(f"CREATE TABLE events ({', '.join(f'{c.name} {c.type}' for c in COLUMNS)})")
        if records:
            self._insert([_row(number, record) for number, record in enumerate(records)])
        for statement in view_sql().values():
            self.con.execute(statement)

    def _insert(self, rows):
        given = sorted({key for row in rows for key in row})
        arrow = pa.table({key: [row.get(key) for row in rows] for key in given})
        self.con.register("arrow", arrow)
        self.con.execute("INSERT INTO events BY NAME SELECT * FROM arrow")
        self.con.execute(
            "UPDATE events SET time = make_timestamptz(start_ns // 1000), end_time = make_timestamptz(end_ns // 1000)"
        )

    def rows(self, query, params=()):
        return self.con.execute(query, list(params)).fetchall()

    def sql(self, query):
        return self.con.sql(query)

    def blob(self, reference):
        if reference not in self.blobs:
            raise UnknownTarget(reference)
        return self.blobs[reference]


def _row(number, record):
    row = {"event_id": f"{number:032x}", "kind": "span", "experiment": "prompt-ab", "status": "ok", "seq": number}
    row |= {"writer": "w1"} | record
    row.setdefault("success", None if row["kind"] != "span" or row["status"] == "open" else row["status"] != "error")
    if row.get("start_ns") is not None and row.get("end_ns") is not None:
        row.setdefault("duration_ms", (row["end_ns"] - row["start_ns"]) / MS)
    return {key: json.dumps(value) if key in JSON and value is not None else value for key, value in row.items()}


def span(name, span_id, *, trace="a" * 32, start=0.0, ms=1.0, **fields):
    """Make a span's record; `start` and `ms` in milliseconds after the beginning, `ms=None` is open."""
    begin = BEGIN + round(start * MS)
    end = None if ms is None else begin + round(ms * MS)
    status = {"status": "open"} if ms is None else {}
    return {"name": name, "span_id": span_id, "trace_id": trace, "start_ns": begin, "end_ns": end} | status | fields


def event(name, span_id, *, trace="a" * 32, at=0.0, **fields):
    """Make a point event's record on a span."""
    where = {"span_id": span_id, "trace_id": trace, "start_ns": BEGIN + round(at * MS)}
    return {"kind": "event", "name": name, "status": None} | where | fields


def experiment(items=40, *, replicates=3, seed=7):
    """Make the records of two conditions: items with a retrieval, calls, votes, retries, errors and chains."""
    rng = random.Random(seed)
    records = []
    for condition in ("baseline", "few-shot"):
        run = {"run_id": f"run-{condition}", "condition": condition}
        about = {"hypothesis": "Three worked examples in the prompt raise accuracy at less than twice the cost."}
        records.append(event("tele.experiment.started", None, trace=None, attributes=about, **run))
        for item in range(items):
            for replicate in range(replicates):
                records += _item(rng, len(records), run | {"item_id": f"item-{item:03d}", "replicate": replicate})
        records.append(event("tele.experiment.stopped", None, trace=None, at=9e6, **run))
    return records


def _item(rng, number, where):
    trace, at = f"{number:032x}", number * 61.0
    few = where["condition"] == "few-shot"
    ids = [f"{number:08x}{part:08x}" for part in range(12)]
    records, clock, last = [], at + 2, at
    records.append(
        span(
            "search examples", ids[1], trace=trace, parent_id=ids[0], start=clock, ms=18, operation="retrieval", **where
        )
    )
    clock += 21
    failed = False
    for vote, member in enumerate(("gpt-4o", "claude-sonnet", "gemini-pro")):
        ms = rng.lognormvariate(6.6 if few else 6.3, 0.4)
        failed = rng.random() < 0.03
        records.append(_call(rng, ids, (vote, trace, clock, ms), (member, failed, few), where))
        last = max(last, clock + ms)
        if not failed:
            answer = rng.choice(["42", "42", "42", "17"])
            said = {"ensemble_id": ids[0], "member": member, "answer": answer, "weight": 1.0, "confidence": 0.8}
            records.append(event("ensemble.vote", ids[0], trace=trace, at=clock + ms, attributes=said, **where))
        clock += 6
    result = {"ensemble_id": ids[0], "strategy": "majority", "winner": "42", "agreement": rng.choice([1.0, 0.67])}
    records.append(event("ensemble.result", ids[0], trace=trace, at=last + 1, attributes=result, **where))
    records.append(
        span(
            "execute_tool calculator",
            ids[9],
            trace=trace,
            parent_id=ids[0],
            start=last + 2,
            ms=4,
            operation="execute_tool",
            **where,
        )
    )
    if where["item_id"] == "item-001" and where["replicate"] == 0:
        records += _chain(ids, trace, clock, where)
    open_ = where["item_id"] == "item-005" and few and where["replicate"] == 2
    root = {"ms": None} if open_ else {"ms": last + 8 - at}
    records.append(span("answer item", ids[0], trace=trace, start=at, operation="invoke_agent", **root, **where))
    return records


def _call(rng, ids, place, outcome, where):
    (vote, trace, clock, ms), (member, failed, few) = place, outcome
    messages = [
        {"role": "system", "content": "You are a careful solver of arithmetic problems. Answer with one number."},
        {"role": "user", "content": "A baker sells 6 trays of 7 rolls. How many rolls is that?\n\nThink step by step."},
    ]
    said = [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "6 * 7 = 42."}, {"type": "text", "content": "**42** rolls."}],
            "finish_reason": "stop",
        }
    ]
    tokens = {
        "input_tokens": rng.randint(700, 900) if few else rng.randint(200, 300),
        "output_tokens": rng.randint(40, 160),
    }
    ended = {
        "output": said,
        "cost_usd": tokens["input_tokens"] * 2.5e-6 + tokens["output_tokens"] * 1e-5,
        "ttft_ms": ms / 4,
    } | tokens
    if failed:
        ended = {
            "status": "error",
            "error_type": "RateLimitError",
            "error_message": "429: too many requests; retry after 2 s",
        }
    attributes = {"gen_ai.request.temperature": 0.2, "gen_ai.response.id": f"resp-{ids[0]}", "attempt": 1}
    return span(
        f"chat {member}",
        ids[2 + vote],
        trace=trace,
        parent_id=ids[0],
        start=clock,
        ms=ms,
        operation="chat",
        provider="openai",
        model=member,
        request_model=member,
        input=messages,
        attributes=attributes,
        **ended,
        **where,
    )


def _chain(ids, trace, clock, where):
    steps = (
        (
            "hypothesis_formed",
            "Cache rows in DuckDB",
            ["Redis (fast, durable)", "SQLite"],
            "Reads outnumber writes by far.",
            0.82,
        ),
        ("constraint_evaluated", "Memory stays below 1 GiB", [], "The largest table is 300 MB.", 0.9),
        ("alternative_rejected", "No Redis", ["Redis"], "It needs a server, and the tool must run offline.", 0.95),
        ("ambiguity_flagged", "Is replication needed?", [], "The text says available, which may mean replicated.", 0.4),
        ("pattern_applied", "Append-only log", ["snapshots"], "Every state is a fold over it.", 0.88),
        ("confidence_updated", "Cache rows in DuckDB", [], "The benchmark held.", 0.93),
    )
    records = []
    for position, (kind, decision, alternatives, reasoning, confidence) in enumerate(steps):
        said = {
            "chain_id": f"chain-{ids[0]}",
            "name": "storage decision",
            "version": 2,
            "position": position,
            "type": kind,
        }
        said |= {"decision": decision, "alternatives": alternatives, "reasoning": reasoning, "confidence": confidence}
        if position == 0:
            said |= {"code_section": "store/reader.py:40-88", "spec_reference": "section 5"}
        records.append(
            event("causal_trace.event.created", ids[0], trace=trace, at=clock + position, attributes=said, **where)
        )
    return records
