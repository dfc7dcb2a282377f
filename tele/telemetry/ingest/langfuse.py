"""Langfuse's exports: a trace with its observations, or the observations alone.

`{"trace": {...}, "observations": [...]}` as its page saves it, a trace that holds its observations as its API answers
it, a page of either under `data`, or a plain list; keys in camelCase or, from a blob-storage export, in snake_case.

A trace that is saved holds every observation twice, under `trace` without its metadata and beside it with them: only
the second is read. Latencies are seconds there and start and end are what counts. Scores are metrics. What the
emitter said to Langfuse stands in `metadata.attributes` and becomes attributes again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tele.telemetry.content import json_value
from tele.telemetry.ingest.record import (
    SNIFFED,
    Place,
    Problem,
    Record,
    Span,
    each,
    event_record,
    foreign_id,
    merged,
    shown,
    span_record,
    without_empty,
)
from tele.telemetry.ingest.times import time_ns
from tele.telemetry.usage import Usage, settled

__all__ = ["NAME", "read", "sniff"]

NAME = "langfuse"

_OPERATIONS = {
    "GENERATION": "chat",
    "EMBEDDING": "embeddings",
    "AGENT": "invoke_agent",
    "TOOL": "execute_tool",
    "CHAIN": "invoke_workflow",
    "RETRIEVER": "retrieval",
    "EVALUATOR": "evaluator",
    "GUARDRAIL": "guardrail",
}
_GENERATIONS = frozenset({"chat", "text_completion", "generate_content"})
_TYPES = frozenset({*_OPERATIONS, "SPAN", "EVENT"})
_OWN = frozenset(
    {
        "id",
        "trace_id",
        "parent_observation_id",
        "type",
        "name",
        "start_time",
        "end_time",
        "input",
        "output",
        "model",
        "level",
        "status_message",
        "latency",
        "time_to_first_token",
        "completion_start_time",
        "usage",
        "usage_details",
        "cost_details",
        "total_cost",
        "metadata",
        "project_id",
    }
)
"""Fields of an observation that become columns; the rest stays as `langfuse.FIELD`."""
_CAPITAL = re.compile("(?<=[a-z0-9])([A-Z])")
Said = Mapping[str, Any]


def sniff(document: object) -> bool:
    """Say whether the document is an export of Langfuse."""
    if isinstance(document, Mapping) and isinstance(document.get("trace"), Mapping):
        return "observations" in document or "observations" in document["trace"]
    return any(_is_trace(item) or _is_observation(item) for item in _items(document)[:SNIFFED])


def _items(document: object) -> list[Any]:
    found = document.get("data") if isinstance(document, Mapping) else document
    return found if isinstance(found, list) else [document]


def _is_trace(item: object) -> bool:
    return isinstance(item, Mapping) and "observations" in item and "id" in item and "timestamp" in item


def _is_observation(item: object) -> bool:
    if not isinstance(item, Mapping) or item.get("type") not in _TYPES:
        return False
    return "id" in item and ("startTime" in item or "start_time" in item) and ("traceId" in item or "trace_id" in item)


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of an export; what is malformed becomes a Problem."""
    if isinstance(document, Mapping) and isinstance(document.get("trace"), Mapping):
        trace = _snake(document["trace"])
        found = document if "observations" in document else document["trace"]
        at = place if found is document else place.at("trace")
        yield from _trace(trace, found.get("observations"), at)
    elif isinstance(document, Mapping) and not isinstance(document.get("data"), list):
        yield from each([document], place, "data", _item)
    elif isinstance(document, Mapping | list):
        yield from each(_items(document), place, "data", _item)
    else:
        yield place.problem(f"expected a trace or a list, found {shown(document)}")


def _item(item: Said, place: Place) -> Iterator[Record | Problem]:
    if "observations" in item:
        return _trace(_snake(item), item["observations"], place)
    return _observation(item, place, {})


def _trace(trace: Said, observations: object, place: Place) -> Iterator[Record | Problem]:
    """Give a trace's own row, its observations and its scores."""
    yield from each([trace], place, "trace", _trace_row)
    yield from each(observations, place, "observations", lambda item, here: _observation(item, here, trace))
    yield from each(trace.get("scores"), place, "scores", lambda item, _: _score(_snake(item), trace))


def _trace_row(trace: Said, _place: Place) -> Iterator[Record | Problem]:
    rest = {
        k: v for k, v in trace.items() if k not in {"observations", "scores", "name", "timestamp", "metadata", "id"}
    }
    record = event_record(
        name=trace.get("name") or "trace",
        start_ns=time_ns(trace.get("timestamp"), "timestamp"),
        trace_id=foreign_id(trace.get("id"), 32),
        span_id=None,
        attributes=_prefixed({**rest, "metadata": json_value(trace.get("metadata")), "trace_id": trace.get("id")}),
        otel={"otel.source": "langfuse.trace"},
    )
    yield record | without_empty(_of_trace(trace))


