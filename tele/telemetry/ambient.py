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
        # rand_a, the variant's bits, and a random number that leaves room to count up from
        start = self._random.getrandbits(12) << 64 | 0b1000 << 60 | self._random.getrandbits(59)
        self._events = itertools.count(start)
        self._spans = itertools.count(self._random.getrandbits(62) + 1)
        self._millisecond, self._prefix = -1, ""

    def event(self, ns: int) -> str:
        """UUIDv7 (RFC 9562): milliseconds, then a number that counts up from a random start of this process."""
        millisecond = ns // 1_000_000
        if millisecond != self._millisecond:
            self._millisecond, self._prefix = millisecond, f"{millisecond:012x}7"
        return f"{self._prefix}{next(self._events):019x}"

    def trace(self, ns: int) -> str:
        """Milliseconds and 80 random bits."""
        return f"{ns // 1_000_000 & 0xFFFFFFFFFFFF:012x}{self._random.getrandbits(80):020x}"

    def span(self) -> str:
        """Counted from a random start; never zero."""
        return f"{next(self._spans):016x}"

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


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)
