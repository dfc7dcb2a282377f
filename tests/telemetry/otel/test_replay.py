"""Replay: a stored experiment at an OTLP endpoint, whole, corrected, without secrets, by the protocol's rules."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

import tele
from tele.errors import BadInput, NotSent, UnknownExperiment, UnknownTarget

pytest.importorskip("opentelemetry.proto")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tele.telemetry.ingest import Place, otlp, protobuf
from tele.telemetry.otel import replaying, sending
from tele.telemetry.otel import stored as stored_rows
from tele.telemetry.otel.sending import Endpoint

SECRET = "sk-ant-" + "a1B2" * 10


class Collector:
    """Keeps what it is sent; answers what the test says, then 200."""

    def __init__(self):
        self.requests, self.answers = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                answer = outer.answers.pop(0) if outer.answers else (200, {}, b"")
                status, headers, said = answer(body) if callable(answer) else answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def records(self, signal):
        """What OTLP's own message types and our reader find in what came."""
        found = []
        for path, headers, body in self.requests:
            if path == f"/v1/{signal}":
                plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
                if headers["Content-Type"] == "application/json":
                    found += otlp.read(orjson.loads(plain), Place("f"))
                else:
                    found += protobuf.records(plain, signal, Place("f"))
        return found


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def stored(tele_store):
    with tele.experiment("e", condition="c") as run:
        with tele.span("chat m", model="m", item_id="i", input=["x" * 50_000], attributes={"app.n": 1}) as span:
            span.usage(input_tokens=5, output_tokens=2)
            tele.event("said", text="hello")
            tele.metric("loss", 0.5, step=3, unit="1")
        with contextlib.suppress(ValueError), tele.span("bad"):
            raise ValueError("no")
    tele.score(span, "cost_usd", 0.25)
    tele_store.run, tele_store.span = run, span
    return tele_store


def replay(store, collector, **options):
    return tele.otel.replay("e", collector.url, store=store.path, **options)


@pytest.mark.parametrize(("protocol", "compression"), [("http/protobuf", "gzip"), ("http/json", "none")])
def test_everything_arrives_with_corrections_applied(stored, collector, protocol, compression):
    done = replay(stored, collector, protocol=protocol, compression=compression)

    chat, bad = collector.records("traces")
    assert (chat["span_id"], chat["trace_id"]) == (stored.span.span_id, stored.span.trace_id)
    assert {name: chat[name] for name in ("model", "input_tokens", "item_id", "condition", "run_id", "cost_usd")} == {
        "model": "m",
        "input_tokens": 5,
        "item_id": "i",
        "condition": "c",
        "run_id": stored.run.run_id,
        "cost_usd": 0.25,
    }
    assert chat["input"] == ["x" * 50_000]
    assert {key: chat["attributes"][key] for key in ("llm.model_name", "input.mime_type")} == {
        "llm.model_name": "m",  # what Phoenix, and others that speak OpenInference, look for
        "input.mime_type": "application/json",
    }
    assert (bad["status"], bad["error_type"], bad["error_message"]) == ("error", "ValueError", "no")
    names = [record["name"] for record in collector.records("logs")]
    assert "said" in names
    assert "tele.experiment.started" in names
    assert "tele.amended" not in names
    (loss,) = collector.records("metrics")
    assert (loss["name"], loss["value"], loss["unit"], loss["step"]) == ("loss", 0.5, "1", 3)
    assert (done.spans, done.log_records, done.data_points, done.rejected) == (2, len(names), 1, 0)
    assert {headers["Content-Type"] for _, headers, _ in collector.requests} == {
        "application/x-protobuf" if protocol == "http/protobuf" else "application/json"
    }


