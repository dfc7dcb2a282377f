"""The collector: connections in, answers out, and an end that loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import signal
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tele.errors import BadInput
from tele.telemetry.collect.answer import JSON, PROTOBUF, Outcome, Refused, accepted, refusal
from tele.telemetry.collect.body import Body
from tele.telemetry.collect.bounds import Bounds, Room
from tele.telemetry.collect.connection import Connection
from tele.telemetry.collect.door import Door, Head, Request, content_kind
from tele.telemetry.collect.intake import Intake
from tele.telemetry.redact import redact

__all__ = ["Collector", "collect"]

_log = logging.getLogger("tele")
BACKLOG = 128
MAPPED_BYTES = 256 * 1024
_M_MMAP_THRESHOLD = -3


def collect(intake: Intake, door: Door, bounds: Bounds, ready: Callable[[str], object]) -> Counter[str]:
    """Take requests until SIGINT or SIGTERM; `ready` is called with the address as soon as they can come.

    What was acknowledged stands in the store then. A second signal does not wait for requests under way. Returns
    counts: requests, taken, known, rejected, refused. Raises BadInput where the address cannot be had.
    """
    _give_memory_back()
    with _listening(door) as listener:
        collector = Collector(intake, door, bounds)
        asyncio.run(collector.run(listener, ready))
    return collector.counts


def _give_memory_back() -> None:
    """Have glibc map each large body by itself, and unmap it when it goes.

    By default it raises that limit to the largest block it has freed, up to 32 MB; bodies that grow side by side then
    leave holes between them, and the process keeps several times what it holds.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)


def _listening(door: Door) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"Cannot listen on {door.host}, port {door.port}: {why}. Choose another with --port.") from None


class Collector:
    """Serves one listening socket. Requests are read concurrently and written one after another, by one thread."""

    def __init__(self, intake: Intake, door: Door, bounds: Bounds) -> None:
        self.counts: Counter[str] = Counter()
        self._intake, self._door, self._bounds = intake, door, bounds
        self._room = Room(bounds.held_bytes)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tele-collect")
        self._waiting = 0
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._told: set[int] = set()

    async def run(self, listener: socket.socket, ready: Callable[[str], object]) -> None:
        """Serve until a signal says to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        server = await asyncio.start_server(self._connected, sock=listener, limit=64 * 1024)
        try:
            ready(_address(listener))
            await self._stop.wait()
        finally:
            server.close()
            await self._leave()
            self._writer.shutdown()  # waits for the request that is being written

    def stop(self) -> None:
        """Ask to stop; asked again, requests under way are not waited for."""
        if self._stop.is_set():
            for task in self._connections.values():
                task.cancel()
        self._stop.set()

    async def _leave(self) -> None:
        """Close what is idle and wait for the rest."""
        for connection in self._connections:
            connection.leaving = True
            if connection.idle:
                connection.drop()
        if tasks := set(self._connections.values()):
            _, late = await asyncio.wait(tasks, timeout=self._bounds.grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self._bounds)
        connection.leaving = self._stop.is_set()
        full = len(self._connections) >= self._bounds.connections and not self._drop_idle()
        self._connections[connection] = asyncio.current_task()  # type: ignore[assignment]  # a task runs this
        try:
            while await self._serve(connection, full=full):
                pass
        except (OSError, TimeoutError):  # the client is gone, or does not take its answer
            connection.drop()
        finally:
            await connection.close()
            del self._connections[connection]

    def _drop_idle(self) -> bool:
        """Close the oldest of the idle connections; whether there was one."""
        for connection in self._connections:
            if connection.idle:
                connection.drop()
                return True
        return False

    async def _serve(self, connection: Connection, *, full: bool) -> bool:
        """Serve one request; whether another one may follow."""
        kind = JSON
        try:
            head = await _head(connection, full=full)
            if head is None:
                return False
            kind = PROTOBUF if content_kind(head) == PROTOBUF else JSON
            request = self._door.admit(head, self._bounds.body_bytes)
            with Body(self._room, self._bounds.body_bytes) as body:
                await body.read(connection.chunks(), gzip=request.gzip)
                outcome = await self._write(request, body)
            answer = accepted(outcome, request.signal, kind)
        except Refused as refused:
            self._tell(refused)
            answer = refusal(refused, kind)
        return await connection.answer(answer)

    def _tell(self, refused: Refused) -> None:
        """Count a refusal; the first of each status is said on the log."""
        self.counts["refused"] += 1
        if refused.status not in self._told:
            self._told.add(refused.status)
            said = redact(refused.message)  # it may quote what the client sent
            _log.warning("tele refused a request with %d: %s Others like it are counted.", refused.status, said)

    async def _write(self, request: Request, body: Body) -> Outcome:
        """Have the writer's thread take the records, and wait until they are durable."""
        if self._waiting >= self._bounds.waiting:
            raise Refused(429, "Too many requests wait to be written; send again.", retry_after="1")
        self._waiting += 1
        job = self._writer.submit(self._taken, request, body.data)
        try:
            outcome = await asyncio.wrap_future(job)
        except Exception:  # noqa: BLE001  # a bug of ours: this client hears of it, the others go on
            _log.exception("tele could not take a request of %s.", request.signal)
            raise Refused(500, "The collector failed on this request; its log says why.") from None
        finally:
            self._waiting -= 1
        if isinstance(outcome, Refused):
            raise outcome.anew()  # the job holds that one: raised, it would hold this frame, and that the job
        self.counts.update(requests=1, taken=outcome.taken, known=outcome.known, rejected=outcome.rejected)
        return outcome

    def _taken(self, request: Request, data: bytearray) -> Outcome | Refused:
        """In the writer's thread: what became of a request. The body is free when its room is given back."""
        try:
            return self._intake.take(request.signal, request.kind, data)
        except Refused as refused:
            return refused.anew()


async def _head(connection: Connection, *, full: bool) -> Head | None:
    if full:
        raise Refused(429, "The collector has as many connections as it may; try again.", retry_after="1")
    return await connection.head()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
