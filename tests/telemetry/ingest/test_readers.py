"""Laws that hold for every reader, whatever stands in a document."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.store.columns import BY_NAME
from tele.telemetry.ingest import READERS, Place, Problem, detect, with_ids

IDS = {"traceId": "1", "spanId": "2"}
ANY = {"stringValue": "v"}
SAMPLES = {
    "otlp": {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "a", "value": ANY}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "n", "attributes": [{"key": "a", "value": ANY}]},
                        "spans": [
                            {
                                **IDS,
                                "kind": 1,
                                "startTimeUnixNano": "1",
                                "endTimeUnixNano": "2",
                                "status": {"code": 2, "message": "m"},
                                "attributes": [{"key": "a", "value": {"kvlistValue": {"values": []}}}],
                                "events": [{"name": "exception", "timeUnixNano": "1", "attributes": []}],
                                "links": [IDS],
                            }
                        ],
                    }
                ],
            }
        ],
        "resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1", "body": ANY, "eventName": "e"}]}]}],
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {"metrics": [{"name": "m", "sum": {"dataPoints": [{"asInt": "1", "timeUnixNano": "1"}]}}]}
                ]
            }
        ],
    },
    "console": [
        {
            "name": "n",
            "kind": "SpanKind.CLIENT",
            "context": {"trace_id": "0x1", "span_id": "0x2", "trace_state": "[]"},
            "parent_id": "0x3",
            "start_time": "2025-01-01T00:00:00Z",
            "end_time": "2025-01-01T00:00:01Z",
            "status": {"status_code": "ERROR", "description": "d"},
            "attributes": {"a": 1},
            "events": [{"name": "e", "timestamp": "2025-01-01T00:00:00Z", "attributes": {"k": 1}}],
            "links": [{"context": {"trace_id": "0x1", "span_id": "0x2"}, "attributes": {}}],
            "resource": {"attributes": {"service.name": "s"}, "schema_url": ""},
        }
    ],
    "jaeger": {
        "data": [
            {
                "traceID": "1",
                "processes": {"p": {"serviceName": "s", "tags": []}},
                "spans": [
                    {
                        "traceID": "1",
                        "spanID": "2",
                        "operationName": "o",
                        "references": [{"refType": "CHILD_OF", "traceID": "1", "spanID": "3"}],
                        "startTime": 1,
                        "duration": 2,
                        "tags": [{"key": "a", "type": "int64", "value": 1}],
                        "logs": [{"timestamp": 1, "fields": [{"key": "event", "type": "string", "value": "e"}]}],
                        "processID": "p",
                    }
                ],
            }
        ]
    },
    "zipkin": [
        {
            "traceId": "1",
            "id": "2",
            "parentId": "3",
            "kind": "CLIENT",
            "name": "n",
            "timestamp": 1,
            "duration": 1,
            "localEndpoint": {"serviceName": "s"},
            "remoteEndpoint": {},
            "tags": {"error": "e"},
            "annotations": [{"timestamp": 1, "value": "v"}],
        }
    ],
    "tempo": {
        "batches": [
            {
                "resource": {"attributes": [{"key": "a", "value": ANY}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "AAAAAAAAAAAAAAAAAAAAAQ==",
                                "spanId": "AAAAAAAAAAI=",
                                "kind": "SPAN_KIND_SERVER",
                                "status": {"code": "STATUS_CODE_ERROR"},
                            }
                        ]
                    }
                ],
            }
        ]
    },
    "langfuse": {
        "trace": {
            "id": "t",
            "name": "n",
            "timestamp": "2025-01-01T00:00:00Z",
            "tags": ["a"],
            "sessionId": "s",
            "scores": [{"name": "n", "value": 1, "dataType": "NUMERIC", "timestamp": "2025-01-01T00:00:00Z"}],
        },
        "observations": [
            {
                "id": "o",
                "traceId": "t",
                "type": "GENERATION",
                "startTime": "2025-01-01T00:00:00Z",
                "endTime": "2025-01-01T00:00:01Z",
                "completionStartTime": "2025-01-01T00:00:00.5Z",
                "usageDetails": {"input": 1, "output": 2, "total": 3},
                "costDetails": {"total": 0.5},
                "metadata": '{"attributes": {"a": 1}, "resourceAttributes": {}}',
                "input": "[]",
                "level": "ERROR",
            },
            {"id": "e", "traceId": "t", "type": "EVENT", "startTime": "2025-01-01T00:00:00Z"},
        ],
    },
    "inspect": {
        "version": 2,
        "status": "success",
        "eval": {"task": "t", "model": "m/n", "eval_id": "e", "created": "2025-01-01T00:00:00Z"},
        "results": {"scores": [{"name": "s", "metrics": {"accuracy": {"value": 1.0}}}]},
        "stats": {"started_at": "2025-01-01T00:00:00Z", "completed_at": "2025-01-01T00:00:01Z"},
        "samples": [
            {
                "id": 1,
                "epoch": 1,
                "scores": {"s": {"value": "C", "answer": "a"}},
                "attachments": {"h": "text"},
                "total_time": 1.5,
                "events": [
                    {"event": "span_begin", "id": "a", "timestamp": "2025-01-01T00:00:00Z", "name": "n"},
                    {"event": "step", "action": "begin", "timestamp": "2025-01-01T00:00:00Z", "name": "n"},
                    {
                        "event": "model",
                        "model": "m/n",
                        "timestamp": "2025-01-01T00:00:00Z",
                        "span_id": "a",
                        "input": [{"content": "attachment://h"}],
                        "input_refs": [[0, 1]],
                        "output": {"model": "n", "time": 0.5, "usage": {"input_tokens": 1, "total_tokens": 2}},
                    },
                    {"event": "tool", "id": "c", "function": "f", "arguments": {}, "error": {"type": "t"}},
                    {"event": "subtask", "name": "n", "events": [{"event": "info", "data": 1}]},
                    {"event": "step", "action": "end", "timestamp": "2025-01-01T00:00:00Z", "name": "n"},
                    {"event": "span_end", "id": "a", "timestamp": "2025-01-01T00:00:01Z"},
                ],
            }
        ],
    },
    "chrome": {
        "baseTimeNanoseconds": 1_700_000_000_000_000_000,
        "traceEvents": [
            {"ph": "X", "name": "n", "ts": 1.5, "dur": 2, "pid": 1, "tid": "t", "cat": "c", "args": {"a": 1}},
            {"ph": "B", "name": "n", "ts": 1, "pid": 1, "tid": 2},
            {"ph": "E", "ts": 2, "pid": 1, "tid": 2},
            {"ph": "b", "name": "n", "ts": 1, "id": "0x1", "cat": "c"},
            {"ph": "i", "name": "n", "ts": 1, "s": "g"},
            {"ph": "C", "name": "n", "ts": 1, "args": {"a": 1}},
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "n"}},
        ],
    },
    "scryptorum": {
        "timestamp": "2024-01-01T12:00:01",
        "event_type": "llm_call",
        "run_id": "r",
        "model": "gpt-4",
        "input": "a",
        "output": "b",
        "duration_ms": 5,
        "error": "e",
    },
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**30) | st.just("1e400"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def places(node, path=()):
    """Every place within a JSON document."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in items:
        yield from places(inner, (*path, step))


