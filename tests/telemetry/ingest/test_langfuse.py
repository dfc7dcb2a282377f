"""Langfuse's exports, in the shapes that its page, its API and its blob storage give."""

from __future__ import annotations

import json

import pytest

from tele.telemetry.ingest import Place, Problem
from tele.telemetry.ingest.langfuse import read, sniff

OBSERVATION = {
    "id": "0123456789abcdef",
    "traceId": "0123456789abcdef0123456789abcdef",
    "parentObservationId": "not-hex",
    "type": "GENERATION",
    "name": "answer",
    "startTime": "2025-01-01T00:00:00.000Z",
    "endTime": "2025-01-01T00:00:02.000Z",
    "completionStartTime": "2025-01-01T00:00:00.400Z",
    "model": "gpt-4o",
    "usageDetails": {"input": 10, "output": 5, "input_cached_tokens": 30, "total": 45},
    "costDetails": {"total": 0.25},
    "level": "ERROR",
    "statusMessage": "refused",
    "metadata": {"attributes": {"gen_ai.system": "openai", "k": 1}, "resourceAttributes": {"service.name": "s"}},
}


def rows(document):
    assert sniff(document)
    found = list(read(document, Place("f")))
    assert [item for item in found if isinstance(item, Problem)] == []
    return found


def test_an_observation_becomes_a_span_with_what_langfuse_says_over_what_its_attributes_say():
    (row,) = rows([OBSERVATION])

    assert {k: row[k] for k in ("kind", "name", "trace_id", "span_id", "operation", "provider", "model")} == {
        "kind": "span",
        "name": "answer",
        "trace_id": OBSERVATION["traceId"],
        "span_id": OBSERVATION["id"],
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o",
    }
    assert (row["status"], row["success"], row["error_message"]) == ("error", False, "refused")
    assert (row["end_ns"] - row["start_ns"], row["ttft_ms"], row["cost_usd"]) == (2 * 10**9, 400.0, 0.25)
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (40, 30, 5)
    assert len(row["parent_id"]) == 16
    assert (row["attributes"]["k"], row["resource"]) == (1, {"service.name": "s"})


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 85, "output": 29, "total": 114, "prompt_details.cache_read": 20}, (85, 29, 20)),
        ({"input": 5, "output": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 2}, (27, 1, 20)),
        ({"input": 5, "output": 9, "output_reasoning_tokens": 4, "total": 18}, (5, 13, None)),
    ],
)
def test_whether_parts_count_within_is_told_by_the_total(usage, tokens):
    (row,) = rows([{**OBSERVATION, "usageDetails": usage}])

    assert (row["input_tokens"], row["output_tokens"], row.get("cache_read_tokens")) == tokens


def test_a_cost_of_zero_without_details_is_unknown():
    (row,) = rows([{**OBSERVATION, "costDetails": {}, "totalCost": 0}])

    assert "cost_usd" not in row


def test_the_same_observation_under_snake_case_gives_the_same_row():
    snake = {
        "id": OBSERVATION["id"],
        "trace_id": OBSERVATION["traceId"],
        "parent_observation_id": "not-hex",
        "type": "GENERATION",
        "name": "answer",
        "start_time": "2025-01-01 00:00:00.000",
        "end_time": "2025-01-01 00:00:02.000",
        "completion_start_time": "2025-01-01 00:00:00.400",
        "model": "gpt-4o",
        "usage_details": OBSERVATION["usageDetails"],
        "cost_details": OBSERVATION["costDetails"],
        "level": "ERROR",
        "status_message": "refused",
        "metadata": json.dumps(OBSERVATION["metadata"]),
    }

    assert rows([snake]) == rows([OBSERVATION]) == rows({"data": [OBSERVATION], "meta": {}})


def test_a_trace_gives_its_session_and_tags_to_all_and_its_scores_as_metrics():
    trace = {
        "id": OBSERVATION["traceId"],
        "name": "t",
        "timestamp": "2025-01-01T00:00:00Z",
        "sessionId": "s1",
        "tags": ["a"],
        "scores": [
            {"name": "good", "value": 0.5, "dataType": "NUMERIC", "timestamp": "2025-01-01T00:00:03Z", "comment": "c"},
            {"name": "kind", "value": None, "stringValue": "x", "dataType": "CATEGORICAL"},
        ],
        "observations": [OBSERVATION],
    }

    head, span, score, label = rows(trace)

    assert [r["conversation_id"] for r in (head, span, score, label)] == ["s1"] * 4
    assert span["tags"] == ["a"]
    assert (score["kind"], score["name"], score["value"]) == ("metric", "good", 0.5)
    assert (label["kind"], label["attributes"]["langfuse.string_value"]) == ("event", "x")


def test_a_saved_trace_holds_each_observation_twice_and_the_one_with_metadata_is_read():
    bare = {**OBSERVATION, "metadata": "{}"}
    document = {"trace": {"id": "t", "timestamp": 1, "observations": [bare]}, "observations": [OBSERVATION]}

    spans = [row for row in rows(document) if row["kind"] == "span"]

    assert [span["attributes"]["k"] for span in spans] == [1]
