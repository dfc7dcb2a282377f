"""Clients, many at once, slow ones, and the end of the collector: whatever was acknowledged is in the store."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tele.store.layout import prepare
from tele.telemetry.collect.answer import JSON, PROTOBUF, Refused
from tele.telemetry.collect.body import Body
from tele.telemetry.collect.bounds import Bounds, Room
from tele.telemetry.collect.door import Door, Request
from tele.telemetry.collect.intake import Intake
from tele.telemetry.collect.server import Collector

from .clients import Reply, reply, request, span

CLIENT = """
import sys
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
address, name, count = sys.argv[1:4]
provider = TracerProvider(resource=Resource.create({"service.name": name}))
exporter = OTLPSpanExporter(f"{address}/v1/traces", compression=Compression.Gzip)
provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
tracer = provider.get_tracer("client")
for number in range(int(count)):
    with tracer.start_as_current_span("chat", attributes={
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "tele.item_id": f"i{number}",
        "gen_ai.usage.input_tokens": number, "gen_ai.usage.output_tokens": 1}) as current:
        current.add_event("seen", {"number": number})
provider.shutdown()
"""
SIGNALS = """
import logging, sys
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
address = sys.argv[1]
resource = Resource.create({"service.name": "signals"})
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{address}/v1/logs")))
logs.get_logger("l").emit(body="hello", severity_number=SeverityNumber.WARN, event_name="greeted")
logs.shutdown()
reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{address}/v1/metrics"))
metrics = MeterProvider(resource=resource, metric_readers=[reader])
metrics.get_meter("m").create_counter("tokens", unit="{token}").add(42, {"model": "m"})
metrics.shutdown()
"""


def client(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_four_stock_exporters_at_once_lose_nothing(begin):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    collector = begin()
    clients = [client(CLIENT, collector.address, f"service-{n}", 600) for n in range(4)] + [
        client(SIGNALS, collector.address)
    ]
    for started in clients:
        said, _ = started.communicate(timeout=120)
        assert (started.returncode, said) == (0, "")
    assert collector.peak < 256 * 1024 * 1024
    said = collector.stop()
    assert "Took 4,802 records" in said
    assert collector.rows(
        "SELECT experiment, count(*), count(DISTINCT span_id), sum(input_tokens), count(DISTINCT item_id)"
        " FROM llm_calls GROUP BY ALL ORDER BY ALL"
    ) == [(f"service-{n}", 600, 600, 600 * 599 // 2, 600) for n in range(4)]
    assert collector.rows("SELECT name, count(*) FROM events WHERE kind = 'event' GROUP BY ALL ORDER BY ALL") == [
        ("greeted", 1),
        ("seen", 2400),
    ]
    assert collector.rows("SELECT name, value, unit, attributes->>'model' FROM metrics") == [
        ("tokens", 42.0, "{token}", "m")
    ]


class TestTheEnd:
    @pytest.mark.parametrize("durability", ["process", "fsync"])
    def test_kill_9_loses_nothing_that_was_acknowledged_and_a_resend_adds_nothing(self, begin, durability):
        collector = begin("--durability", durability)
        acknowledged: list[int] = []
        sent: list[int] = []
        enough = threading.Event()

        def send(offset: int) -> None:
            for number in range(offset, offset + 10_000):
                sent.append(number)
                try:
                    said = collector.post(request(span(number), service="killed"))
                except (OSError, KeyError):  # it was killed
                    return
                assert said.status == 200
                acknowledged.append(number)
                if len(acknowledged) > 60:
                    enough.set()

        clients = [threading.Thread(target=send, args=(1 + n * 10_000,)) for n in range(4)]
        for one in clients:
            one.start()
        enough.wait(60)
        collector.kill()
        for one in clients:
            one.join(30)
        stored = {int(row[0], 16) for row in collector.rows("SELECT span_id FROM spans")}
        assert set(acknowledged) <= stored <= set(sent)
        again = begin(store=collector.store)
        for number in sent:
            assert again.post(request(span(number), service="killed")).status == 200
        assert collector.rows("SELECT count(*), count(DISTINCT span_id) FROM spans") == [(len(sent), len(sent))]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_request_under_way_is_finished_and_idle_clients_are_let_go(self, begin, number):
        collector = begin()
        body = json.dumps(request(span(1), service="last")).encode()
        head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        head += f"\r\nContent-Length: {len(body)}"
        with collector.connect() as idle, collector.connect() as busy:
            busy.sendall(f"{head}\r\n\r\n".encode() + body[:20])
            time.sleep(0.3)
            collector.process.send_signal(number)
            assert idle.recv(100) == b""
            busy.sendall(body[20:])
            said = reply(busy)
            assert (said.status, said.headers["connection"]) == (200, "close")
        out, err = collector.process.communicate(timeout=30)
        assert (collector.process.returncode, err) == (0, "")
        assert "Took 1 records in 1 requests" in out
        assert collector.rows("SELECT count(*) FROM spans") == [(1,)]


SLOW = """
import sys
from pathlib import Path
from tele.store.layout import prepare
from tele.telemetry.collect import Bounds, Door, collect
from tele.telemetry.collect.intake import Intake
bounds = Bounds(head_seconds=0.5, chunk_seconds=0.5, body_seconds=1.5, idle_seconds=1.0, connections=6,
                held_bytes=100_000, body_bytes=90_000)
