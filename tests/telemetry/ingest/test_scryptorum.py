"""Scryptorum's three files, verbatim from its own documentation."""

from __future__ import annotations

import json

import pytest

from tele.telemetry.ingest import Problem, ingest, window

RUN = """
{"timestamp": "2024-01-01T12:00:00", "event_type": "run_started", "run_id": "trial_run", "run_type": "trial"}
{"timestamp": "2024-01-01T12:00:01", "event_type": "llm_call", "model": "gpt-4", "input": "...", "output": "..."}
{"timestamp": "2024-01-01T12:00:05", "event_type": "run_finished", "duration_seconds": 5.2}
"""
METRICS = """
{"timestamp": "2024-01-01T12:00:03", "run_id": "trial_run", "name": "accuracy", "value": 0.85, "type": "accuracy"}
{"timestamp": "2024-01-01T12:00:04", "run_id": "trial_run", "name": "f1_score", "value": 0.82, "type": "f1"}
"""
TIMINGS = """
{"timestamp": "2024-01-01T12:00:02", "run_id": "trial_run", "operation": "data_loading", "duration_ms": 1250.5}
{"timestamp": "2024-01-01T12:00:03", "run_id": "trial_run", "operation": "model_inference", "duration_ms": 890.2}
"""
NOON = 1_704_110_400_000_000_000


@pytest.fixture
def rows(tmp_path):
    def of(text, name="run.jsonl"):
        path = tmp_path / name
        path.write_text(text)
        found = []
        report = ingest([path], append=found.append, known=lambda _: set(), experiment="x", strict=True)
        assert report.by_format == {"scryptorum": len(found)}
        return found

    return of


def test_the_run_log_gives_events_and_calls(rows):
    started, call, finished = rows(RUN)

    assert (started["kind"], started["name"], started["run_id"]) == ("event", "run_started", "trial_run")
    assert (started["start_ns"], started["attributes"]["tele.flags"]) == (NOON, ["no_zone"])
    assert (call["kind"], call["name"], call["operation"], call["model"]) == ("span", "chat gpt-4", "chat", "gpt-4")
    assert (call["input"], call["output"], call["success"], call["end_ns"]) == ("...", "...", True, NOON + 10**9)
    assert finished["attributes"]["duration_seconds"] == 5.2


def test_metrics_keep_their_value_and_type(rows):
    accuracy, f1 = rows(METRICS, "metrics.jsonl")

    assert (accuracy["kind"], accuracy["name"], accuracy["value"]) == ("metric", "accuracy", 0.85)
    assert (f1["value"], f1["attributes"]["type"], f1["run_id"]) == (0.82, "f1", "trial_run")


def test_timings_are_spans_that_ended_when_they_were_logged(rows):
    loading, inference = rows(TIMINGS, "timings.jsonl")

    assert (loading["kind"], loading["name"], loading["duration_ms"]) == ("span", "data_loading", 1250.5)
    assert (loading["start_ns"], loading["end_ns"]) == (NOON + 749_500_000, NOON + 2 * 10**9)
    assert inference["duration_ms"] == 890.2


def test_the_three_files_together_count_each_thing_once(tmp_path):
    logged = {"timestamp": "2024-01-01T12:00:03", "run_id": "trial_run", "name": "accuracy", "value": 0.85}
    both = RUN + json.dumps({**logged, "event_type": "metric_logged"}) + "\n"
    for name, text in (("run", both), ("metrics", METRICS), ("timings", TIMINGS)):
        (tmp_path / f"{name}.jsonl").write_text(text)
    found = []

    ingest([tmp_path], append=found.append, known=lambda _: set(), experiment="x")

    values = [row["value"] for row in found if row["kind"] == "metric" and row["name"] == "accuracy"]
    assert values == [0.85]
    assert len(found) == 8


def test_a_failed_call_and_a_negative_timing_are_kept_and_flagged(rows):
    failed = {"timestamp": "2024-01-01T12:00:01", "event_type": "llm_call", "model": "unknown", "input": {"a": 1}}
    text = json.dumps({**failed, "output": None, "error": "refused", "duration_ms": 20, "run_id": "r"})
    back = json.dumps({"timestamp": "2024-01-01T12:00:01Z", "run_id": "r", "operation": "o", "duration_ms": -5})

    call, timing = rows(f"{text}\n{back}\n")

    assert (call["success"], call["status"], call["error_message"]) == (False, "error", "refused")
    assert ("model" in call, call["end_ns"] - call["start_ns"]) == (False, 20_000_000)
    assert (timing["duration_ms"], timing["attributes"]["tele.flags"]) == (-5.0, ["negative_duration"])


def test_a_line_whose_time_is_none_is_a_problem(tmp_path):
    path = tmp_path / "run.jsonl"
    lines = [{"timestamp": "2024-01-01T12:00:00", "event_type": "a"}, {"timestamp": "noon", "event_type": "b"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = []

    report = ingest([path], append=found.append, known=lambda _: set(), experiment="x")

    assert report.problems == (Problem(str(path), "line 2", "timestamp 'noon' is not a number"),)
    assert len(found) == 1


def test_a_line_too_large_for_memory_keeps_its_lists_whole(rows, monkeypatch):
    monkeypatch.setattr(window, "BIG_DOCUMENT", 64)
    line = {"timestamp": "2024-01-01T12:00:00Z", "event_type": "batch", "run_id": "r", "samples": [*range(50)]}

    (row,) = rows(json.dumps(line, indent=1))

    assert row["attributes"]["samples"] == [*range(50)]
