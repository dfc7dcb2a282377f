"""What one client, and all of them together, may take of the collector."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bounds", "Room"]

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits; sizes are bytes, times seconds."""

    body_bytes: int = 64 * _MIB
    """Of one request, before and after decompression: OTLP's own default. More is answered with 413."""
    held_bytes: int = 80 * _MIB
    """Of all bodies in memory, being read or waiting to be written. What would be more is answered with 429."""
    waiting: int = 64
    """Requests that wait for their turn to be written; one more is answered with 429."""
    connections: int = 128
    """One more closes the oldest idle one, or is answered with 429 where none is idle."""
    head_bytes: int = 16 * 1024
    """Of a request's line and headers."""
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its headers."""
    idle_seconds: float = 75.0
    """Between two requests of a connection."""
    chunk_seconds: float = 10.0
    """Between two pieces of a body, and for a client to take its answer."""
    body_seconds: float = 120.0
    """For a whole body."""
    records: int = 250_000
    """Rows out of one request."""
    written_bytes: int = 256 * _MIB
    """What one request may become in the journal: its resource and scope are repeated in every row."""
    grace_seconds: float = 10.0
    """For requests that are under way when the collector is asked to stop."""


class Room:
    """Bytes that are held of all those that may be."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold `count` bytes more where there is room; whether there was."""
        if self.held + count > self.size:
            return False
        self.held += count
        return True

    def give(self, count: int) -> None:
        """Let go of `count` bytes."""
        self.held -= count