def replaced(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return document


def test_each_reader_has_a_sample_and_recognises_its_own_alone():
    by_name = {name: [r.NAME for r in READERS if r.sniff(sample)] for name, sample in SAMPLES.items()}

    assert by_name == {reader.NAME: [reader.NAME] for reader in READERS}
    assert [detect(SAMPLES[reader.NAME]) for reader in READERS] == list(READERS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.NAME)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_junk_anywhere_becomes_records_or_problems_and_never_raises(reader, data):
    sample = SAMPLES[reader.NAME]
    path = data.draw(st.sampled_from(list(places(sample))))
    document = replaced(sample, path, data.draw(JUNK))

    reader.sniff(document)
    found = list(reader.read(document, Place("f")))

    records = [item for item in found if not isinstance(item, Problem)]
    for record in with_ids(records, "e"):
        assert record.keys() <= BY_NAME.keys()
        assert record["kind"] in {"span", "event", "metric"}
        json.dumps(record)


@pytest.mark.parametrize("name", ["console", "zipkin"])
@given(junk=JUNK.filter(lambda junk: not isinstance(junk, list)), at=st.integers(0, 3))
def test_a_malformed_record_never_stops_the_rest(name, junk, at):
    reader = next(r for r in READERS if name == r.NAME)
    good = SAMPLES[name] * 3
    alone = list(reader.read(good, Place("f")))

    document = [*good[:at], junk, *good[at:]]
    found = list(reader.read(document, Place("f")))

    assert reader.sniff(document)
    assert [item for item in found if not isinstance(item, Problem)] == alone
    assert len([item for item in found if isinstance(item, Problem)]) == 1
