"""Inspect's evaluation logs, one JSON document; `inspect_zip` reads the `.eval` archive into the same rows.

A sample is a root span and a trace of its own (`item_id` its id, `replicate` its epoch). Its events `model`, `tool`,
`subtask`, and what begins and ends, become spans; all others point events; scores are metrics. Tokens stand on the
calls of models alone: samples and the log repeat them (`model_usage`), and those sums stay attributes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from tele.telemetry.ingest.inspect_events import Sample, events
from tele.telemetry.ingest.record import (
    Place,
    Problem,
    Record,
    Span,
    each,
    guarded,
    merged,
    shown,
    span_record,
    without_empty,
)
from tele.telemetry.ingest.times import time_ns

__all__ = ["NAME", "log_rows", "read", "sample_rows", "sniff"]

NAME = "inspect"

_GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Inspect's grades as numbers: correct, incorrect, partial, no answer."""
_SAMPLE_OWN = frozenset({"events", "attachments", "events_data", "scores", "messages", "input", "output", "store"})
Said = Mapping[str, Any]


def sniff(document: object) -> bool:
    """Say whether the document is a log of Inspect."""
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("eval"), Mapping)
        and {"task", "model"} <= document["eval"].keys()
    )


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of a log; what is malformed becomes a Problem."""
    if not isinstance(document, Mapping) or not isinstance(document.get("eval"), Mapping):
        yield place.problem(f"expected an evaluation log, found {shown(document)}")
        return
    yield from guarded(document, place, log_rows)
    evaluation = document["eval"]
    yield from each(document.get("samples"), place, "samples", lambda item, at: sample_rows(item, at, evaluation))


def log_rows(log: Said, place: Place) -> Iterator[Record | Problem]:
    """Give the rows of the log itself: the evaluation as an event, and its results as metrics."""
    evaluation = log["eval"]
    found = log.get("stats")
    stats: Said = found if isinstance(found, Mapping) else {}
    began = time_ns(stats.get("started_at") or evaluation.get("created"), "started_at")
    about = {key: value for key, value in log.items() if key not in {"samples", "reductions", "results", "version"}}
    head: Record = {
        "kind": "event",
        "name": "inspect.eval",
        "start_ns": began,
        "run_id": _run(evaluation),
        "attributes": {f"inspect.{key}": value for key, value in about.items() if value is not None},
    }
    yield without_empty(head)
    results = log.get("results")
    ended = time_ns(stats.get("completed_at"), "completed_at")
    if isinstance(results, Mapping):
        yield from each(
            results.get("scores"), place.at("results"), "scores", lambda item, _: _results(item, evaluation, ended)
        )


def _results(score: Said, evaluation: Said, ended: int | None) -> Iterator[Record]:
    """Give the aggregates of one scorer, named `SCORER/METRIC` so that they do not mix with the samples' scores."""
    metrics = score.get("metrics")
    for name, metric in metrics.items() if isinstance(metrics, Mapping) else ():
        value = metric.get("value") if isinstance(metric, Mapping) else None
        if isinstance(value, int | float):
            yield without_empty(
                {
                    "kind": "metric",
                    "name": f"{score.get('name')}/{name}",
                    "value": float(value),
                    "start_ns": ended,
                    "run_id": _run(evaluation),
                    "attributes": {"inspect.scorer": score.get("scorer"), "inspect.task": evaluation.get("task")},
                }
            )


def sample_rows(sample: Said, place: Place, evaluation: Said) -> Iterator[Record | Problem]:
    """Give the rows of one sample: the sample as a root span, its events, its scores."""
    own = sample.get("uuid") or f"{_run(evaluation)}/{sample.get('id')}/{sample.get('epoch')}"
    trace_id = hashlib.sha256(f"inspect/{own}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    epoch = sample.get("epoch")
    identity = without_empty(
        {
            "run_id": _run(evaluation),
            "item_id": None if sample.get("id") is None else str(sample["id"]),
            "replicate": epoch if type(epoch) is int else None,
        }
    )
    around = Sample(trace_id, trace_id[:16], _texts(sample), _messages(sample))
    first: int | None = None
    last: int | None = None
    found = sample.get("events")
    if found is None and isinstance(sample.get("transcript"), Mapping):
        found = sample["transcript"].get("events")  # logs of 2024
    for item in events(found, place, around):
        if not isinstance(item, Problem):
            item.update(identity)
            times = [time for time in (item.get("start_ns"), item.get("end_ns")) if time is not None]
            first = min([*times, *([] if first is None else [first])], default=None)
            last = max([*times, *([] if last is None else [last])], default=None)
        yield item
    yield _root(sample, evaluation, around, (first, last)) | identity
    scores = sample.get("scores") or ({"score": sample["score"]} if sample.get("score") else {})
    for name, score in scores.items() if isinstance(scores, Mapping) else ():
        yield without_empty({**_score(str(name), score, around, last), **identity})


def _root(sample: Said, evaluation: Said, around: Sample, seen: tuple[int | None, int | None]) -> Record:
    """Give the sample's own span: its times are those it states, else from its first event to its last."""
    start = time_ns(sample.get("started_at"), "started_at") or seen[0]
    end = time_ns(sample.get("completed_at"), "completed_at") or seen[1]
    total = sample.get("total_time")
    error = sample.get("error")
    output = sample.get("output")
    span = Span(
        trace_id=around.trace_id,
        span_id=around.root_id,
        parent_id=None,
        name=str(evaluation.get("task") or "sample"),
        start_ns=start,
        end_ns=end,
        duration_ms=float(total) * 1e3 if end is None and isinstance(total, int | float) else None,
        status="error" if error else "unset",
        message=error.get("message") if isinstance(error, Mapping) else None,
        otel={f"inspect.{key}": value for key, value in sample.items() if key not in _SAMPLE_OWN},
    )
    span.otel |= {"inspect.task": evaluation.get("task"), "inspect.model": evaluation.get("model")}
    said = {
        "operation": "invoke_workflow",
        "error_type": "SampleError" if error else None,
        "input": around.text(sample.get("input")),
        "output": around.text(output.get("choices")) if isinstance(output, Mapping) else None,
    }
    return without_empty({**span_record(span), **without_empty(said)})


def _score(name: str, score: object, around: Sample, at: int | None) -> Record:
    said = score if isinstance(score, Mapping) else {"value": score}
    value = said.get("value")
    number = _GRADES.get(value) if isinstance(value, str) else value
    if isinstance(number, bool):
        number = float(number)
    rest = {key: around.text(item) for key, item in said.items() if key != "metadata"}
    return {
        "kind": "metric" if isinstance(number, int | float) else "event",
        "name": name,
        "value": float(number) if isinstance(number, int | float) else None,
        "start_ns": at,
        "trace_id": around.trace_id,
        "span_id": around.root_id,
        "attributes": merged({}, {f"inspect.score.{key}": item for key, item in rest.items()}),
    }


def _run(evaluation: Said) -> str | None:
    found = evaluation.get("eval_id") or evaluation.get("run_id") or evaluation.get("task_id")
    return str(found) if found else None


def _texts(sample: Said) -> Mapping[str, Any]:
    attachments = sample.get("attachments")
    return attachments if isinstance(attachments, Mapping) else {}


def _messages(sample: Said) -> list[Any]:
    data = sample.get("events_data")
    messages = data.get("messages") if isinstance(data, Mapping) else None
    return messages if isinstance(messages, list) else []
