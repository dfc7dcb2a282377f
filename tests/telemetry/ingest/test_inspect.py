"""Inspect's logs: samples are traces, calls carry the tokens, scores are metrics."""

from __future__ import annotations

import json
import zipfile

import pytest

from tele.telemetry.ingest import Place, Problem, inspect_zip
from tele.telemetry.ingest.inspect_log import read

EVAL = {"task": "popularity", "model": "openai/gpt-4o", "eval_id": "e1", "created": "2025-01-01T00:00:00Z"}


def event(kind, second, **more):
    return {"event": kind, "timestamp": f"2025-01-01T00:00:{second:02}+00:00", **more}


def sample(events, **more):
    return {"id": "q1", "epoch": 2, "uuid": "u", "scores": {}, "events": events, **more}


def rows(*samples, **log):
    found = list(read({"version": 2, "eval": EVAL, "samples": list(samples), **log}, Place("f")))
    assert [item for item in found if isinstance(item, Problem)] == []
    return found[1:]  # the first is the log itself


MODEL = {
    "model": "openai/gpt-4o",
    "input": [{"role": "user", "content": "attachment://h1"}],
    "output": {
        "model": "gpt-4o-2024-08-06",
        "choices": [{"message": {"content": "yes"}}],
        "usage": {"input_tokens": 10, "output_tokens": 4, "input_tokens_cache_read": 30, "total_tokens": 44},
        "time": 1.5,
    },
}


def test_a_call_is_a_span_within_the_span_that_it_names():
    begin = event("span_begin", 1, id="s1", name="solvers", type="solvers")
    end = event("span_end", 9, id="s1")
    text = sample([begin, event("model", 2, span_id="s1", **MODEL), end], attachments={"h1": "a long question"})

    call, solvers, root = rows(text)

    assert call["parent_id"] == solvers["span_id"]
    assert solvers["parent_id"] == root["span_id"]
    assert {row["trace_id"] for row in (call, solvers, root)} == {root["trace_id"]}
    assert (call["operation"], call["provider"], call["model"]) == ("chat", "openai", "gpt-4o-2024-08-06")
    assert call["request_model"] == "gpt-4o"
    assert call["input"] == [{"role": "user", "content": "a long question"}]
    # its total says that what was cached counts beside the input
    assert (call["input_tokens"], call["cache_read_tokens"], call["output_tokens"]) == (40, 30, 4)
    assert call["end_ns"] - call["start_ns"] == 1_500_000_000
    assert (root["name"], root["item_id"], root["replicate"], root["run_id"]) == ("popularity", "q1", 2, "e1")
    assert root["end_ns"] - root["start_ns"] == 8 * 10**9
    assert "input_tokens" not in root


def test_newer_logs_name_messages_by_their_numbers():
    data = {"messages": [{"content": n} for n in "abc"]}
    call = {**MODEL, "input": [], "input_refs": [[0, 1], [2, 3]]}

    (found, _) = rows(sample([event("model", 1, **call)], events_data=data))

    assert found["input"] == [{"content": "a"}, {"content": "c"}]


def test_older_logs_nest_by_order():
    steps = [
        event("step", 1, action="begin", type="solver", name="outer"),
        event("step", 2, action="begin", type="solver", name="inner"),
        event("info", 3, data="x"),
        event("step", 4, action="end", name="inner"),
        event("tool", 5, id="c", function="look", arguments={"a": 1}, result="r", completed="2025-01-01T00:00:06Z"),
        event("step", 7, action="end", name="outer"),
    ]

    info, inner, tool, outer, root = rows(sample(steps))

    assert (info["span_id"], inner["parent_id"]) == (inner["span_id"], outer["span_id"])
    assert (tool["parent_id"], outer["parent_id"]) == (outer["span_id"], root["span_id"])
    assert (tool["operation"], tool["input"], tool["output"]) == ("execute_tool", {"a": 1}, "r")
    assert tool["end_ns"] - tool["start_ns"] == 10**9


