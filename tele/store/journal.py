"""The journal: where a process appends what it records.

One file at a time for each process, opened with O_APPEND and locked with flock while the process lives. A file that
fails is cut back to its last whole record and finished; what it could not take goes into a new one. What that cannot
take either is dropped, counted, and told in the next file that can be written.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, get_args
from zlib import crc32

import orjson

from tele.errors import BadInput
from tele.store.files import write_all
from tele.store.journalfile import JournalFile, forget_parent, machine_id, process_id, reason
from tele.store.layout import Layout

__all__ = ["Durability", "Journal", "durability", "flush_all", "machine_id"]

Durability = Literal["process", "fsync", "buffered"]
"""`process`: in write(2) before the call returns; `fsync`: on the disk; `buffered`: within 250 ms."""

BUFFER_BYTES = 64 * 1024
FLUSH_SECONDS = 0.25
TELL_SECONDS = 1.0
"""How often a loss that could not be told is tried again while nothing is recorded."""

_journals: weakref.WeakSet[Journal] = weakref.WeakSet()
_registered = 0
"""The worker process of multiprocessing that will close its journals when it ends."""


def durability(name: str) -> Durability:
    """Check the name of a durability mode; raises BadInput."""
    for known in get_args(Durability):
        if name == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise BadInput(f"Durability is 'process', 'fsync' or 'buffered', not {name!r}.")


class Journal:
    """Appends lines for one process. Safe across threads, signal handlers and fork; never raises an OSError.

    `append` takes a JSON object as bytes without its last brace. What could not be written is in `dropped`, by reason.
    """

    _millisecond = 0
    """When the newest file of this process was begun."""

    def __init__(self, layout: Layout, mode: Durability = "process", dropped: Counter[str] | None = None) -> None:
        """Take the store; `dropped` counts the losses of a process across its journals. Nothing is opened yet."""
        self.layout = layout
        self.mode = mode
        self.dropped: Counter[str] = Counter() if dropped is None else dropped
        # How much of it a store was told goes with the counter: the next journal must not tell it again.
        self._told: Counter[str] = vars(self.dropped).setdefault("told", Counter())
        if self._told - self.dropped:  # the counter began anew since
            self._told.clear()
        machine_id(layout)  # looked up while there are file descriptors
        self._begin_process()
        _journals.add(self)

    def _begin_process(self) -> None:
        self.process = process_id()
        self.writer = ""
        self.events = 0
        self.bytes = 0
        self._file: JournalFile | None = None
        self._spare: JournalFile | None = None
        """A new file that refused a record and was cut back: it may take the next one."""
        self._failing = False
        """Whether the last record was dropped: the next one is tried once, not twice."""
        self._told_here: Counter[str] = Counter()
        self._tellings = 0
        self._tried = 0.0
        self._lock = threading.RLock()
        self._busy = False
        self._waiting: deque[bytes] = deque()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._flusher: threading.Thread | None = None
        self._closed = threading.Event()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, body: bytes) -> None:
        """Append one record. In mode `process` it has reached write(2) when this returns."""
        with self._lock:
            if self._busy:  # a signal handler or a finalizer came in between: the call below us writes it
                self._waiting.append(body)
                return
            self._busy = True
            try:
                self._put(body)
                if self._waiting:
                    self._put_waiting()
            finally:
                self._busy = False

    def extend(self, bodies: list[bytes]) -> int:
        """Append records in one write, in mode `fsync` with one sync; return how many, from the first on, now stand.

        What does not stand is the caller's again: it is neither counted nor told as dropped.
        """
        with self._lock:
            if self._busy:  # as in `append`
                self._waiting.extend(bodies)
                return len(bodies)
            self._busy = True
            before = Counter(self.dropped)
            try:
                self._write_buffer()
                self._write(rest := list(bodies))
                self.dropped.subtract(self.dropped - before)
                self._put_waiting()
                return len(bodies) - len(rest)
            finally:
                self._busy = False

    def _put_waiting(self) -> None:
        while self._waiting:
            self._put(self._waiting.popleft())

    def _put(self, body: bytes) -> None:
        if self.mode == "buffered":
            self._keep(body)
            return
        file = self._file
        if file is None:
            self._write([body])
            return
        number = b',"seq":%d' % file.seq
        line = b"".join((body, number, b',"crc":"%08x"}\n' % crc32(number, crc32(body))))
        size = len(line)
        try:
            written = os.write(file.fd, line)
            if written != size:
                write_all(file.fd, line[written:])
            if file.durable:
                file.sync()
            file.seq += 1
            file.size += size
            self.events += 1
            self.bytes += size
        except OSError as error:
            self._write([body], reason(error))
        except BaseException:  # KeyboardInterrupt between write and count: the number may be used up, so end the file
            self._give_up()
            raise

    def _keep(self, body: bytes) -> None:
        if self._file is None and not self._buffer:
            self._open()  # a process that records shows that it lives; where that fails, the flush tries again
        self._buffer.append(body)
        self._buffered += len(body)
        if self._buffered >= BUFFER_BYTES:
            self._write_buffer()
        elif self._flusher is None:
            self._start_flusher()

    def _write_buffer(self) -> None:
        if self._buffer:
            bodies, self._buffer, self._buffered = self._buffer, [], 0  # first: an interrupt must not write them twice
            self._write(bodies)

    def _write(self, rest: list[bytes], why: str = "") -> None:
        """Write records, or drop and count them. `why` says that the file in use has failed on them."""
        try:
            if self._file is not None and not why:
                why = self._send(self._file, rest)
            if self._file is None or why:
                why = self._again(rest, why)
        except BaseException as error:  # KeyboardInterrupt: what is not known to stand is counted
            self._give_up()
            self._drop(rest, type(error).__name__)
            raise
        self._failing = bool(why)
        self._drop(rest, why)

    def _send(self, file: JournalFile, rest: list[bytes]) -> str:
        """Write what is to be told and records; those that stand are taken out of `rest`. Say why not all do."""
        lost = self.dropped - self._told
        before, size = file.seq, file.size
        try:
            return file.send([_loss(lost), *rest] if lost else rest)
        finally:
            done = file.seq - before
            if lost and done:
                self._told.update(lost)
                self._told_here.update(lost)
                self._tellings += 1
                done -= 1
            del rest[:done]
            self.events += done
            self.bytes += file.size - size

    def _drop(self, rest: list[bytes], why: str) -> None:
        if rest:
            self.dropped[why] += len(rest)

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _again(self, rest: list[bytes], why: str) -> str:
        """Finish the file that failed and write `rest` into a new one; say why where that does not take it either."""
        if (file := self._file) is not None:
            if not file.cut():  # what may still stand there must not be written again
                self._give_up()
                return why
            self._finish(file)
        tries = 1 if self._failing else 2
        while tries:
            tries -= 1
            if why := self._open():
                continue
            new: JournalFile = self._file  # type: ignore[assignment]  # _open made it
            before = len(rest)
            if not (why := self._send(new, rest)):
                return ""
            if not new.cut():
                self._give_up()
                return why
            if new.suspect:
                self._give_up()
            elif len(rest) < before:  # it took some: the others have a try in another one
                self._finish(new)
                tries = 1
            else:
                self._file, self._spare = None, new
        return why

    def _open(self) -> str:
        """Begin a file, or go on in the one that was laid aside; say why that fails."""
        if self._spare is not None:
            self._file, self._spare = self._spare, None
            return ""
        # One process's files sort in the order in which it wrote them, whatever its clock does.
        Journal._millisecond = max(time.time_ns() // 1_000_000, Journal._millisecond + 1)
        try:
            self._file = JournalFile(self.layout, Journal._millisecond, durable=self.mode == "fsync")
        except OSError as error:
            return reason(error)
        self.writer = self._file.writer
        self._told_here, self._tellings = Counter(), 0
        _close_with_worker()
        return ""

    def _finish(self, file: JournalFile) -> None:
        file.finish(self.layout.id)
        self._file = None

    def _give_up(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close(self.layout.id)

    # ── the process around it ────────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Hand every record to write(2), and in mode `fsync` to the disk."""
        self._alone(self._write_buffer)

    def check(self) -> None:
        """Tell of what was lost; notice that the file was removed under us: what it held is lost, a new one begins."""
        self._alone(self._look)

    def close(self) -> None:
        """Flush and finish the file; a later `append` begins a new one."""
        with self._lock:
            self._closed.set()
            self._alone(self._leave)
            self._flusher = None
            self._closed = threading.Event()

    def _alone(self, action: Callable[[], None]) -> None:
        """Do one thing with the journal; what a signal handler appends meanwhile is written behind it."""
        with self._lock:
            if self._busy:
                return
            self._busy = True
            try:
                self._put_waiting()
                action()
                self._put_waiting()
            finally:
                self._busy = False

    def _look(self) -> None:
        file = self._file
        if file is not None and file.gone():
            records = file.seq - 1 - self._tellings
            self._told.subtract(self._told_here)
            self._give_up()
            if records:
                self.dropped["the journal's file was removed"] += records
        # Where nothing can be written this makes and removes a file, so it is not done at every tick.
        if self.dropped - self._told and (self._file or time.monotonic() - self._tried > TELL_SECONDS):
            self._tried = time.monotonic()
            self._write([])

    def _leave(self) -> None:
        self._write_buffer()
        self._tried = 0.0
        self._look()
        if self._spare is not None:
            self._open()
        if self._file is not None:
            self._finish(self._file)

    def _start_flusher(self) -> None:
        thread = threading.Thread(target=self._flush_often, args=(self._closed,), name="tele-flush", daemon=True)
        self._flusher = thread
        try:
            thread.start()
        except RuntimeError:  # no thread to be had, or the interpreter is going: write at once instead
            self._flusher = None
            self._write_buffer()

    def _flush_often(self, closed: threading.Event) -> None:
        while not closed.wait(FLUSH_SECONDS):
            self.flush()

    def _in_child(self) -> None:
        self.dropped.clear()  # the parent tells of its own
        self._told.clear()
        inherited = (self._file, self._spare)
        self._begin_process()
        for file in inherited:
            if file is not None:
                os.close(file.fd)  # only our copy: the parent's keeps the lock


