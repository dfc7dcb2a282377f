"""What OpenTelemetry handed over and is not written yet, and the thread that writes it.

The application's thread only appends. A thread converts and writes every `interval` seconds, and sooner when much
waits, so that is what a kill can lose; a flush, the end of a run and the end of the process write the rest. Memory is
bounded without loss: who adds to a full queue writes a piece of it first.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tele.telemetry.process import process

__all__ = ["INTERVAL", "Item", "Pending", "pending"]

INTERVAL = 0.1
"""Seconds between two rounds of the thread."""
LIMIT = 32_768
"""Items that may wait: above, the application's thread writes too."""
SOON = 512
"""Items that wake the thread before its time."""
CHUNK = 256
"""Items that are written in one go; who waits for a flush gets its turn between two."""
PATIENCE = 5.0
"""Seconds that a piece may take to be written."""


class Item(Protocol):
    """Something that waits to be written."""

    def write(self) -> None:
        """Write it; never raises an Exception."""


class Pending:
    """The queue of this process."""

    def __init__(self) -> None:
        self.interval = INTERVAL
        self.soon = SOON
        """Items that call for attention: at once where `interval` is 0."""
        self.queue: deque[Item] = deque()
        self.awake = False
        """Whether the thread runs."""
        self.rounds: list[Callable[[], object]] = []
        """What else the thread does, each time."""
        self._generation = 0
        self._locks()

    def _locks(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may flush within a flush
        self._wake = threading.Event()

    def every(self, interval: float) -> None:
        """Write every `interval` seconds from now on; with 0 each item is written before `add` returns."""
        if interval != self.interval:
            self.interval = interval
            self.soon = SOON if interval > 0 else 1
            self.awake = False
            self._generation += 1  # a thread that keeps the old time ends
            self._wake.set()
            self._wake = threading.Event()
            self.settle()

    def add(self, item: Item) -> None:
        """Take an item; it is written soon, or at once where `interval` is 0."""
        self.queue.append(item)
        if not self.awake:
            self.start()
        if len(self.queue) >= self.soon:
            self._soon()

    def _soon(self) -> None:
        if self.interval <= 0:
            self.settle()
        elif not self._wake.is_set():
            self._wake.set()
        if len(self.queue) > LIMIT:
            self._some()

    def settle(self, timeout: float | None = None) -> bool:
        """Write what waits now; False where that took longer than `timeout` seconds.

        Who writes a piece is waited for, but not for ever: in a signal's handler it may be us that it waits for.
        """
        end = None if timeout is None else time.monotonic() + timeout
        # Once more than there are pieces: whoever holds the lock may hold the last one.
        for _ in range(len(self.queue) // CHUNK + 1):
            if not self._lock.acquire(timeout=PATIENCE if end is None else max(end - time.monotonic(), 0)):
                return False
            try:
                self._some()
            finally:
                self._lock.release()
        return True

    def _some(self) -> None:
        with self._lock:
            for _ in range(CHUNK):
                try:
                    item = self.queue.popleft()
                except IndexError:
                    return
                try:
                    item.write()
                except Exception as error:  # noqa: BLE001  # one that cannot be written keeps no other from it
                    process.lose(error)

    def start(self) -> None:
        """Start the thread where it does not run."""
        with self._lock:
            if self.awake:
                return
            self.awake = True
        try:
            threading.Thread(target=self._run, name="tele-otel", daemon=True).start()
        except RuntimeError as error:  # no thread to be had, as in an interpreter that ends: written here
            self.awake = False
            process.lose(error, 0)
            self.settle()

    def _run(self) -> None:
        generation, wake = self._generation, self._wake
        while generation == self._generation:
            wake.wait(self.interval or INTERVAL)
            wake.clear()
            self.round()

    def round(self) -> None:
        """What the thread does each time."""
        self.settle()
        for work in self.rounds:
            self.alone(work)

    def alone(self, work: Callable[[], object]) -> None:
        """Do something while nothing is written."""
        with self._lock:
            work()

    def after_fork(self) -> None:
        """In a child: what waited is the parent's to write, and the thread is not here."""
        self.queue = deque()
        self.awake = False
        self._generation += 1
        self._locks()


pending = Pending()
process.held.append(pending.settle)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=pending.after_fork)
