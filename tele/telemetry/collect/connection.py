"""One connection: heads, bodies and answers of HTTP/1.1 by h11, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import h11

from tele.telemetry.collect.answer import Answer, Refused
from tele.telemetry.collect.bounds import Bounds
from tele.telemetry.collect.door import Head

__all__ = ["Connection"]

READ_BYTES = 64 * 1024
LINGER_SECONDS = 2.0
"""How long a client that is still sending is listened to behind its answer: else it may never see it."""


class Connection:
    """Requests of one client, one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bounds: Bounds) -> None:
        self.idle = True
        """Whether no request is under way."""
        self.leaving = False
        """Whether the next answer is the last one."""
        self._reader, self._writer, self._bounds = reader, writer, bounds
        self._http = h11.Connection(h11.SERVER, bounds.head_bytes)

    async def head(self) -> Head | None:
        """Wait for the head of the next request; None where the client is gone. Raises Refused."""
        try:
            async with asyncio.timeout(self._bounds.idle_seconds):
                if self._http.trailing_data[0] == b"" and not await self._more():
                    return None
        except TimeoutError:
            return None
        self.idle = False
        try:
            async with asyncio.timeout(self._bounds.head_seconds):
                event = await self._event()
        except TimeoutError:
            raise Refused(408, "The request's headers took too long.") from None
        if not isinstance(event, h11.Request):
            return None
        if len(event.target) + sum(len(name) + len(value) for name, value in event.headers) > self._bounds.head_bytes:
            raise Refused(431, f"The request's headers are more than {self._bounds.head_bytes:,} bytes.")
        return _head(event)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body of the request as it comes; raises Refused where it takes too long or breaks off."""
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        until = asyncio.get_running_loop().time() + self._bounds.body_seconds
        while True:
            left = until - asyncio.get_running_loop().time()
            try:  # nothing is given to the reader within: a timeout there would end another task's work
                async with asyncio.timeout(min(left, self._bounds.chunk_seconds)):
                    event = await self._event()
            except TimeoutError:
                raise Refused(408, "The request's body took too long.") from None
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    async def answer(self, answer: Answer) -> bool:
        """Send the answer; whether the connection can take another request."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        last = self.leaving or self._http.their_state is not h11.DONE
        headers = [*answer.headers, ("content-length", str(len(answer.body)))]
        headers += [("connection", "close")] if last else []
        events = (h11.Response(status_code=answer.status, headers=headers), h11.Data(answer.body), h11.EndOfMessage())
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        async with asyncio.timeout(self._bounds.chunk_seconds):
            await self._writer.drain()
        if last or self._http.states[h11.SERVER] is not h11.DONE:  # HTTP/1.0, or the client said that it closes
            return False
        self._http.start_next_cycle()
        self.idle = True
        return True

    async def close(self) -> None:
        """Close, and let a client that is still sending see its answer first."""
        try:
            if self._http.our_state is h11.MUST_CLOSE and self._writer.can_write_eof():
                self._writer.write_eof()
                async with asyncio.timeout(LINGER_SECONDS):
                    while await self._reader.read(READ_BYTES):
                        pass
        except (OSError, TimeoutError):
            pass
        self.drop()

    def drop(self) -> None:
        """Close at once."""
        self.idle = False
        self._writer.close()

    async def _event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise Refused(error.error_status_hint, f"The request is not HTTP as it should be: {error}.") from None
            if event is not h11.NEED_DATA:
                return event
            await self._more()

    async def _more(self) -> bool:
        data = await self._reader.read(READ_BYTES)
        self._http.receive_data(data)
        return bool(data)


def _head(request: h11.Request) -> Head:
    """Read a head; of a header that stands twice the values are joined, as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Head(request.method.decode("latin-1"), request.target.decode("latin-1"), headers)