def test_what_was_running_when_a_log_ends_has_no_end():
    span, _ = rows(sample([event("span_begin", 1, id="s", name="n")]))

    assert ("end_ns" in span, span["attributes"]["tele.flags"]) == (False, ["no_end"])


@pytest.mark.parametrize(("value", "number"), [("C", 1.0), ("I", 0.0), ("P", 0.5), (True, 1.0), (0.25, 0.25)])
def test_a_score_is_a_metric_of_its_sample(value, number):
    root, score = rows(sample([], scores={"match": {"value": value, "answer": "a"}}))

    assert (score["kind"], score["name"], score["value"]) == ("metric", "match", number)
    assert (score["span_id"], score["item_id"]) == (root["span_id"], "q1")
    assert score["attributes"]["inspect.score.answer"] == "a"


def test_a_score_that_is_no_number_is_an_event_and_a_failed_sample_failed():
    error = {"message": "out of memory", "traceback": "..."}

    root, score = rows(sample([], scores={"judge": {"value": {"a": 1}}}, error=error))

    assert (root["status"], root["error_message"]) == ("error", "out of memory")
    assert (score["kind"], score["attributes"]["inspect.score.value"]) == ("event", {"a": 1})


def test_a_call_answered_from_the_cache_cost_nothing():
    call, _ = rows(sample([event("model", 1, cache="read", **MODEL)]))

    assert (call["cost_usd"], call["attributes"]["inspect.cache"]) == (0.0, "read")


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as out:
        for name, value in members.items():
            out.writestr(name, value if isinstance(value, str) else json.dumps(value, indent=1))
    return path


def test_an_archive_gives_what_the_document_gives(tmp_path):
    text = sample([event("model", 2, **MODEL)], scores={"match": {"value": "C"}})
    path = archive(tmp_path / "a.eval", {"samples/q1_epoch_2.json": text, "header.json": {"version": 2, "eval": EVAL}})

    found = list(inspect_zip.read(path, Place("f")))

    assert found == list(read({"version": 2, "eval": EVAL, "samples": [text]}, Place("f")))


def test_a_killed_evaluation_has_only_its_start(tmp_path):
    members = {"_journal/start.json": {"version": 2, "eval": EVAL}, "samples/a.json": sample([])}

    found = list(inspect_zip.read(archive(tmp_path / "a.eval", members), Place("f")))

    assert [row["kind"] for row in found] == ["event", "span"]


def test_an_archive_that_is_cut_off_gives_the_samples_that_are_whole(tmp_path):
    numbers = [f"{n:03}" for n in range(50)]
    members = {"_journal/start.json": {"version": 2, "eval": EVAL}}
    members |= {f"samples/{n}.json": sample([], uuid=n, id=n, metadata={"x": "abc" * 200}) for n in numbers}
    path = archive(tmp_path / "a.eval", members)
    data = path.read_bytes()
    at = data.index(b"samples/030.json")
    path.write_bytes(data[: at + 100])  # within the member

    found = list(inspect_zip.read(path, Place("f")))

    problems = [item for item in found if isinstance(item, Problem)]
    assert [row["item_id"] for row in found if not isinstance(row, Problem) and row["kind"] == "span"] == numbers[:30]
    assert "cut off or damaged" in problems[0].message
    assert problems[1].position.startswith("samples/030.json")


@pytest.mark.parametrize("name", ["../../../etc/x.json", "samples/../x.json", "C:\\x", "samples/\x1b[31m.json"])
def test_names_within_an_archive_are_only_names(tmp_path, name):
    path = archive(tmp_path / "a.eval", {"header.json": {"version": 2, "eval": EVAL}, name: "{"})
    before = sorted(tmp_path.rglob("*"))

    found = list(inspect_zip.read(path, Place("f")))

    assert sorted(tmp_path.rglob("*")) == before
    assert all("\x1b" not in str(item) for item in found if isinstance(item, Problem))


def test_a_zip_that_is_no_log_says_so(tmp_path):
    (problem,) = inspect_zip.read(archive(tmp_path / "a.zip", {"a.txt": "x"}), Place("f"))

    assert problem.message == "is a zip archive, but no log of Inspect: it has no header.json"
