"""This process's telemetry: where it writes, how, and what it could not write.

Nothing here raises into the user's program. What is lost is counted by reason, warned of once for each reason on the
logger `tele`, and told in the store as `tele.dropped` as soon as it can be written.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from tele.errors import BadInput, TeleError
from tele.store import blobs
from tele.store.journal import Journal, flush_all
from tele.store.layout import Layout, network_filesystem, prepare
from tele.telemetry import redact
from tele.telemetry.encode import encode
from tele.telemetry.runs.closing import Closing
from tele.telemetry.settings import Settings

__all__ = ["Process", "dropped", "flush", "process"]

SEAL_EVENTS = 100_000
SEAL_BYTES = 64 * 1024 * 1024

_log = logging.getLogger("tele")


class Process:
    """Settings and journal of this process; `process` below is the one in use."""

    def __init__(self) -> None:
        self.settings = Settings()
        """Others after each `tele.configure`: what was worked out from them is remembered with this very object."""
        self.lost: Counter[str] = Counter()
        self.warned: set[str] = set()
        self.held: list[Callable[[], object]] = []
        """Each writes what a thread of its own still holds."""
        self.closing = Closing()
        self._journal: Journal | None = None
        self._lock = threading.RLock()
        self._sealers: list[int] = []

    @property
    def journal(self) -> Journal:
        """The journal, begun on first use; raises TeleError where the store cannot be written."""
        return self._journal or self._begin()

    def _begin(self) -> Journal:
        # Made without the lock: a signal handler that records may come in at any point of it.
        settings = self.settings
        layout = prepare(settings.store)
        made = Journal(layout, settings.durability, self.lost)
        with self._lock:
            if self._journal is not None:
                return self._journal
            if self.settings is settings:
                self._journal = made
        if self._journal is not made:  # another thread has set up other settings meanwhile
            return self.journal
        if sys.platform == "win32":
            _log.warning("tele does not write on Windows: reading and viewing work, recording is not supported.")
        if network := network_filesystem(layout.root):
            _log.warning(
                "The store %s lies on a network file system (%s), where locks and appends are not reliable. "
                "Choose a local folder with TELE_STORE.",
                layout.root,
                network,
            )
        return made

    @property
    def layout(self) -> Layout:
        """The store being written; raises TeleError where it cannot be."""
        return self.journal.layout

    def write(self, record: dict[str, Any], scope: bytes, *, flat: bool = False) -> None:
        """Append `record` behind the columns of `scope` (the beginning of a JSON object, up to a comma or its brace).

        `flat` is for `encode`. Never raises an Exception.
        """
        line = self.encode(record, scope, flat=flat)
        if line is not None:
            self.append(line)

    def encode(self, record: dict[str, Any], scope: bytes, *, flat: bool = False) -> bytes | None:
        """Encode what `write` appends; None, and counted, where that cannot be. It may run the user's own code."""
        try:
            journal = self._journal or self._begin()
            return scope + encode(record, self._put, journal.layout.hash_key, flat=flat)[1:-1]
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            self.lose(error)
            return None

    def append(self, line: bytes) -> None:
        """Append an encoded record; never raises an Exception."""
        try:
            journal = self._journal or self._begin()
            if self.closing.watches and self.closing.refuses(journal.layout, line):
                self.lose(BadInput("a milestone is closed once it is finished, and this was recorded in it later"))
                return
            journal.append(line)
            if journal.dropped:
                for why in tuple(journal.dropped):
                    self._warn(why)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            self.lose(error)

    def finish(self, scope: bytes) -> None:
        """Take no more records of the run whose scope this is, but for tele's own events about it."""
        self.settle()
        self.closing.finish(self.layout, scope)

    def settle(self) -> None:
        """Have written what other threads hold of this process's records; never raises an Exception."""
        for write in self.held:
            try:
                write()
            except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
                self.lose(error, 0)

    def _put(self, body: bytes) -> str:
        return blobs.put(self.layout.blobs, body, durable=self.settings.durability == "fsync")

    def lose(self, error: Exception, count: int = 1) -> None:
        """Count what could not be recorded, and warn once for each reason; `count` 0 is trouble that lost nothing."""
        why = _reason(error)
        if count:
            self.lost[why] += count
            self._warn(why)
        elif why not in self.warned:
            self.warned.add(why)
            why = why.removesuffix(".")
            _log.warning("tele had trouble: %s. The program goes on, and no record was lost by it.", why)

    def warn(self) -> None:
        """Warn of what was lost where nobody was calling: in the thread that flushes, or in a flush."""
        for why in tuple(self.lost):
            self._warn(why)

    def _warn(self, why: str) -> None:
        if why not in self.warned:
            self.warned.add(why)
            why = why.removesuffix(".")
            _log.warning("tele could not record: %s. The program goes on; tele.dropped() tells how much was lost.", why)

    def seal_soon(self) -> None:
        """Start a separate process that seals the store, where that is wanted and possible; never raises."""
        self.settle()
        journal = self._journal
        if self.settings.seal == "manual" or journal is None or not journal.writer:
            return
        try:
            journal.flush()
            journal.events = journal.bytes = 0
            self._sealers = [pid for pid in self._sealers if not _reaped(pid)]
            if len(self._sealers) > 1:  # one is at work, and one waits that will see what this run wrote
                return
            command = [
                sys.executable,
                "-m",
                "tele",
                "seal",
                "--quiet",
                "--wait",
                "60",
                "--store",
                str(journal.layout.root),
            ]
            quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
            pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet, setsid=True)
            self._sealers.append(pid)
        except Exception as error:  # noqa: BLE001  # no sealer, no loss: the next command that opens the store seals
            _log.debug("tele could not start the sealer (%s); the next command that opens the store seals.", error)

    def look_after(self) -> None:
        """What is to be done now and then: see that the journal is still there, and have it sealed when that is due."""
        journal = self._journal
        if journal is None:
            return
        journal.check()
        self.warn()
        if journal.events >= SEAL_EVENTS or journal.bytes >= SEAL_BYTES:
            self.seal_soon()

    def set_up(self, settings: Settings) -> None:
        """Record by other settings from now on."""
        self.close(settings)

    def close(self, settings: Settings | None = None) -> None:
        """Flush and finish the journal; the next record begins a new one, by `settings` where they are given."""
        self.settle()
        with self._lock:  # both at once: a thread that records meanwhile would go on by the settings of before
            journal, self._journal = self._journal, None
            self.settings = settings or self.settings
        if journal is not None:
            journal.close()


def _reason(error: Exception) -> str:
    """Say why something was lost, for the log and the store: without secrets, whatever the text of `error` does."""
    if isinstance(error, OSError):  # its text names a temporary file, another one each time
        return error.strerror or type(error).__name__
    try:
        why = str(error) if isinstance(error, TeleError) else f"{type(error).__name__}: {error}"
        return str(redact.redact(why))
    except Exception:  # noqa: BLE001  # an exception whose own text raises
        return type(error).__name__


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


process = Process()


def _after_in_child() -> None:
    process._lock = threading.RLock()  # noqa: SLF001  # another thread of the parent may have held it
    process._sealers = []  # noqa: SLF001  # the parent's children are not ours to wait for
    process.lost.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)


def flush() -> None:
    """Hand every record to write(2); in mode `fsync` they are on the disk already. Never raises."""
    process.settle()
    flush_all()
    process.warn()


def dropped() -> dict[str, int]:
    """How many records this process could not write, by reason; empty when nothing was lost."""
    return dict(process.lost)


atexit.register(flush)
