"""A collector in a process of its own, and what clients say to it, byte by byte."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tele.store.reader import open_store


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""


class Running:
    """`tele collect` on a free port."""

    def __init__(self, folder: Path, *options: str, store: Path | None = None, **environment: str) -> None:
        self.store = store or folder / ".tele"
        ready = folder / f"ready-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "tele", "collect", "--port", "0", "--ready-file", str(ready)]
        self.process = subprocess.Popen(
            [*command, "--store", str(self.store), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        until = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        self.address = ready.read_text()
        self.port = int(self.address.rpartition(":")[2])

    def connect(self, timeout: float = 20) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def raw(self, data: bytes) -> Reply:
        """The first answer to some bytes on a connection of their own."""
        with self.connect() as client:
            try:
                client.sendall(data)
            except OSError:  # it answered and closed before it had all
                pass
            return reply(client)

    def post(
        self,
        body: bytes | dict,
        path: str = "/v1/traces",
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        said = {"Host": f"127.0.0.1:{self.port}", "Content-Type": kind, "Content-Length": str(len(content))}
        said |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        return self.raw(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """What it printed, once it has ended."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        assert err == ""
        assert self.process.returncode == 0
        return out

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def rows(self, query: str) -> list[tuple]:
        with open_store(self.store) as store:
            return store.rows(query)

    @property
    def peak(self) -> int:
        """Largest resident set so far, bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def reply(client: socket.socket) -> Reply:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += client.recv(65536)
    size = int(headers["content-length"])
    return Reply(int(first.split(" ")[1]), headers, body[:size], body[size:])


def span(number: int = 1, **more: object) -> dict:
    """A span as OTLP JSON has it."""
    fields = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "step"}
    return {**fields, "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000", **more}


def request(*spans: dict, service: str | None = None, **resource: object) -> dict:
    """An export request with these spans."""
    said = {**({"service.name": service} if service else {}), **resource}
    attributes = [{"key": key, "value": {"stringValue": str(value)}} for key, value in said.items()]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}]}