def _observation(item: Said, _place: Place, trace: Said) -> Iterator[Record | Problem]:
    said = _snake(item)
    metadata = json_value(said.get("metadata"))
    emitted = metadata if isinstance(metadata, Mapping) else {}
    attributes = emitted.get("attributes")
    of_trace = said.get("trace_id") or trace.get("id")
    start_ns = time_ns(said.get("start_time"), "startTime")
    rest = {key: value for key, value in said.items() if key not in _OWN}
    rest["metadata"] = {key: value for key, value in emitted.items() if key not in {"attributes", "resourceAttributes"}}
    ours = _prefixed({**rest, "id": said.get("id"), "trace_id": of_trace, "type": said.get("type")})
    ours |= _prefixed({key: said.get(key) for key in ("usage_details", "cost_details", "latency", "level")})
    if not isinstance(metadata, Mapping):
        ours["langfuse.metadata"] = metadata
    if said.get("type") == "EVENT":
        yield _point(said, attributes, ours, of_trace, start_ns)
        return
    resource = emitted.get("resourceAttributes")
    record = span_record(
        Span(
            trace_id=foreign_id(of_trace, 32) or "",
            span_id=foreign_id(said.get("id"), 16) or "",
            parent_id=foreign_id(said.get("parent_observation_id"), 16),
            name=said.get("name"),
            start_ns=start_ns,
            end_ns=time_ns(said.get("end_time"), "endTime"),
            duration_ms=None if said.get("end_time") else _milliseconds(said.get("latency")),
            status="error" if said.get("level") == "ERROR" else "unset",
            message=said.get("status_message"),
            attributes=dict(attributes) if isinstance(attributes, Mapping) else {},
            otel=without_empty(ours),
            resource=dict(resource) if isinstance(resource, Mapping) else {},
        )
    )
    record |= without_empty({**_columns(said, record, start_ns), **_of_trace(trace)})
    yield without_empty(record)


def _point(said: Said, attributes: object, ours: Said, of_trace: object, start_ns: int | None) -> Record:
    return event_record(
        name=said.get("name"),
        start_ns=start_ns,
        trace_id=foreign_id(of_trace, 32),
        span_id=foreign_id(said.get("parent_observation_id"), 16),
        attributes=dict(attributes) if isinstance(attributes, Mapping) else {},
        otel={**ours, **_prefixed({"input": said.get("input"), "output": said.get("output")})},
    )


def _columns(said: Said, record: Record, start_ns: int | None) -> Record:
    """Give what Langfuse itself says: its counts and costs stand over those of the attributes."""
    operation = _OPERATIONS.get(str(said.get("type")))
    if operation == "chat" and record.get("operation") in _GENERATIONS:
        operation = None  # the attributes say it more exactly
    first = time_ns(said.get("completion_start_time"), "completionStartTime")
    ttft = _milliseconds(said.get("time_to_first_token"))
    if first is not None and start_ns is not None:
        ttft = (first - start_ns) / 1e6
    cost = _cost(said)
    return {
        "operation": operation,
        "model": _text(said.get("model")),
        **_tokens(said.get("usage_details") or said.get("usage")),
        "cost_usd": cost,
        "price_ref": None if cost is None else "source",
        "ttft_ms": ttft if ttft is not None and ttft >= 0 else None,
        "input": json_value(said.get("input")),
        "output": json_value(said.get("output")),
    }


def _tokens(usage: object) -> Record:
    """Give token columns from Langfuse's open set of usage names, by what they end to beside its `total`."""
    counts = {str(k).lower(): v for k, v in usage.items() if type(v) is int} if isinstance(usage, Mapping) else {}
    if not counts:
        return {}

    def one(*names: str) -> int | None:
        return next((counts[name] for name in names if name in counts), None)

    def part(*words: str) -> int | None:
        found = [n for name, n in counts.items() if any(word in name for word in words)]
        return sum(found) if found else None

    return settled(
        Usage(
            input=one("input", "input_tokens", "prompt_tokens", "prompttokens"),
            output=one("output", "output_tokens", "completion_tokens", "completiontokens"),
            cache_read=part("cache_read", "cached", "cacheread"),
            cache_write=part("cache_creation", "cache_write", "cachecreation"),
            reasoning=part("reasoning"),
            total=one("total", "total_tokens", "totaltokens"),
        ),
        outside=True,  # Langfuse's own sums take every name apart
    )


def _cost(said: Said) -> float | None:
    """Give the cost; Langfuse writes a total of 0 where it knows no price."""
    details = said.get("cost_details")
    stated = details.get("total") if isinstance(details, Mapping) else None
    if stated is None:
        stated = said.get("total_cost") or said.get("calculated_total_cost") or None
    return float(stated) if isinstance(stated, int | float) and not isinstance(stated, bool) and stated >= 0 else None


def _score(score: Said, trace: Said) -> Iterator[Record | Problem]:
    value = score.get("value")
    number = isinstance(value, int | float) and not isinstance(value, bool) and score.get("data_type") != "CATEGORICAL"
    used = {"name", "timestamp", "trace_id", "observation_id", *({"value"} if number else ())}
    record = {
        "kind": "metric" if number else "event",
        "name": _text(score.get("name")) or "score",
        "value": float(value) if number and value is not None else None,
        "start_ns": time_ns(score.get("timestamp"), "timestamp"),
        "trace_id": foreign_id(score.get("trace_id") or trace.get("id"), 32),
        "span_id": foreign_id(score.get("observation_id"), 16),
        "attributes": merged(_prefixed({k: v for k, v in score.items() if k not in used}), {"otel.source": "score"}),
        **_of_trace(trace),
    }
    yield without_empty(record)


def _of_trace(trace: Said) -> Record:
    tags = trace.get("tags")
    return {
        "conversation_id": _text(trace.get("session_id")),
        "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else None,
    }


def _snake(item: Said) -> dict[str, Any]:
    return {_CAPITAL.sub(r"_\1", str(key)).lower(): value for key, value in item.items()}


def _prefixed(fields: Said | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {f"langfuse.{key}": value for key, value in dict(fields).items() if value not in (None, "", [], {})}


def _milliseconds(seconds: object) -> float | None:
    return float(seconds) * 1e3 if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
