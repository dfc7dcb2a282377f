"""A request's body: read and inflated piece by piece, never beyond what it may have."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Self

from tele.telemetry.collect.answer import Refused
from tele.telemetry.collect.bounds import Room

__all__ = ["Body"]

STEP_BYTES = 256 * 1024
"""Inflated at once: other connections have their turn in between."""
_GZIP = 16 + zlib.MAX_WBITS


class Body:
    """The bytes of one request, and the room that they take. Closes with `close()` or as a context manager."""

    def __init__(self, room: Room, most: int) -> None:
        self.data = bytearray()
        self._room, self._most = room, most

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the bytes."""
        self._room.give(len(self.data))
        self.data = bytearray()

    async def read(self, chunks: AsyncIterator[bytes], *, gzip: bool) -> None:
        """Gather a body; raises Refused where it is too large, no gzip, or there is no room for it now."""
        sent = 0
        inflater = _Inflater()
        async for chunk in chunks:
            sent += len(chunk)
            if sent > self._most:
                raise self._too_large()
            if not gzip:
                self._add(chunk)
                continue
            for piece in inflater.inflate(chunk):
                self._add(piece)
                await asyncio.sleep(0)
        if gzip and sent:
            inflater.finish()

    def _add(self, piece: bytes) -> None:
        if len(self.data) + len(piece) > self._most:
            raise self._too_large()
        if not self._room.take(len(piece)):
            raise Refused(429, "The collector holds as much as it may; send again.", retry_after="1")
        self.data += piece

    def _too_large(self) -> Refused:
        return Refused(413, f"A request has at most {self._most:,} bytes, decompressed; send smaller batches.")


class _Inflater:
    """Inflates gzip, also of several members, a step at a time."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        """Give what `chunk` adds; raises Refused where it is no gzip."""
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(chunk, STEP_BYTES)
            except zlib.error:
                raise Refused(400, "The body is not gzip, as its content encoding says.") from None
            chunk = self._member.unconsumed_tail or self._member.unused_data
            if piece:
                yield piece

    def finish(self) -> None:
        """Raise Refused where the body ended too soon."""
        if not self._member.eof:
            raise Refused(400, "The body's gzip ends too soon.")