def flush_all() -> None:
    """Flush every journal of this process."""
    for journal in tuple(_journals):
        journal.check()
        journal.flush()


def _close_all() -> None:
    for journal in tuple(_journals):
        journal.close()


def _close_with_worker() -> None:
    """Have a worker of multiprocessing close its journals when it ends: it does not run what atexit holds."""
    global _registered
    if _registered == os.getpid() or "multiprocessing.util" not in sys.modules:
        return
    from multiprocessing import parent_process, util

    _registered = os.getpid()
    if parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=-100)


def _loss(lost: Counter[str]) -> bytes:
    """The event that says what was lost, by reason."""
    now = time.time_ns()
    event_id = f"{now // 1_000_000:012x}7{secrets.token_hex(2)[:3]}8{secrets.token_hex(8)[:15]}"
    facts = {"event_id": event_id, "kind": "event", "name": "tele.dropped", "start_ns": now, "status": "error"}
    return orjson.dumps({**facts, "attributes": {"count": lost.total(), "why": dict(lost)}})[:-1]


def _before_fork() -> None:
    for journal in tuple(_journals):
        journal._lock.acquire()  # noqa: SLF001  # the module owns its journals
        journal.flush()


def _after_in_parent() -> None:
    for journal in tuple(_journals):
        with contextlib.suppress(RuntimeError):  # made between the two hooks: never locked
            journal._lock.release()  # noqa: SLF001


def _after_in_child() -> None:
    forget_parent()
    for journal in tuple(_journals):
        journal._in_child()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
atexit.register(_close_all)