intake = Intake(prepare(Path(sys.argv[1])), "process", None, bounds)
collect(intake, Door(port=0), bounds, lambda address: print(address, flush=True))
intake.close()
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Port of a collector that has little patience and little room."""
    process = client(SLOW, tmp_path_factory.mktemp("slow") / ".tele")
    yield int(process.stdout.readline().rpartition(":")[2])
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert sorted(re.findall(r"refused a request with (\d+)", said)) in (["408", "429"], ["408"], ["429"], [])
    assert "Traceback" not in said


class TestSlowAndManyClients:
    def connect(self, port):
        return socket.create_connection(("127.0.0.1", port), timeout=20)

    def head(self, length: int) -> bytes:
        said = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        return f"{said}\r\nContent-Length: {length}\r\n\r\n".encode()

    def answered(self, port, body: bytes = b"{}") -> Reply:
        with self.connect(port) as one:
            one.sendall(self.head(len(body)) + body)
            return reply(one)

    def test_headers_that_trickle_in_are_given_up(self, port):
        with self.connect(port) as slow:
            slow.sendall(b"POST /v1/traces HTTP/1.1\r\n")
            assert reply(slow).status == 408

    def test_a_body_that_stands_still_or_trickles_in_is_given_up(self, port):
        with self.connect(port) as still, self.connect(port) as slow:
            still.sendall(self.head(100))
            slow.sendall(self.head(100))
            assert reply(still).status == 408
            for _ in range(4):
                slow.sendall(b" ")
                time.sleep(0.3)
            assert reply(slow).status == 408

    def test_a_client_that_says_nothing_is_let_go(self, port):
        with self.connect(port) as silent:
            assert silent.recv(100) == b""

    def test_what_would_be_too_much_at_once_is_to_be_sent_again_later(self, port):
        with self.connect(port) as holding:
            holding.sendall(self.head(80_000) + b" " * 79_000)
            time.sleep(0.2)
            said = self.answered(port, b" " * 60_000)
            assert (said.status, said.headers["retry-after"]) == (429, "1")
            holding.sendall(b" " * 1_000)
            assert reply(holding).status == 200
        assert self.answered(port, b" " * 60_000).status == 200

    def test_idle_connections_make_way_and_busy_ones_do_not(self, port):
        idle = [self.connect(port) for _ in range(6)]
        time.sleep(0.1)
        assert self.answered(port).status == 200
        for one in idle:
            one.close()
        busy = [self.connect(port) for _ in range(6)]
        for one in busy:
            one.sendall(self.head(2))
        time.sleep(0.1)
        with self.connect(port) as more:
            said = reply(more)
            assert (said.status, said.headers["retry-after"]) == (429, "1")
        for one in busy:
            one.sendall(b"{}")
            assert reply(one).status == 200
            one.close()


def test_the_limits_are_those_of_the_specification():
    assert Bounds().body_bytes == 64 * 1024 * 1024
    assert PROTOBUF == "application/x-protobuf"


@pytest.mark.parametrize(
    ("kind", "sent"),
    [(PROTOBUF, b"\x0a\x06\x12\x04\x0f\x0f\x0f\x0f" + b"\x0f" * 300_000), (JSON, b"{" * 300_000)],
    ids=["protobuf", "json"],
)
def test_the_body_of_what_was_refused_is_let_go_when_its_room_is_given_back(tmp_path, kind, sent):
    async def refused():
        room = Room(len(sent))
        with Body(room, len(sent)) as body:
            body._add(sent)
            held = body.data
            try:
                await collector._write(Request("traces", kind, gzip=False), body)
            except Refused as found:
                status = found.status
        return held, room.held, status

    collector = Collector(Intake(prepare(tmp_path / ".tele"), "process", None, Bounds()), Door(), Bounds())
    gc.collect()
    gc.disable()  # what only a collection of garbage frees is held for as long as none comes
    try:
        held, room, status = asyncio.run(refused())
        assert (sys.getrefcount(held), room, status) == (2, 0, 400)
    finally:
        gc.enable()
