"""Clock and ids: the ambient state of recording, read here and nowhere else.

`tele.testing` puts a frozen clock and counting ids in their place.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Ambient", "Ids", "ProcessIds", "ambient"]


class Ids(Protocol):
    """Where ids come from."""

    def event(self, ns: int) -> str:
        """32 hex digits, time-ordered and unique."""

    def trace(self, ns: int) -> str:
        """32 hex digits that begin with the milliseconds of `ns`."""

    def span(self) -> str:
        """16 hex digits, unique within a trace."""

    def run(self, ns: int) -> str:
        """`r` and 20 hex digits, time-ordered."""


class ProcessIds:
    """Ids of one process: random where ids of two processes could meet, counted where they cannot.

    Counted ids compress to a third of random ones. The user's random generators are not touched.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))  # noqa: S311  # ids are no secrets
        self._tail = f"{self._random.getrandbits(48):012x}"
        self._events = itertools.count(self._random.getrandbits(20))
        self._spans = itertools.count(self._random.getrandbits(62))

    def event(self, ns: int) -> str:
        """UUIDv7 (RFC 9562): milliseconds, then a counter in rand_a and rand_b, then this process's 48 random bits."""
        count = next(self._events)
        return f"{ns // 1_000_000:012x}7{count >> 14 & 0xFFF:03x}{0x8000 | count & 0x3FFF:04x}{self._tail}"

    def trace(self, ns: int) -> str:
        """Milliseconds and 80 random bits."""
        return f"{ns // 1_000_000 & 0xFFFFFFFFFFFF:012x}{self._random.getrandbits(80):020x}"

    def span(self) -> str:
        """Counted from a random start; never zero."""
        return f"{next(self._spans) & 0xFFFFFFFFFFFFFFFF or 1:016x}"

    def run(self, ns: int) -> str:
        """Milliseconds and 32 random bits."""
        return f"r{ns // 1_000_000:012x}{self._random.getrandbits(32):08x}"


class Ambient:
    """The clock and the ids in use."""

    __slots__ = ("ids", "monotonic", "now")

    def __init__(self) -> None:
        self.now: Callable[[], int] = time.time_ns
        self.monotonic: Callable[[], int] = time.perf_counter_ns
        self.ids: Ids = ProcessIds()


ambient = Ambient()


def _after_in_child() -> None:
    if isinstance(ambient.ids, ProcessIds):
        ambient.ids = ProcessIds()


os.register_at_fork(after_in_child=_after_in_child)
