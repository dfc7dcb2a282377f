"""This process's telemetry: where it writes, how, and what it could not write.

Nothing here raises into the user's program. What is lost is counted by reason, warned of once for each reason on the
logger `tele`, and told in the store as `tele.dropped` as soon as it can be written.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from tele.errors import BadInput, TeleError
from tele.store import blobs
from tele.store.journal import Durability, Journal, flush_all
from tele.store.journal import durability as checked_durability
from tele.store.layout import Layout, network_filesystem, prepare
from tele.telemetry import redact
from tele.telemetry.encode import encode
from tele.telemetry.runs.kinds import RunType
from tele.telemetry.runs.kinds import checked as checked_run_type

__all__ = ["Process", "configure", "dropped", "flush", "process"]

SEAL_EVENTS = 100_000
SEAL_BYTES = 64 * 1024 * 1024

_RUN = re.compile(rb'\{"experiment":"(?:[^"\\]|\\.)*","experiment_id":"[^"]*","run_id":"[^"]*"')
"""The beginning of a record that says which run it is of."""
_ABOUT_IT = b'"kind":"event","name":"tele.'

_log = logging.getLogger("tele")


class Process:
    """Settings and journal of this process; `process` below is the one in use."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.durability: Durability = "process"
        self.sampling_rate = 1.0
        self.sealing: Literal["auto", "manual"] = "auto"
        self.record_host = False
        self.capture_input: Literal["on", "off", "hashed"] = "on"
        self.capture_output: Literal["on", "off", "hashed"] = "on"
        self.prices: Path | None = None
        self.configured = 0
        """How often `configure` was called: what was worked out from its settings is of one of these numbers."""
        self.run_type: RunType | None = None
        self.lost: Counter[str] = Counter()
        self.warned: set[str] = set()
        self.held: list[Callable[[], object]] = []
        """Each writes what a thread of its own still holds."""
        self._journal: Journal | None = None
        self._lock = threading.RLock()
        self._sealers: list[int] = []
        self._finished: set[tuple[str, bytes]] = set()

    @property
    def journal(self) -> Journal:
        """The journal, begun on first use; raises TeleError where the store cannot be written."""
        return self._journal or self._begin()

    def _begin(self) -> Journal:
        # Made without the lock: a signal handler that records may come in at any point of it.
        layout = prepare(self.path)
        made = Journal(layout, self.durability, self.lost)
        with self._lock:
            if self._journal is not None:
                return self._journal
            self._journal = made
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
            if self._finished and self._is_finished(journal, line):
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
        if run := _RUN.match(scope):
            self._finished.add((self.layout.id, run[0]))

    def _is_finished(self, journal: Journal, line: bytes) -> bool:
        run = _RUN.match(line)
        there = run is not None and (journal.layout.id, run[0]) in self._finished
        return there and _ABOUT_IT not in line

    def settle(self) -> None:
        """Have written what other threads hold of this process's records; never raises an Exception."""
        for write in self.held:
            try:
                write()
            except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
                self.lose(error, 0)

    def _put(self, body: bytes) -> str:
        return blobs.put(self.layout.blobs, body, durable=self.durability == "fsync")

    def lose(self, error: Exception, count: int = 1) -> None:
        """Count what could not be recorded, and warn once for each reason; `count` 0 is trouble that lost nothing."""
        why = _reason(error)
        if count:
            self.lost[why] += count
            self._warn(why)
        elif why not in self.warned:
            self.warned.add(why)
            _log.warning("tele had trouble: %s. The program goes on, and no record was lost by it.", why)

    def warn(self) -> None:
        """Warn of what was lost where nobody was calling: in the thread that flushes, or in a flush."""
        for why in tuple(self.lost):
            self._warn(why)

    def _warn(self, why: str) -> None:
        if why not in self.warned:
            self.warned.add(why)
            _log.warning("tele could not record: %s. The program goes on; tele.dropped() tells how much was lost.", why)

    def seal_soon(self) -> None:
        """Start a separate process that seals the store, where that is wanted and possible; never raises."""
        self.settle()
        journal = self._journal
        if self.sealing == "manual" or journal is None or not journal.writer:
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

    def close(self) -> None:
        """Flush and finish the journal; the next record begins a new one."""
        self.settle()
        with self._lock:
            journal, self._journal = self._journal, None
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