def test_what_came_as_otlp_leaves_with_its_events_resource_and_scope(collector, tmp_path, tele_store):
    from tele.store.layout import prepare
    from tele.telemetry.ingest.into import ingest_into

    event = {"timeUnixNano": "6", "name": "ev", "attributes": [{"key": "k", "value": {"bytesValue": "AA=="}}]}
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "s", "kind": 3, "events": [event, event]}
    span |= {"startTimeUnixNano": "5", "endTimeUnixNano": "9", "status": {"code": 1}}
    log = {"timeUnixNano": "7", "body": {"stringValue": "hello"}, "severityNumber": 9}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "svc"}}]}
    came = {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "lib"}, "spans": [span]}]}],
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": [log]}]}],
    }
    path = tmp_path / "otlp.json"
    path.write_bytes(orjson.dumps(came))
    ingest_into(prepare(tele_store.path), [path], experiment="e")

    done = replay(tele_store, collector, protocol="http/json", compression="none")

    (spans,), (logs,) = ([b for p, _, b in collector.requests if p == f"/v1/{signal}"] for signal in ("traces", "logs"))
    named = [{"key": "tele.experiment", "value": {"stringValue": "e"}}]
    span["attributes"] = log["attributes"] = named
    assert orjson.loads(spans) == {"resourceSpans": came["resourceSpans"]}
    assert orjson.loads(logs) == {"resourceLogs": came["resourceLogs"]}
    assert (done.spans, done.span_events, done.log_records) == (1, 2, 1)


def test_a_secret_of_a_rule_that_came_later_does_not_leave(collector, tele_store, monkeypatch):
    from tele.telemetry import encode

    monkeypatch.setattr(encode, "clean", lambda _: True)  # as if it had been written before the rule was known
    monkeypatch.setattr(encode, "redact", lambda value: value)
    with tele.experiment("e"), tele.span(f"s {SECRET}", input=SECRET, attributes={"a": [SECRET], "note": SECRET}):
        tele.event("ev", text=SECRET)
        tele.metric("m", 1.0, note=SECRET)
    monkeypatch.undo()
    assert SECRET in tele_store.rows("SELECT input FROM spans")[0][0]

    replay(tele_store, collector, compression="none")

    assert len(collector.requests) == 3
    assert not any(SECRET.encode() in body for _, _, body in collector.requests)


def test_spans_that_have_not_ended_are_left_out_and_counted(collector, tele_store):
    from tele.telemetry.ticker import ticker

    with tele.experiment("e"), tele.span("open"):
        with tele.span("ended"):
            pass
        ticker.tick(0)
        done = replay(tele_store, collector)
    assert [record["name"] for record in collector.records("traces")] == ["ended"]
    assert (done.spans, done.open) == (1, 1)


def test_one_run_can_be_sent_alone(stored, collector):
    with tele.experiment("e") as other, tele.span("other"):
        pass
    replay(stored, collector, run=other.run_id)
    assert [record["name"] for record in collector.records("traces")] == ["other"]


def test_many_spans_go_in_batches(collector, tele_store, monkeypatch):
    monkeypatch.setattr(replaying, "BATCH", 7)
    with tele.experiment("e"):
        for number in range(20):
            with tele.span(f"s{number}"):
                pass
    told = []
    done = replay(tele_store, collector, on_progress=told.append)
    assert sorted(r["name"] for r in collector.records("traces")) == sorted(f"s{n}" for n in range(20))
    assert told[:3] == [7, 14, 20]
    assert done.requests == len(collector.requests)


# ── the protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_that_are_too_long_to_sort_together_go_in_the_same_order(collector, tele_store, monkeypatch):
    with tele.experiment("e"):
        for number in range(30):
            with tele.span("step", item_id=str(number), note="long " * 100):
                tele.event("said", text=f"{number} " * 200)
            tele.metric("loss", number / 30, step=number)
    replay(tele_store, collector)
    whole = [collector.records(signal) for signal in ("traces", "logs", "metrics")]
    collector.requests.clear()
    parted = []
    monkeypatch.setattr(stored_rows, "_PART_BYTES", 2000)
    monkeypatch.setattr(stored_rows, "_SHORT", 10)
    query = stored_rows._query
    monkeypatch.setattr(stored_rows, "_query", lambda *asked: parted.append(asked[2]) or query(*asked))
    replay(tele_store, collector)
    assert [collector.records(signal) for signal in ("traces", "logs", "metrics")] == whole
    assert [record["item_id"] for record in whole[0]] == [str(number) for number in range(30)]
    assert len(parted) > 10


@pytest.fixture
def slept(monkeypatch):
    """Pauses that were asked for; none is taken."""
    pauses = []
    made = Endpoint.__init__
    monkeypatch.setattr(Endpoint, "__init__", lambda self, *a, **k: made(self, *a, **k, sleep=pauses.append))
    return pauses


