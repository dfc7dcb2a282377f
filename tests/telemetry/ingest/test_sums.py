"""What real traces cost, took and used, by `llm_calls`, equals what a few independent lines count in the raw file."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime

import pytest

from tele.store.layout import prepare
from tele.store.reader import open_store
from tele.telemetry.ingest.into import ingest_into

SUMS = """SELECT count(*), sum(input_tokens), sum(output_tokens), sum(cost_usd) FILTER (price_ref = 'source'),
    sum(duration_ms) FROM llm_calls"""


@pytest.fixture
def ingested(tmp_path):
    def into(*paths):
        layout = prepare(tmp_path / ".tele")
        ingest_into(layout, paths, experiment="x", strict=True)
        return open_store(layout.root)

    return into


def sums(store):
    with store:
        ((count, read, written, cost, took),) = store.rows(SUMS)
    return count, int(read or 0), int(written or 0), cost or 0.0, took or 0.0


def seconds(start, end):
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


@pytest.mark.parametrize("name", ["claude-agent-2025-12-22", "openai-agents-2025-09-30", "vercel-aisdk-2025-11-17"])
def test_langfuse_counts_each_generation_once_and_no_wrapper(fixtures, ingested, name):
    path = fixtures / "langfuse" / f"{name}.trace.json"
    observations = json.loads(path.read_text())["observations"]
    calls = [o for o in observations if o["type"] == "GENERATION"]
    above = {o["parentObservationId"] for o in calls}
    calls = [o for o in calls if o["id"] not in above]  # ai.generateText stands above ai.generateText.doGenerate

    count, read, written, cost, took = sums(ingested(path))

    assert count == len(calls)
    assert read == sum(o["usageDetails"]["input"] for o in calls)
    assert written == sum(o["usageDetails"]["output"] for o in calls)
    assert cost == pytest.approx(sum(o["totalCost"] for o in calls))
    # its latencies are seconds, to the millisecond
    assert took == pytest.approx(sum(o["latency"] for o in calls) * 1000, abs=len(calls))


INSPECT = [
    "inspect/analysis/test_logs/2025-05-12T20-28-26-04-00_security-guide.json",
    "inspect/log/test_eval_log/log_formats.json",
    "inspect/log/test_eval_log/log_read_sample.json",
]


@pytest.mark.parametrize("name", INSPECT)
def test_inspect_counts_what_its_own_statistics_count(fixtures, ingested, name):
    path = fixtures / name
    log = json.loads(path.read_text())
    usage = log["stats"]["model_usage"].values()
    events = [
        e
        for s in log["samples"]
        for e in (s["events"] if "events" in s else s["transcript"]["events"])  # 2024 had them in a transcript
        if e["event"] == "model"
    ]

    count, read, written, _, took = sums(ingested(path))

    assert count == len(events)
    assert read == sum(u["input_tokens"] for u in usage)
    assert written == sum(u["output_tokens"] for u in usage)
    stated = [
        seconds(e["timestamp"], e["completed"]) if e.get("completed") else e["output"].get("time") or 0 for e in events
    ]
    assert took == pytest.approx(sum(stated) * 1000, rel=1e-6)


@pytest.mark.parametrize("name", ["log_formats", "log_read_sample"])
def test_the_archive_of_an_evaluation_holds_what_its_samples_count(fixtures, ingested, name):
    path = fixtures / "inspect" / "log" / "test_eval_log" / f"{name}.eval"
    with zipfile.ZipFile(path) as archive:
        sample = json.loads(archive.read("samples/1_epoch_1.json"))
    usage = [e["output"]["usage"] for e in sample["events"] if e["event"] == "model"]

    count, read, written, _, _ = sums(ingested(path))

    assert (count, read, written) == (
        len(usage),
        sum(u["input_tokens"] for u in usage),
        sum(u["output_tokens"] for u in usage),
    )


@pytest.mark.parametrize("name", ["AGNO", "GOOGLE", "LANGCHAIN", "LLAMA_INDEX", "OPENAI", "SMOLAGENTS", "TINYAGENT"])
def test_any_agent_counts_its_calls_and_the_halves_of_their_cost(fixtures, ingested, name):
    path = fixtures / "any_agent" / f"{name}_trace.json"
    calls = [s for s in json.loads(path.read_text())["spans"] if "gen_ai.usage.input_tokens" in s["attributes"]]
    said = [s["attributes"] for s in calls]

    count, read, written, cost, took = sums(ingested(path))

    assert (count, read) == (len(calls), sum(a["gen_ai.usage.input_tokens"] for a in said))
    assert written == sum(a["gen_ai.usage.output_tokens"] for a in said)
    assert cost == pytest.approx(sum(a["gen_ai.usage.input_cost"] + a["gen_ai.usage.output_cost"] for a in said))
    assert took == pytest.approx(sum(s["end_time"] - s["start_time"] for s in calls) / 1e6)


@pytest.mark.parametrize(
    "name", ["test_crewai_multi_agent", "test_langgraph_multi_agent", "test_openai_agents_sdk", "trace1", "trace3"]
)
def test_monocle_counts_the_tokens_that_stand_in_span_events(fixtures, ingested, name):
    """Among them orphans alone, and frameworks above bare calls that say nothing."""
    path = fixtures / "monocle" / f"{name}.json"
    pairs = [
        (s, e["attributes"])
        for s in json.loads(path.read_text())
        for e in s["events"]
        if e["name"] == "metadata" and "prompt_tokens" in e["attributes"]
    ]

    with ingested(path) as store:
        ((count, read, written, took),) = store.rows(
            "SELECT count(*), sum(input_tokens), sum(output_tokens), sum(duration_ms) FROM llm_calls"
            " WHERE input_tokens IS NOT NULL"
        )

    assert (count, read) == (len(pairs), sum(said["prompt_tokens"] for _, said in pairs))
    assert written == sum(said["completion_tokens"] for _, said in pairs)
    assert took == pytest.approx(sum(seconds(s["start_time"], s["end_time"]) for s, _ in pairs) * 1000)


@pytest.mark.parametrize("name", ["helm", "k8s"])
def test_agentevals_counts_the_call_and_not_the_wrapper_that_repeats_it(fixtures, ingested, name):
    path = fixtures / "agentevals" / f"{name}.json"
    spans = [s for t in json.loads(path.read_text())["data"] for s in t["spans"]]
    used = {}
    for span in spans:
        tags = {t["key"]: t["value"] for t in span["tags"]}
        for read, written in (("input", "output"), ("prompt", "completion")):
            if f"gen_ai.usage.{read}_tokens" in tags:
                tokens = tags[f"gen_ai.usage.{read}_tokens"], tags[f"gen_ai.usage.{written}_tokens"]
                used[span["spanID"]] = (*tokens, span["duration"], span["references"][0]["spanID"])
    above = {parent for *_, parent in used.values()}
    calls = [call for span, call in used.items() if span not in above]  # call_llm stands above openai.chat

    with ingested(path) as store:
        ((read, written, took),) = store.rows(
            "SELECT sum(input_tokens), sum(output_tokens), sum(duration_ms) FROM llm_calls WHERE input_tokens > 0"
        )

    assert len(calls) * 2 == len(used)
    assert (read, written) == (sum(call[0] for call in calls), sum(call[1] for call in calls))
    assert took == pytest.approx(sum(call[2] for call in calls) / 1000)
