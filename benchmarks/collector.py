"""The OTLP receiver: what a span costs it until it is durable, how many it takes, and how much memory that needs.

Four clients send protobuf batches of 512 spans, the SDK's own size, over connections that stay open, to a collector in
a process of its own, with redaction, prices and the check for what was sent before. Its cost is that process's CPU, all
threads, until the last answer. Beside it stand two costs of protobuf's own library on the same bytes: `parse` fills the
library's memory and makes no Python object, so it is a bound that no receiver in Python comes near; `MessageToDict`
makes the objects that a receiver has to look at.
"""

from __future__ import annotations

import gzip
import http.client
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Ratio, Row, Settings, cpu, missing, race, row
from benchmarks.spans import ATTRIBUTES

__all__ = ["rows"]

BATCH = 512
CLIENTS = 4
MOST_MB = 256.0
_TRACES = {"Content-Type": "application/x-protobuf"}


def rows(settings: Settings) -> list[Row]:
    """Measure cost and memory."""
    what = f"OTLP protobuf in, {len(ATTRIBUTES)} attributes, to durable"
    try:
        import h11  # noqa: F401  # the collector's
        from google.protobuf.json_format import MessageToDict
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Request
    except ImportError as error:
        return [missing("collector", what, "protobuf parse", 4.0, error)]
    batches = max(settings.spans // BATCH, CLIENTS)
    bodies = _bodies(0, batches)
    speeds: list[float] = []
    with _collecting() as (port, pid):
        turn = 0

        def collected() -> float:
            nonlocal turn
            turn += 1
            fresh = _bodies(turn, batches)  # what it has seen before it would not write again
            before, start = _seconds(pid), time.perf_counter()
            _send(port, fresh)
            speeds.append(batches * BATCH / (time.perf_counter() - start))
            return _seconds(pid) - before

        took = race(
            {
                "tele collect": collected,
                "protobuf parse": lambda: cpu(lambda: [Request.FromString(body) for body in bodies]),
                "MessageToDict": lambda: cpu(lambda: [MessageToDict(Request.FromString(body)) for body in bodies]),
            },
            settings.rounds,
        )
        under_load = _peak(pid)
    speed = sorted(speeds)
    count = batches * BATCH
    found = [
        row("collector", what, took, "tele collect", "protobuf parse", 4.0, per=count),
        row("collector-dict", what, took, "tele collect", "MessageToDict", None, per=count),
        Row(
            "collector-speed",
            f"spans a second, {CLIENTS} clients on this machine",
            f"{speed[len(speed) // 2]:,.0f} spans/s",
            "the clients' own CPU is taken from the same cores",
            Ratio(speed[len(speed) // 2], speed[0], speed[-1]),
            None,
            unit="/s",
        ),
    ]
    return [*found, _memory("collector-memory", f"{CLIENTS} clients", under_load), _bombs()]


def _memory(name: str, what: str, peak: float) -> Row:
    return Row(
        name, f"collector's peak memory, {what}", f"{peak:.0f} MB", "", Ratio(peak, peak, peak), MOST_MB, unit="MB"
    )


def _bombs() -> Row:
    """Send what is small on the wire and large behind it, from all clients at once, beside honest spans."""
    squeeze = zlib.compressobj(9, wbits=31)
    zeros = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(1024)) + squeeze.flush()
    objects = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[' + b"{}," * 20_000_000 + b"{}]}]}]}]}"
    fields = _framed(b"\x4a\x00" * 30_000_000)
    plain = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b'{"name":"%s"}' % (b"x" * 60_000_000) + b"]}]}]}"
    json = {"Content-Type": "application/json"}
    corpus = [(zeros, _TRACES), (zeros, json), (gzip.compress(zeros), _TRACES)]
    corpus += [(gzip.compress(objects, 1), json), (gzip.compress(fields, 1), _TRACES), (gzip.compress(plain, 1), json)]
    del objects, fields, plain
    with _collecting() as (port, pid):

        def attack() -> None:
            for body, headers in corpus:
                _post(port, body, {**headers, "Content-Encoding": "gzip"})

        attackers = [threading.Thread(target=attack) for _ in range(CLIENTS)]
        for attacker in attackers:
            attacker.start()
        _send(port, _bodies(1, CLIENTS))
        for attacker in attackers:
            attacker.join()
        return _memory("collector-bombs", f"{CLIENTS} clients sending {len(corpus)} bombs each", _peak(pid))


def _framed(item: bytes) -> bytes:
    """One span's bytes as a request."""
    for number in (2, 2, 1):
        size, length = len(item), b""
        while size > 0x7F:  # seven bits a byte
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        item = bytes([number << 3 | 2]) + length + bytes([size]) + item
    return item


# ── the collector and its clients ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _collecting() -> Iterator[tuple[int, int]]:
    """Run a collector; give its port and process."""
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        command = [sys.executable, "-m", "tele", "collect", "--port", "0", "--store", f"{folder}/.tele"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield int(re.search(r":(\d+),", line)[1]), process.pid  # type: ignore[index]  # it names its port
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _send(port: int, bodies: list[bytes]) -> None:
    clients = [threading.Thread(target=_client, args=(port, bodies[n::CLIENTS])) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def _client(port: int, bodies: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for body in bodies:
        while True:
            connection.request("POST", "/v1/traces", body, _TRACES)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 429:  # it is busy: again
                break
            time.sleep(float(answer.headers["retry-after"]))
        if answer.status != 200:
            raise RuntimeError(f"the collector answered {answer.status}")
    connection.close()


def _post(port: int, body: bytes, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/v1/traces", body, headers)
        connection.getresponse().read()
    except OSError:  # it was refused while it was sending
        pass
    finally:
        connection.close()


def _seconds(pid: int) -> float:
    """CPU of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> float:
    """Largest resident set of a process so far, MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def _bodies(seed: int, count: int) -> list[bytes]:
    """Batches as an SDK sends them, other ones for each seed."""
    draw = random.Random(seed)
    return [_batch(draw) for _ in range(count)]


def _batch(draw: random.Random) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in (("service.name", "bench"), ("telemetry.sdk.name", "opentelemetry")):
        group.resource.attributes.add(key=key).value.string_value = value
    inner = group.scope_spans.add()
    inner.scope.name = "benchmark"
    start = 1_700_000_000_000_000_000
    for number in range(BATCH):
        span = inner.spans.add(trace_id=draw.randbytes(16), span_id=draw.randbytes(8), name="step", kind=1, flags=256)
        span.start_time_unix_nano = start + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 500_000
        for key, value in {**ATTRIBUTES, "app.call": f"call_{draw.getrandbits(48):012x}"}.items():
            _fill(span.attributes.add(key=key).value, value)
    return bytes(request.SerializeToString())


def _fill(value: Any, content: object) -> None:
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    setattr(value, kinds[type(content)], content)
