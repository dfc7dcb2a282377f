"""From a request to rows: whose they are, what stands already, what is not written, and no secret among it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tele.store.layout import prepare
from tele.store.reader import open_store
from tele.telemetry.collect.answer import JSON, PROTOBUF, Refused
from tele.telemetry.collect.bounds import Bounds
from tele.telemetry.collect.intake import Intake

from .clients import request, span

KEY = "sk-ant-" + "a1B2c3D4" * 5


@pytest.fixture
def layout(tmp_path):
    return prepare(tmp_path / ".tele")


@pytest.fixture
def intake(layout):
    made = Intake(layout, "process", None, Bounds())
    yield made
    made.close()


def take(intake, document, signal="traces"):
    return intake.take(signal, JSON, bytearray(json.dumps(document).encode()))


def rows(layout, query):
    with open_store(layout.root) as store:
        return store.rows(query)


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


class TestWhose:
    @pytest.mark.parametrize(
        ("told", "resource", "attributes", "experiment"),
        [
            (None, {}, [], "default"),
            (None, {"service.name": "shop"}, [], "shop"),
            (None, {"service.name": "unknown_service"}, [], "default"),
            (None, {"service.name": "unknown_service:python"}, [], "default"),
            ("nightly", {"service.name": "shop"}, [], "nightly"),
            ("nightly", {"service.name": "shop", "tele.experiment": "ab"}, [], "ab"),
            ("nightly", {"tele.experiment": "ab"}, [text("tele.experiment", "inner")], "inner"),
            ("nightly", {"tele.experiment": "x" * 501}, [], "nightly"),
            ("nightly", {}, [{"key": "tele.experiment", "value": {"intValue": "7"}}], "nightly"),
        ],
    )
    def test_the_experiment_is_the_nearest_that_was_named(self, layout, told, resource, attributes, experiment):
        intake = Intake(layout, "process", told, Bounds())
        take(intake, request(span(attributes=attributes), **resource))
        intake.close()
        assert rows(layout, "SELECT experiment FROM spans") == [(experiment,)]

    def test_columns_come_from_the_span_and_else_from_its_resource(self, intake, layout):
        own = [text("tele.condition", "few-shot"), text("tele.item_id", "i7")]
        take(
            intake,
            request(span(attributes=own), **{"tele.condition": "base", "tele.run_id": "r1", "tele.replicate": "3"}),
        )
        assert rows(layout, "SELECT condition, item_id, run_id, replicate FROM spans") == [("few-shot", "i7", "r1", 3)]


class TestSentAgain:
    def test_a_request_sent_again_adds_nothing_in_either_encoding(self, intake, layout):
        message = ExportTraceServiceRequest()
        message.resource_spans.add().scope_spans.add().spans.add(
            trace_id=(1).to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"), name="step",
            start_time_unix_nano=1700000000000000000, end_time_unix_nano=1700000001000000000,
        )  # fmt: skip
        document = {"resourceSpans": [{"scopeSpans": [{"spans": [span(1)]}]}]}
        assert (take(intake, document).taken, take(intake, document).known) == (1, 1)
        again = intake.take("traces", PROTOBUF, bytearray(message.SerializeToString()))
        assert (again.taken, again.known) == (0, 1)
        assert rows(layout, "SELECT count(*) FROM spans") == [(1,)]

    def test_spans_in_another_batch_are_known_and_changed_ones_are_not_lost(self, intake, layout):
        take(intake, request(span(1), span(2)))
        assert take(intake, request(span(2), span(3))).known == 1
        assert take(intake, request(span(2, name="another"))).taken == 1
        assert rows(layout, "SELECT count(*), count(DISTINCT event_id) FROM spans") == [(4, 4)]

    def test_equal_log_records_of_one_request_stay_distinct_and_known(self, intake, layout):
        message = ExportLogsServiceRequest()
        records = message.resource_logs.add().scope_logs.add().log_records
        for _ in range(3):
            records.add(time_unix_nano=5).body.string_value = "tick"
        body = message.SerializeToString()
        found = [intake.take("logs", PROTOBUF, bytearray(body)) for _ in range(2)]
        assert [(o.taken, o.known) for o in found] == [(3, 0), (0, 3)]
        assert rows(layout, "SELECT count(*), count(DISTINCT event_id) FROM events") == [(3, 3)]

    def test_the_next_collector_knows_what_the_last_one_wrote(self, intake, layout):
        take(intake, request(span(1)))
        second = Intake(layout, "process", None, Bounds())
        assert take(second, request(span(1), span(2))).known == 1
        second.close()


class TestWhatCannotBeWritten:
    def test_it_is_the_clients_again_and_is_taken_when_there_is_room(self, intake, layout, monkeypatch):
        take(intake, request(span(1)))

        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            patch.setattr(os, "open", full)
            with pytest.raises(Refused) as refused:
                take(intake, request(span(2), span(3)))
        assert refused.value.status == 503
        assert refused.value.headers == [("retry-after", "10")]
        assert take(intake, request(span(2), span(3))).taken == 2
        intake.close()
        assert rows(layout, "SELECT name, count(*) FROM events GROUP BY ALL") == [("step", 3)]

    def test_a_journal_that_was_deleted_is_noticed_and_a_new_one_begins(self, intake, layout):
        take(intake, request(span(1)))
        for path in layout.journals.iterdir():
            path.unlink()
        assert take(intake, request(span(2))).taken == 1
        intake.close()
        assert rows(layout, "SELECT span_id FROM spans") == [(f"{2:016x}",)]
        assert rows(layout, "SELECT attributes->>'$.count' FROM events WHERE name = 'tele.dropped'") == [("1",)]

    def test_a_request_that_becomes_too_much_is_taken_in_part(self, layout):
        intake = Intake(layout, "process", None, Bounds(written_bytes=50_000))
        spans = [span(n) for n in range(1, 101)]
        outcome = take(intake, request(*spans, note="x" * 5_000))
        intake.close()
        assert outcome.taken + outcome.rejected == 100
        assert 5 < outcome.taken < 20
        assert "smaller batches" in outcome.message

    def test_what_belongs_elsewhere_is_said(self, intake):
        assert "/v1/logs" in take(intake, {"resourceLogs": []}).message


@pytest.mark.parametrize(("signal", "file"), [("traces", "trace"), ("logs", "logs"), ("metrics", "metrics")])
def test_the_examples_of_the_protocol_are_taken_whole(intake, fixtures, signal, file):
    body = bytearray((fixtures / "otlp_proto" / f"{file}.json").read_bytes())
    outcome = intake.take(signal, JSON, body)
    assert (outcome.taken > 0, outcome.rejected, outcome.message) == (True, 0, "")


def test_no_secret_reaches_the_disk_in_any_field(intake, layout):
    said = [text("note", KEY), text("api_key", "hunter2hunter2"), text("tele.run_id", KEY), text(KEY, "v")]
    took = span(
        name=KEY,
        traceState=f"a={KEY}",
        attributes=[*said, text("tele.experiment", f"exp {KEY}")],
        events=[{"name": KEY, "timeUnixNano": "5", "attributes": said}],
        links=[{"traceId": "01" * 16, "spanId": "02" * 8, "attributes": said}],
        status={"code": 2, "message": f"refused {KEY}"},
    )
    document = request(took, **{"service.name": KEY, "tele.run_id": KEY})
    document["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": KEY, "attributes": said}
    assert take(intake, document).taken == 2
    logs = {"timeUnixNano": "5", "body": {"stringValue": KEY}, "eventName": KEY, "attributes": said}
    take(intake, {"resourceLogs": [{"scopeLogs": [{"logRecords": [logs]}]}]}, "logs")
    exemplar = {"asInt": "1", "filteredAttributes": [*said, {"key": "m", "value": {"kvlistValue": {"values": said}}}]}
    point = {"asInt": "1", "timeUnixNano": "5", "attributes": said, "exemplars": [exemplar]}
    metric = {"name": KEY, "unit": KEY, "description": KEY, "metadata": said, "gauge": {"dataPoints": [point]}}
    take(intake, {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}, "metrics")
    intake.close()
    written = b"".join(path.read_bytes() for path in Path(layout.root).rglob("*") if path.is_file())
    assert written.count(b"[REDACTED:") > 10
    assert KEY.encode() not in written
    assert b"hunter2" not in written


def test_what_has_no_time_is_never_taken_for_what_was_sent_before(intake, layout):
    """Two users log in: equal texts without a time, in two requests that were both acknowledged."""
    log = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "a user logged in"}}]}]}]}
    point = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "n", "gauge": {"dataPoints": [{"asInt": 1}]}}]}]}]
    }
    took = {"resourceSpans": [{"scopeSpans": [{"spans": [span(1, events=[{"name": "said"}])]}]}]}
    for _ in range(2):
        assert take(intake, log, "logs").taken == 1
        assert take(intake, point, "metrics").taken == 1
        take(intake, took)
    assert rows(layout, "SELECT kind, name, count(*) FROM events GROUP BY ALL ORDER BY ALL") == [
        ("event", "log", 2),
        ("event", "said", 1),
        ("metric", "n", 2),
        ("span", "step", 1),
    ]


def test_what_stood_in_a_journal_that_was_removed_can_be_sent_again(intake, layout):
    took = request(span(1))
    assert take(intake, took).taken == 1
    for path in layout.journals.glob("*.jsonl"):
        path.unlink()
    assert take(intake, took).taken == 1
    assert rows(layout, "SELECT count(*) FROM spans") == [(1,)]


@pytest.mark.parametrize("where", ["span", "resource", "model"])
def test_long_names_that_a_client_makes_up_are_not_kept_in_memory(intake, where):
    import tracemalloc

    def send(number):
        name = f"{number}-" + "k" * 200_000
        said = [text(name, "v")] if where == "span" else []
        said += (
            [text("gen_ai.request.model", name), {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 1}}]
            if where == "model"
            else []
        )
        take(intake, request(span(number, attributes=said), **({name: "v"} if where == "resource" else {})))

    send(1)
    tracemalloc.start()
    try:
        for number in range(2, 27):
            send(number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000  # 25 names are 5 MB


def test_a_full_journal_is_finished_and_sealed_while_the_next_is_written(layout, monkeypatch):
    from tele.telemetry.collect import intake as module

    monkeypatch.setattr(module, "SEAL_EVENTS", 3)
    intake = Intake(layout, "process", None, Bounds())
    take(intake, request(*(span(n) for n in range(1, 5))))
    assert intake.sealer.wait()
    take(intake, request(span(9)))
    intake.close()
    assert len(list(layout.segments.rglob("*.parquet"))) == 1
    assert rows(layout, "SELECT count(*) FROM spans") == [(5,)]
