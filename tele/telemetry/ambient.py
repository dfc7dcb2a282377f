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

    Counted ids compress to a third of random ones. The user's random generators are not touched. A span asks for three
    ids: `%` takes two thirds of the time that an f-string does.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))  # noqa: S311  # ids are no secrets
        self._bits = self._random.getrandbits
        # Version 7, rand_a, the variant's bits, and a random number that leaves room to count up from.
        self._head = f"7{self._bits(12):03x}8"
        self._events = itertools.count(self._bits(59))
        self._spans = itertools.count(self._bits(62) + 1)
        self._begun = (-1, "")

    def event(self, ns: int) -> str:
        """UUIDv7 (RFC 9562): milliseconds, then a number that counts up from a random start of this process."""
        millisecond, begun = self._begun
        if ns // 1_000_000 != millisecond:
            begun = self._begin(ns)
        return "%s%s%015x" % (begun, self._head, next(self._events))  # noqa: UP031

    def trace(self, ns: int) -> str:
        """Milliseconds and 80 random bits."""
        millisecond, begun = self._begun
        if ns // 1_000_000 != millisecond:
            begun = self._begin(ns)
        return "%s%020x" % (begun, self._bits(80))  # noqa: UP031

    def span(self) -> str:
        """Counted from a random start; never zero."""
        return "%016x" % next(self._spans)  # noqa: UP031

    def _begin(self, ns: int) -> str:
        """Milliseconds of `ns` as 12 hex digits, kept for the next id: most come several to a millisecond."""
        millisecond = ns // 1_000_000
        begun = f"{millisecond & 0xFFFFFFFFFFFF:012x}"
        self._begun = (millisecond, begun)  # in one step, for other threads
        return begun

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