def test_what_may_be_tried_again_is(stored, collector, slept):
    collector.answers = [(429, {"Retry-After": "7"}, b""), (502, {}, b""), (503, {}, b""), (504, {}, b"")]
    assert replay(stored, collector).rejected == 0
    assert len(collector.records("traces")) == 5 * 2  # the same two each time
    assert slept[0] == 7
    assert all(0.79 * d < pause < 1.21 * d for pause, d in zip(slept[1:], (2, 4, 8), strict=True))


@pytest.mark.parametrize("status", [200, 401, 503])
def test_what_the_endpoint_says_is_told_without_the_credentials_that_it_repeats(stored, collector, status):
    token = "tok-0123456789-abcdef"  # of no known form
    said = f"not with {token}, nor with {SECRET}"
    body = orjson.dumps({"partialSuccess": {"rejectedSpans": "1", "errorMessage": said}, "message": said})
    collector.answers[:] = [(status, {"Content-Type": "application/json"}, body)] * 3
    try:
        done = replay(stored, collector, headers={"authorization": f"Bearer {token}"}, patience=0)
        told = " ".join(done.messages)
    except NotSent as error:
        told = str(error)
    assert "not with [REDACTED:key:21]" in told
    assert token not in told
    assert SECRET not in told


@pytest.mark.parametrize("url", ["http://me:hunter2-pw@127.0.0.1:9", "http://127.0.0.1:9/?api_key=hunter2-pw"])
def test_an_address_with_a_credential_is_refused_and_not_told(stored, url):
    with pytest.raises(BadInput) as error:
        tele.otel.replay("e", url, store=stored.path, patience=0)
    assert "hunter2" not in str(error.value)


def test_a_redirect_is_a_refusal_and_takes_no_credentials_along(stored, collector):
    collector.answers = [(302, {"Location": f"{collector.url}/elsewhere"}, b"")]
    with pytest.raises(NotSent, match="answers 302"):
        replay(stored, collector, headers={"authorization": "Bearer x"})
    assert len(collector.requests) == 1


def test_a_date_to_come_back_at_is_kept(stored, collector, slept):
    collector.answers = [(503, {"Retry-After": formatdate(time.time() + 20, usegmt=True)}, b"")]
    replay(stored, collector)
    assert 17 < slept[0] <= 20


def test_an_endpoint_that_stays_busy_is_given_up_in_one_sentence(stored, collector, slept):
    collector.answers = [(503, {"Retry-After": "3600"}, b"")]
    with pytest.raises(NotSent, match=r"answers 503, tried for 60 s\.$"):
        replay(stored, collector)
    assert len(collector.requests) == 1


def test_a_refusal_is_final_and_says_what_the_endpoint_said(stored, collector):
    for number, status in enumerate((400, 401, 404, 500), 1):
        collector.answers = [(status, {"Content-Type": "application/json"}, b'{"code":3,"message":"not\\nlike this"}')]
        with pytest.raises(NotSent, match=f"answers {status}: not like this"):
            replay(stored, collector)
        assert len(collector.requests) == number


@pytest.mark.parametrize("status", [404, 405, 501])
def test_an_endpoint_for_traces_alone_gets_them_and_the_rest_is_counted(stored, collector, status):
    whole = replay(stored, collector)
    before = len(collector.requests)
    collector.answers = [(200, {}, b""), (status, {}, b""), (status, {}, b"")]
    done = replay(stored, collector)
    assert len(collector.requests) == before + 3
    assert (done.spans, done.log_records, done.data_points, done.requests) == (2, 0, 0, 1)
    assert done.rejected == whole.log_records + whole.data_points
    assert done.messages == (
        f"no log records are taken (it answers {status})",
        f"no data points are taken (it answers {status})",
    )


def test_a_request_that_is_too_large_is_split(stored, collector):
    collector.answers = [(413, {}, b"")]
    assert replay(stored, collector).spans == 2
    assert [
        len(list(protobuf.records(gzip.decompress(body), "traces", Place("f"))))
        for _, _, body in collector.requests[:3]
    ] == [
        2,
        1,
        1,
    ]


def test_one_item_that_is_too_large_is_one_sentence(stored, collector):
    collector.answers = [(413, {}, b"")] * 3
    with pytest.raises(NotSent, match=r"one item of [\d,]+ bytes is too large"):
        replay(stored, collector)


