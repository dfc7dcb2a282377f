"""The journal: where a process appends what it records.

One file for each process, opened with O_APPEND and locked with flock while the process lives. A file whose write failed
is finished and a new one is begun; what could not be written is counted and told in the next file that can be.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import threading
import time
import weakref
from collections import Counter, deque
from pathlib import Path
from typing import Literal, get_args
from zlib import crc32

from tele.errors import BadInput
from tele.store.columns import SCHEMA_VERSION
from tele.store.layout import Layout, fsync_folder
from tele.store.line import finish

__all__ = ["Durability", "Journal", "durability", "flush_all", "machine_id"]

Durability = Literal["process", "fsync", "buffered"]
"""`process`: in write(2) before the call returns; `fsync`: on the disk; `buffered`: within 250 ms."""

BUFFER_BYTES = 64 * 1024
FLUSH_SECONDS = 0.25

_F_FULLFSYNC = getattr(fcntl, "F_FULLFSYNC", None)
_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def durability(name: str) -> Durability:
    """Check the name of a durability mode; raises BadInput."""
    for known in get_args(Durability):
        if name == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise BadInput(f"Durability is 'process', 'fsync' or 'buffered', not {name!r}.")


def machine_id(layout: Layout) -> str:
    """16 hex digits that tell this machine from others within one store, and name it to nobody else."""
    name = ""
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            name = name or Path(source).read_text().strip()
    name = name or os.uname().nodename
    return hashlib.blake2b(name.encode(), key=layout.hash_key, digest_size=8).hexdigest()


class Journal:
    """Appends lines for one process. Safe across threads, signal handlers and fork; never raises an OSError.

    `append` takes a JSON object as bytes without its last brace. What could not be written is in `dropped`, by reason.
    """

    def __init__(self, layout: Layout, mode: Durability = "process", dropped: Counter[str] | None = None) -> None:
        """Take the store; `dropped` counts the losses of a process across its journals. Nothing is opened yet."""
        self.layout = layout
        self.mode = mode
        self.dropped: Counter[str] = Counter() if dropped is None else dropped
        self._told: Counter[str] = Counter()
        self._millisecond = 0
        self._begin_process()
        _journals.add(self)

    def _begin_process(self) -> None:
        self.process = "p" + secrets.token_hex(10)
        self.writer = ""
        self._fd = -1
        self._seq = 0
        self._lock = threading.RLock()
        self._busy = False
        self._waiting: deque[bytes] = deque()
        self._buffer = bytearray()
        self.events = 0
        self.bytes = 0
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

    def _put_waiting(self) -> None:
        while self._waiting:
            self._put(self._waiting.popleft())

    def _put(self, body: bytes) -> None:
        if self._fd < 0 and not self._open():
            return
        content = b'%b,"seq":%d' % (body, self._seq)
        line = b'%b,"crc":"%08x"}\n' % (content, crc32(content))
        try:
            if self.mode == "buffered":
                self._keep(line)
                return
            written = os.write(self._fd, line)
            if written != len(line):
                self._end(f"short write ({written} of {len(line)} bytes)", 1)
                return
            if self.mode == "fsync":
                self._fsync()
            self._seq += 1
            self.events += 1
            self.bytes += written
        except OSError as error:
            self._end(error.strerror or str(error), 1)
        except BaseException:  # KeyboardInterrupt between write and count: the number may be used up, so end the file
            self._write_buffer()
            self._close_file()
            raise

    def _keep(self, line: bytes) -> None:
        self._buffer += line
        self._seq += 1
        self.events += 1
        if len(self._buffer) >= BUFFER_BYTES:
            self._write_buffer()
        elif self._flusher is None:
            self._start_flusher()

    def _fsync(self) -> None:
        if _F_FULLFSYNC is not None:
            fcntl.fcntl(self._fd, _F_FULLFSYNC)
        else:
            os.fdatasync(self._fd)

    def _write_buffer(self) -> None:
        data, self._buffer = self._buffer, bytearray()  # first: an interrupt must not have it written twice
        lines = data.count(b"\n")
        try:
            written = os.write(self._fd, data) if self._fd >= 0 else 0
        except OSError as error:
            self._end(error.strerror or str(error), lines)
            return
        if written != len(data):
            whole = data.count(b"\n", 0, written)
            self._end(f"short write ({written} of {len(data)} bytes)", lines - whole)
            return
        self.bytes += written

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> bool:
        """Begin a file: made under a temporary name and locked, so that nobody sees it unlocked or without header."""
        # One process's files sort in the order in which it wrote them, whatever its clock does.
        self._millisecond = max(time.time_ns() // 1_000_000, self._millisecond + 1)
        writer = f"w{self._millisecond:012x}{secrets.token_hex(4)}"
        path = self.layout.journals / f"{writer}.jsonl"
        temporary = self.layout.journals / f".{writer}.new"
        fd = -1
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            beginning, told, next_seq = self._beginning(writer)
            if os.write(fd, beginning) != len(beginning):
                raise OSError(28, "No space left on device")  # noqa: TRY301  # a short header is a failed one
            temporary.rename(path)
            if self.mode == "fsync":
                os.fsync(fd)
                fsync_folder(self.layout.journals)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            with contextlib.suppress(OSError):
                temporary.unlink()
            self.dropped[error.strerror or str(error)] += 1
            return False
        self._fd, self.writer, self._seq, self._told = fd, writer, next_seq, told
        return True

    def _beginning(self, writer: str) -> tuple[bytes, Counter[str], int]:
        """Header and, where records were dropped before, the event that says so; what is told then; the next number."""
        header = {
            "tele": "journal",
            "version": SCHEMA_VERSION,
            "store": self.layout.id,
            "writer": writer,
            "process": self.process,
            "pid": os.getpid(),
            "machine": machine_id(self.layout),
            "start_ns": time.time_ns(),
        }
        lines = [_body(header)]
        told = self.dropped.copy()
        if lost := told - self._told:
            lines.append(_loss(lost))
        return b"".join(finish(line, seq) for seq, line in enumerate(lines)), told, len(lines)

    def _end(self, why: str, lost: int) -> None:
        self.dropped[why] += lost
        self._close_file()

    def _close_file(self) -> None:
        self._buffer.clear()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # the file is given up: its close has nothing left to lose
                os.close(fd)

    # ── the process around it ────────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Hand every record to write(2), and in mode `fsync` to the disk."""
        with self._lock:
            if self._busy:
                return
            self._put_waiting()
            if self._buffer:
                self._write_buffer()

    def check(self) -> None:
        """Tell of what was lost; notice that the file was removed under us: what it held is lost, a new one begins."""
        with self._lock:
            if self._fd >= 0 and not self._busy and os.fstat(self._fd).st_nlink == 0:
                self.flush()
                self._end("the journal's file was removed", self._seq - 1)
            if self._fd >= 0 and not self._busy and (lost := self.dropped - self._told):
                self._told = self.dropped.copy()
                self._put(_loss(lost))

    def close(self) -> None:
        """Flush and finish the file; a later `append` begins a new one."""
        with self._lock:
            self._closed.set()
            self.flush()
            self._close_file()
            self._flusher = None
            self._closed = threading.Event()

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
        self._told = Counter()
        inherited = self._fd
        self._begin_process()
        if inherited >= 0:
            os.close(inherited)  # only our copy: the parent's keeps the lock


def flush_all() -> None:
    """Flush every journal of this process."""
    for journal in tuple(_journals):
        journal.check()
        journal.flush()


def _loss(lost: Counter[str]) -> bytes:
    """The event that says what was lost, by reason."""
    now = time.time_ns()
    event_id = f"{now // 1_000_000:012x}7{secrets.token_hex(2)[:3]}8{secrets.token_hex(8)[:15]}"
    facts = {"event_id": event_id, "kind": "event", "name": "tele.dropped", "start_ns": now, "status": "error"}
    return _body({**facts, "attributes": {"count": lost.total(), "why": dict(lost)}})


def _body(facts: dict[str, object]) -> bytes:
    return json.dumps(facts, separators=(",", ":")).encode()[:-1]


def _before_fork() -> None:
    for journal in tuple(_journals):
        journal._lock.acquire()  # noqa: SLF001  # the module owns its journals
        journal.flush()


def _after_in_parent() -> None:
    for journal in tuple(_journals):
        with contextlib.suppress(RuntimeError):  # made between the two hooks: never locked
            journal._lock.release()  # noqa: SLF001


def _after_in_child() -> None:
    for journal in tuple(_journals):
        journal._in_child()  # noqa: SLF001


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
