"""The main job on real input: foreign traces and a provider benchmark, ingested, analyzed and viewed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROVIDERS = ["anyscale_70b", "bedrock_70b", "groq_70b", "lepton_7b", "perplexity_70b", "replicate_70b"]
SELECT = """SELECT '{provider}' AS condition, 'chat' AS operation, 'chat' AS name, row_number() OVER () AS item_id,
    end_to_end_latency_s * 1000 AS duration_ms, ttft_s * 1000 AS ttft_ms,
    number_input_tokens AS input_tokens, number_output_tokens AS output_tokens,
    error_code IS NULL AS success, CAST(error_code AS VARCHAR) AS error_type, error_msg AS error_message FROM source"""


def run(*arguments: object, code: int = 0) -> str:
    """Run the command as a user does; the answer is on stdout, sentences on stderr."""
    command = [sys.executable, "-m", "tele", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def benchmark(fixtures, tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("llmperf") / ".tele"
    for provider in PROVIDERS:
        path = fixtures / "llmperf" / "individual" / f"{provider}.json"
        select = SELECT.format(provider=provider)
        run("ingest", path, "--experiment", "llmperf", "--select", select, "--store", store)
    return store


@pytest.mark.parametrize("provider", PROVIDERS)
def test_percentiles_equal_the_publishers_own_to_1e_9(benchmark, fixtures, provider):
    published = json.loads((fixtures / "llmperf" / "summary" / f"{provider}.json").read_text())
    rows = json.loads((fixtures / "llmperf" / "individual" / f"{provider}.json").read_text())
    groups = json.loads(run("analyze", "llmperf", "--on", "chat", "--format", "json", "--store", benchmark))["groups"]
    found = next(group for group in groups if group["key"] == {"condition": provider})
    prefix = "results_end_to_end_latency_s_"
    for ours, theirs in {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}.items():
        assert found["latency"][ours] / 1000 == pytest.approx(published[f"{prefix}quantiles_{theirs}"], rel=1e-9)
    for ours, theirs in {"mean": "mean", "min": "min", "max": "max", "std_dev": "stddev"}.items():
        assert found["latency"][ours] / 1000 == pytest.approx(float(published[f"{prefix}{theirs}"]), rel=1e-9)
    failed = sum(row["error_code"] is not None for row in rows)
    assert found["latency"]["count"] == len(rows) - failed
    assert found["reliability"]["failed"] == failed
    assert found["reliability"]["total_requests"] == len(rows)


def test_ingesting_the_same_file_again_adds_nothing_and_says_so(benchmark, fixtures):
    path = fixtures / "llmperf" / "individual" / "groq_70b.json"
    select = SELECT.format(provider="groq_70b")
    said = run("ingest", path, "--experiment", "llmperf", "--select", select, "--store", benchmark)
    count = len(json.loads(path.read_text()))
    assert said.splitlines()[1] == f"Added 0. {count} were there before."


def test_every_trace_file_is_ingested_analyzed_and_viewed(fixtures, tmp_path):
    store = tmp_path / ".tele"
    folders = [fixtures / name for name in ("otlp_proto", "jaeger", "zipkin", "any_agent", "monocle", "agentevals")]
    said = run("ingest", *folders, "--experiment", "traces", "--store", store)
    files = [path for folder in folders for path in folder.iterdir()]
    assert said.startswith("Read ")
    assert f"from {len(files)} files" in said
    spans = sum(count_spans(json.loads(path.read_text())) for path in files)
    assert json.loads(run("sql", "SELECT count(*) AS n FROM spans", "--format", "json", "--store", store)) == [
        {"n": spans}
    ]
    page = tmp_path / "traces.html"
    run("view", "traces", "-o", page, "--store", store)
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'" in text


def count_spans(document) -> int:
    """Spans in a trace file of any of the formats, by its own structure."""
    if isinstance(document, list):  # one file holds each of its spans twice, word for word
        return len({json.dumps(span, sort_keys=True) for span in document})
    if "data" in document:
        return sum(len(trace["spans"]) for trace in document["data"])
    if "spans" in document:
        return len(document["spans"])
    return sum(len(scope["spans"]) for r in document.get("resourceSpans", []) for scope in r["scopeSpans"])
