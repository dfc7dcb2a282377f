"""A thread off the hot path: writes spans that last as started, and calls the sealer when enough was written.

A start record for every span would double its cost; a span that is still open after 100 ms gets one, so that a
process that is killed leaves behind what it was doing.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Protocol

from tele.telemetry.ambient import ambient
from tele.telemetry.process import process

__all__ = ["OPEN_NS", "Ticker", "ticker"]

OPEN_NS = 100_000_000
_TICK_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0


class _Started(Protocol):
    mono_ns: int
    ended: bool

    def start_line(self) -> bytes | None: ...


class Ticker:
    """Watches the spans of this process that are open."""

    def __init__(self) -> None:
        self.generation = 0
        """Counts the forks above this process: a span that began before one belongs to the parent."""
        self.young: dict[int, _Started] = {}
        """Open spans that no record tells of yet, oldest first."""
        self.running = False
        self.writing = threading.RLock()
        """Held while a start is appended: an end that found its span taken waits for it, so that it stands behind it.

        No code of the user's runs under it: what a start says is encoded before.
        """

    def start(self) -> None:
        """Start the thread where it does not run; it dies with the process."""
        self.running = True
        try:
            threading.Thread(target=self._run, name="tele-ticker", daemon=True).start()
        except RuntimeError as error:  # no thread to be had: open spans are told at exit only
            self.running = False
            process.lose(error, 0)

    def _run(self) -> None:
        wait = threading.Event()
        generation = self.generation
        while generation == self.generation:
            wait.wait(_TICK_SECONDS)
            self.tick()

    def wait(self) -> None:
        """Wait until the start that is being appended stands.

        Not for ever: in a signal's handler, or a finalizer, it may be the journal below us that the ticker waits for.
        """
        if self.writing.acquire(timeout=_PATIENCE_SECONDS):
            self.writing.release()

    def tick(self, age: int = OPEN_NS) -> None:
        """Write as started what is open for `age` nanoseconds; have the store sealed when that is due."""
        limit = ambient.monotonic() - age
        while self.young:
            try:
                key = next(iter(self.young))
                span = self.young[key]
            except (StopIteration, KeyError, RuntimeError):  # ended, or another began, while we looked
                continue
            if span.mono_ns > limit:
                break
            if self.young.pop(key, None) is span:
                self._tell(span)
        process.look_after()

    def _tell(self, span: _Started) -> None:
        try:
            line = span.start_line()
            with self.writing:
                if line is not None and not span.ended:
                    process.append(line)
        except Exception as error:  # noqa: BLE001  # its end will be written; the thread goes on
            process.lose(error, 0)


ticker = Ticker()


def _after_in_child() -> None:
    ticker.generation += 1
    ticker.young = {}
    ticker.running = False  # threads do not survive a fork
    ticker.writing = threading.RLock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)
atexit.register(ticker.tick, 0)
