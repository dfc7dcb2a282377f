"""One file of a journal: how it begins, how lines get into it, and how it ends.

The file is made under a temporary name and locked, so that nobody sees it unlocked or without header, and renamed into
place. An empty marker beside it, `<writer>.born`, says that it was there, whatever becomes of it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import secrets
import time
from pathlib import Path

from tele.store.columns import SCHEMA_VERSION
from tele.store.files import fsync_file, fsync_folder, sync, write_all
from tele.store.layout import FORMAT, Layout
from tele.store.line import END, finish
from tele.store.locks import try_lock

__all__ = ["JournalFile", "machine_id", "process_id", "reason"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_process = ""
_finished: dict[str, tuple[str, int]] = {}
"""By store, the file that this process finished last and the number that its next record would have had."""


def machine_id(layout: Layout) -> str:
    """16 hex digits that tell this machine from others within one store, and name it to nobody else."""
    return hashlib.blake2b(_machine().encode(), key=layout.hash_key, digest_size=8).hexdigest()


@functools.cache  # a process that has no file descriptor left must not take itself for another machine
def _machine() -> str:
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            if name := Path(source).read_text().strip():
                return name
    return platform.node()


def process_id() -> str:
    """Name of this process, the same in all its journals; a forked child has another one."""
    global _process
    _process = _process or "p" + secrets.token_hex(10)
    return _process


def reason(error: OSError) -> str:
    """What went wrong, without the name of a file."""
    return error.strerror or str(error)


class JournalFile:
    """One file that is being written. `seq` and `size` say what stands in it whole: the next number, and the end."""

    __slots__ = ("durable", "fd", "path", "seq", "size", "suspect", "writer")

    def __init__(self, layout: Layout, millisecond: int, *, durable: bool) -> None:
        """Begin a file, on the disk where it is to be `durable`; raises OSError and leaves nothing behind then."""
        self.writer = f"w{millisecond:012x}{secrets.token_hex(4)}"
        self.durable = durable
        self.suspect = False
        """Whether an fsync failed: what became of the file's pages is unknown, so it takes nothing more."""
        folder = layout.journals
        self.path = folder / f"{self.writer}.jsonl"
        temporary, marker = folder / f".{self.writer}.new", folder / f"{self.writer}.born"
        header = _header(layout, self.writer)
        self.fd = -1
        try:
            self.fd = os.open(temporary, _NEW | os.O_APPEND, 0o600)
            try_lock(self.fd)
            write_all(self.fd, header)
            if durable:
                os.fsync(self.fd)
            temporary.rename(self.path)
            if durable:
                fsync_folder(folder)
            # Behind the rename, or a marker that survives alone would tell of a loss that never was. A journal without
            # one is as good, only not missed when it is deleted.
            with contextlib.suppress(OSError):
                os.close(os.open(marker, _NEW, 0o600))
        except BaseException:
            _remove(self.fd, marker, temporary, self.path)
            raise
        self.seq, self.size = 1, len(header)

    def send(self, bodies: list[bytes]) -> str:
        """Write records and say why where not all of them stand; `seq` tells how many do."""
        lines = [finish(body, number) for number, body in enumerate(bodies, self.seq)]
        try:
            write_all(self.fd, b"".join(lines))
            if self.durable:
                self.sync()
        except OSError as error:
            if not self.durable:  # else none of them is known to be on the disk
                self._take(lines)
            return reason(error)
        except BaseException:  # KeyboardInterrupt: the write may have happened, and its result is lost
            self._take(lines)
            raise
        self._take(lines)
        return ""

    def _take(self, lines: list[bytes]) -> None:
        """Count the lines that stand whole: nobody else writes to the file, so its size says how many do."""
        written = os.fstat(self.fd).st_size - self.size
        for line in lines:
            written -= len(line)
            if written < 0:
                break
            self.size += len(line)
            self.seq += 1

    def sync(self) -> None:
        """Wait until the file is on the disk; raises OSError."""
        self.suspect = True
        sync(self.fd)
        self.suspect = False

    def cut(self) -> bool:
        """Cut the file back to what stands in it whole; say whether that worked."""
        try:
            if os.fstat(self.fd).st_size == self.size:
                return True
            os.ftruncate(self.fd, self.size)
            if self.durable:  # else a record that is written again may stand twice after a power loss
                fsync_file(self.path)  # through another descriptor: on one that saw an fsync fail the next says nothing
        except OSError:
            return False
        return True

    def gone(self) -> bool:
        """Whether the file is not at its place any more."""
        try:
            there, here = self.path.stat(), os.fstat(self.fd)
        except OSError as error:
            return isinstance(error, FileNotFoundError)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def finish(self, store: str) -> None:
        """Say behind the last record that nothing is missing, where that can be said, and close the file."""
        if not self.suspect:
            line = finish(END, self.seq)
            with contextlib.suppress(OSError):  # a file without its last line holds all its records
                write_all(self.fd, line)
                self.size += len(line)  # and not `seq`: without this line no record is missing
                if self.durable:
                    self.sync()
                self._mark()
            self.cut()
        self.close(store)

    def _mark(self) -> None:
        """Have the marker say where the journal ends: one that is cut afterwards cannot."""
        fd = os.open(self.path.with_suffix(".born"), os.O_WRONLY)
        try:
            write_all(fd, finish(b'%b,"writer":"%b"' % (END, self.writer.encode()), self.seq))
        finally:
            os.close(fd)

    def close(self, store: str) -> None:
        """Close the file as it is; the next one that this process begins in `store` will name it."""
        fd, self.fd = self.fd, -1
        _finished[store] = (self.writer, self.seq)
        with contextlib.suppress(OSError):  # the file is given up: its close has nothing left to lose
            os.close(fd)


def forget_parent() -> None:
    """Begin as a process of its own, in a forked child."""
    global _process
    _process = ""
    _finished.clear()


def _header(layout: Layout, writer: str) -> bytes:
    facts: dict[str, object] = {
        "tele": "journal",
        "format": FORMAT,
        "version": SCHEMA_VERSION,
        "store": layout.id,
        "writer": writer,
        "process": process_id(),
        "pid": os.getpid(),
        "machine": machine_id(layout),
        "start_ns": time.time_ns(),
    }
    if before := _finished.get(layout.id):
        facts["previous"] = {"writer": before[0], "next": before[1]}
    return finish(json.dumps(facts, separators=(",", ":")).encode()[:-1], 0)


def _remove(fd: int, *paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)