def test_what_the_endpoint_rejects_is_counted_with_its_reason(stored, collector):
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans, partial.partial_success.error_message = 1, "too old"
    answer = {"Content-Type": "application/x-protobuf"}
    collector.answers = [(200, answer, partial.SerializeToString())]
    done = replay(stored, collector)
    assert (done.rejected, done.messages) == (1, ("too old",))


def test_the_environment_says_what_the_call_does_not(stored, collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url + "/base/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", collector.url + "/mine")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x,a = b")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    tele.otel.replay("e", store=stored.path, headers={"a": "c"})
    assert [path for path, _, _ in collector.requests] == ["/base/v1/traces", "/mine", "/base/v1/metrics"]
    headers = {name.lower(): value for name, value in collector.requests[0][1].items()}
    assert (headers["authorization"], headers["a"], headers["content-type"]) == ("Bearer x", "c", "application/json")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"protocol": "grpc"}, "http/protobuf or http/json"),
        ({"compression": "zstd"}, "gzip or none"),
        ({"timeout": 0}, "timeout"),
        ({"url": "ftp://x"}, "OTLP endpoint"),
        ({"url": "localhost:4318"}, "OTLP endpoint"),
        ({"headers": {"a": f"x\r\nevil: {SECRET}"}}, "cannot be sent"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_without_secrets(options, why):
    with pytest.raises(BadInput, match=why) as error:
        sending.endpoint(options.pop("url", "http://localhost"), **options)
    assert SECRET not in str(error.value)


def test_without_a_store_it_is_the_one_that_this_process_records_into(stored, collector):
    assert tele.otel.replay("e", collector.url).spans == replay(stored, collector).spans == 2


def test_what_is_not_there_is_said(stored, collector):
    with pytest.raises(UnknownExperiment):
        tele.otel.replay("f", collector.url, store=stored.path)
    with pytest.raises(UnknownTarget):
        replay(stored, collector, run="r0")
    assert collector.requests == []


# ── the command, and the real things ─────────────────────────────────────────────────────────────────────────────────


def run(*arguments, **environment):
    command = [sys.executable, "-m", "tele", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **environment})


def test_the_command_sends_and_says_what(stored, collector):
    done = run("replay", "e", "--endpoint", collector.url, "--store", stored.path, "--format", "json")
    assert (done.returncode, orjson.loads(done.stdout)["spans"]) == (0, 2)
    assert len(collector.records("traces")) == 2


def test_the_command_says_no_in_its_exit_code_when_something_was_not_taken(stored, collector):
    said = b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"full"}}'
    collector.answers = [(200, {"Content-Type": "application/json"}, said)]
    done = run("replay", "e", "--endpoint", collector.url, "--store", stored.path)
    assert (done.returncode, done.stderr) == (1, "tele: the endpoint did not take 2 items. It says: full\n")


def test_an_endpoint_that_does_not_answer_is_one_sentence(stored):
    done = run("replay", "e", "--endpoint", "http://127.0.0.1:1", "--patience", "0", "--store", stored.path)
    assert done.returncode == 2
    assert done.stderr.startswith("tele: Nothing more was sent to http://127.0.0.1:1/v1/traces: there is no connection")
    assert done.stderr.count("\n") == 1


def test_a_replay_into_another_store_by_our_own_collector_gives_the_same_figures(stored, tmp_path):
    pytest.importorskip("h11")
    ready, other = tmp_path / "ready", tmp_path / "other"
    command = [
        sys.executable,
        "-m",
        "tele",
        "collect",
        "--port",
        "0",
        "--ready-file",
        str(ready),
        "--store",
        str(other),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while not ready.exists() and time.monotonic() < until:
                time.sleep(0.02)
            done = tele.otel.replay("e", ready.read_text(), store=stored.path)
        finally:
            process.terminate()
    assert (done.spans, done.rejected) == (2, 0)
    figures = """SELECT name, trace_id, span_id, experiment, run_id, condition, item_id, model, input_tokens, cost_usd,
                        success, error_type, input FROM spans ORDER BY name"""
    with tele.open(other) as there, tele.open(stored.path) as here:
        assert there.rows(figures.replace("input FROM", "name FROM")) == here.rows(
            figures.replace("input FROM", "name FROM")
        )
        runs = "SELECT run_id, status FROM runs"
        assert [row[0] for row in there.rows(runs)] == [row[0] for row in here.rows(runs)]