def configure(
    *,
    store: str | os.PathLike[str] | None = None,
    durability: str | None = None,
    sampling_rate: float | None = None,
    seal: Literal["auto", "manual"] | None = None,
    record_host: bool | None = None,
    prices: str | os.PathLike[str] | None = None,
    run_type: str | None = None,
    capture_input: Literal["on", "off", "hashed"] | None = None,
    capture_output: Literal["on", "off", "hashed"] | None = None,
    pii: bool | Iterable[str] | None = None,
    redact_keys: Iterable[str] | None = None,
    redact_patterns: Mapping[str, str] | None = None,
) -> None:
    """Set up this process's telemetry. What is not given stays as it was; call it before the first record.

    `store` is a folder (default `$TELE_STORE`, else the nearest `.tele`). `durability` is `process` (default: a
    record is in write(2) before its call returns), `fsync` or `buffered` (within 250 ms). `sampling_rate` in (0, 1]
    is decided for each trace by a hash of its id; 1.0 keeps all. `seal="manual"` leaves sealing to `tele seal`.
    `capture_input` and `capture_output` say what `tele.llm_call` keeps: `on`, `off`, or `hashed` by the store's key.
    `run_type` is `trial` or `milestone`, for runs that name none (default `$TELE_RUN_TYPE`, else `trial`).
    Secrets are always taken out; `pii` takes personal data out as well (True, or some of email, phone, iban, card,
    ip; default `$TELE_PII`), `redact_keys` the values under these names, `redact_patterns` (name to pattern, in RE2's
    syntax) what they match. `prices` is a price table of your own (default `$TELE_PRICES`, else `prices.toml` in the
    store). Raises BadInput.
    """
    if sampling_rate is not None and not (isinstance(sampling_rate, (int, float)) and 0 < sampling_rate <= 1):
        raise BadInput(f"sampling_rate is above 0 and at most 1, not {sampling_rate!r}.")
    if seal not in (None, "auto", "manual"):
        raise BadInput(f"seal is 'auto' or 'manual', not {seal!r}.")
    if prices is not None:
        from tele.telemetry.prices.own import read_own

        read_own(Path(prices))
    kind = checked_run_type(run_type) if run_type is not None else process.run_type
    for name, choice in (("capture_input", capture_input), ("capture_output", capture_output)):
        if choice not in (None, "on", "off", "hashed"):
            raise BadInput(f"{name} is 'on', 'off' or 'hashed', not {choice!r}.")
    mode = checked_durability(durability) if durability is not None else process.durability
    if not (pii is None and redact_keys is None and redact_patterns is None):
        redact.set_up(personal=pii, keys=redact_keys, patterns=redact_patterns)
    process.close()
    process.path = Path(store) if store is not None else process.path
    process.durability = mode
    process.sampling_rate = sampling_rate if sampling_rate is not None else process.sampling_rate
    process.sealing = seal or process.sealing
    process.run_type = kind
    process.record_host = record_host if record_host is not None else process.record_host
    process.capture_input = capture_input or process.capture_input
    process.capture_output = capture_output or process.capture_output
    process.prices = Path(prices).absolute() if prices is not None else process.prices
    process.configured += 1


def flush() -> None:
    """Hand every record to write(2); in mode `fsync` they are on the disk already. Never raises."""
    process.settle()
    flush_all()
    process.warn()


def dropped() -> dict[str, int]:
    """How many records this process could not write, by reason; empty when nothing was lost."""
    return dict(process.lost)


atexit.register(flush)
