"""Every real trace file: what we read equals what a few independent lines count in it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tele.telemetry.ingest import ingest


@dataclass(frozen=True)
class Counts:
    """What is compared: of spans, and how many point events and metrics stand beside them."""

    spans: int
    roots: int
    orphans: int
    errors: int
    input_tokens: int
    output_tokens: int
    events: int = 0
    metrics: int = 0


def counted(spans, events=0, metrics=0):
    """Count over (trace, span, parent or None, is error, input tokens, output tokens)."""
    known = {(trace, span) for trace, span, *_ in spans}
    roots = [s for s in spans if not s[2]]
    orphans = [s for s in spans if s[2] and (s[0], s[2]) not in known]
    tokens = [sum(s[i] or 0 for s in spans) for i in (4, 5)]
    return Counts(len(spans), len(roots), len(orphans), sum(s[3] for s in spans), *tokens, events, metrics)


def from_otlp(document):
    groups = [g for r in document.get("resourceSpans", []) for g in r["scopeSpans"]]
    spans = [s for g in groups for s in g["spans"]]
    logs = sum(len(g["logRecords"]) for r in document.get("resourceLogs", []) for g in r["scopeLogs"])
    metrics = [m for r in document.get("resourceMetrics", []) for g in r["scopeMetrics"] for m in g["metrics"]]
    kinds = ("sum", "gauge", "histogram", "exponentialHistogram")
    points = sum(len(m[k]["dataPoints"]) for m in metrics for k in kinds if k in m)
    rows = [
        (s["traceId"], s["spanId"], s.get("parentSpanId"), s.get("status", {}).get("code") == 2, 0, 0) for s in spans
    ]
    return counted(rows, logs + sum(len(s.get("events", [])) for s in spans), points)


def from_zipkin(document):
    rows = [(s["traceId"], s["id"], s.get("parentId"), "error" in s.get("tags", {}), 0, 0) for s in document]
    return counted(rows, sum(len(s.get("annotations", [])) for s in document))


def from_jaeger(document):
    rows, events = [], 0
    for s in (s for t in document["data"] for s in t["spans"]):
        tags = {t["key"]: t["value"] for t in s["tags"]}
        tokens = [
            tags.get(f"gen_ai.usage.{a}_tokens", tags.get(f"gen_ai.usage.{b}_tokens"))
            for a, b in (("input", "prompt"), ("output", "completion"))
        ]
        parent = next((r["spanID"] for r in s["references"]), None)
        error = tags.get("otel.status_code") == "ERROR" or tags.get("error") is True
        rows.append((s["traceID"], s["spanID"], parent, error, *tokens))
        events += len(s["logs"])
    return counted(rows, events)


def from_any_agent(document):
    rows = []
    for s in document["spans"]:
        tokens = [s["attributes"].get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output")]
        parent = (s["parent"] or {}).get("span_id")
        rows.append((s["context"]["trace_id"], s["context"]["span_id"], parent, False, *tokens))
    return counted(rows, sum(len(s["events"]) for s in document["spans"]))


def from_monocle(document):
    rows = []
    once = {json.dumps(s, sort_keys=True): s for s in document}  # one file holds each span twice, word for word
    for s in once.values():
        said = {k: v for e in s["events"] if e["name"] == "metadata" for k, v in e["attributes"].items()}
        tokens = [
            said.get(f"{a}_tokens", s["attributes"].get(f"gen_ai.usage.{b}_tokens"))
            for a, b in (("prompt", "input"), ("completion", "output"))
        ]
        error = s["status"]["status_code"] == "ERROR"
        rows.append((s["context"]["trace_id"], s["context"]["span_id"], s["parent_id"], error, *tokens))
    return counted(rows, sum(len(s["events"]) for s in document))


FILES = {
    "otlp_proto": (from_otlp, ["events", "logs", "metrics", "trace"]),
    "jaeger": (from_otlp, ["storage__v2__memory__fixtures__otel_traces_01"]),
    "zipkin": (
        from_zipkin,
        ["ascend", "envoy", "messaging-kafka", "messaging2", "simple-db-p6", "skew", "yelp"],
    ),
    "any_agent": (
        from_any_agent,
        [
            f"{name}_trace"
            for name in ("AGNO", "GOOGLE", "LANGCHAIN", "LLAMA_INDEX", "OPENAI", "SMOLAGENTS", "TINYAGENT")
        ],
    ),
    "monocle": (
        from_monocle,
        [
            "test_adk_single_agent",
            "test_azure_openai_finish_reason_integratio",
            "test_crewai_multi_agent",
            "test_langgraph_multi_agent",
            "test_openai_agents_sdk",
            "trace1",
            "trace3",
        ],
    ),
    "agentevals": (from_jaeger, ["helm", "k8s"]),
}
CASES = [(folder, name) for folder, (_, names) in FILES.items() for name in names]


def read(*paths: Path, **options):
    rows: list[dict] = []
    report = ingest(
        paths, append=rows.append, known=lambda _: set(), experiment=options.pop("experiment", "x"), **options
    )
    return report, rows


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_each_trace_file_holds_what_an_independent_count_finds(fixtures, folder, name):
    path = fixtures / folder / f"{name}.json"
    expected = FILES[folder][0](json.loads(path.read_text()))

    report, rows = read(path, strict=True)

    spans = [r for r in rows if r["kind"] == "span"]
    kinds = Counter(r["kind"] for r in rows)
    ours = counted(
        [
            (
                r["trace_id"],
                r["span_id"],
                r.get("parent_id"),
                r["status"] == "error",
                r.get("input_tokens"),
                r.get("output_tokens"),
            )
            for r in spans
        ],
        kinds["event"],
        kinds["metric"],
    )
    assert ours == expected
    assert report.records_read - report.duplicates == report.added == len(rows) == len({r["event_id"] for r in rows})


def test_the_list_of_cases_is_the_list_of_files(fixtures):
    found = {(folder, path.stem) for folder in FILES for path in (fixtures / folder).glob("*.json")}

    assert found == set(CASES)


@pytest.mark.parametrize("name", FILES["any_agent"][1])
def test_any_agents_cost_is_the_sum_of_its_halves(fixtures, name):
    path = fixtures / "any_agent" / f"{name}.json"
    stated = [s["attributes"] for s in json.loads(path.read_text())["spans"]]

    _, rows = read(path)

    halves = ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost")
    assert [r["cost_usd"] for r in rows if "cost_usd" in r] == [
        a[halves[0]] + a[halves[1]] for a in stated if halves[0] in a
    ]
    assert {r["price_ref"] for r in rows if "cost_usd" in r} == {"source"}


def test_a_mixed_folder_is_read_and_the_rest_is_named(fixtures):
    report, rows = read(fixtures)

    assert report.by_format.keys() == {"otlp", "jaeger", "zipkin", "console", "langfuse", "inspect"}
    assert report.files == len(CASES) + len([*(fixtures / "langfuse").iterdir()]) + len([*fixtures.rglob("*.eval")]) + 3
    assert report.records_read == len(rows) + report.duplicates
    assert str(fixtures / "PROVENANCE.json") in report.unknown
    assert report.problems == ()


PROVIDERS = ["anyscale_70b", "bedrock_70b", "groq_70b", "lepton_7b", "perplexity_70b", "replicate_70b"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_llmperf_goes_in_by_one_select(fixtures, name):
    path = fixtures / "llmperf" / "individual" / f"{name}.json"
    requests = json.loads(path.read_text())
    sql = f"""SELECT '{name}' AS "condition", 'chat' AS operation, error_code AS error_type,
        nullif(error_msg, '') AS error_message, end_to_end_latency_s * 1000 AS duration_ms, ttft_s * 1000 AS ttft_ms,
        number_input_tokens AS input_tokens, number_output_tokens AS output_tokens FROM source"""

    report, rows = read(path, select=sql)
    again, _ = read(path, select=sql)

    failed = [q["error_code"] is not None for q in requests]
    assert [not r["success"] for r in rows] == failed
    assert [r["duration_ms"] for r in rows] == [q["end_to_end_latency_s"] * 1000 for q in requests]
    assert sum(r["input_tokens"] for r in rows) == sum(q["number_input_tokens"] for q in requests)
    assert [r.get("error_type") for r in rows] == [q["error_code"] and str(q["error_code"]) for q in requests]
    assert {(r["kind"], r["name"], r["condition"], r["experiment"]) for r in rows} == {("span", "chat", name, "x")}
    assert len({r["event_id"] for r in rows}) == len({r["trace_id"] for r in rows}) == len(requests)
    assert (report.by_format, again) == ({"select": len(requests)}, report)
