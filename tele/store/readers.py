"""Who reads: one locked file for each open reader, named by the manifest entry that it reads.

Files that compaction replaced stay while a reader that began before is open. The kernel drops the lock when a reader
dies, however it dies.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

from tele.store.layout import Layout
from tele.store.locks import try_lock

__all__ = ["Attendance", "oldest"]

NONE = 2**62
"""Oldest entry being read where nobody reads."""
_STALE_SECONDS = 60
_NAME = re.compile(r"\.?\d{12}-\d+-[0-9a-f]{12}")


class Attendance:
    """Says that this process reads the store, until `close`.

    Where the store is read-only nothing can be said, and the grace period of removed files has to do.
    """

    def __init__(self, layout: Layout) -> None:
        """Say so before the manifest is read, so that nothing it names goes in between."""
        self._path: Path | None = None
        self._fd = -1
        name = f"{0:012d}-{os.getpid()}-{secrets.token_hex(6)}"
        temporary = layout.readers / f".{name}"
        try:
            layout.readers.mkdir(mode=0o700, exist_ok=True)  # a store of format 1 has none
            self._fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try_lock(self._fd)
            self._path = temporary.rename(layout.readers / name)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def at(self, n: int) -> None:
        """Say that entry `n` is the one that is read: what was removed before it is not needed."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path = self._path.rename(self._path.with_name(f"{n:012d}-{self._path.name[13:]}"))

    def close(self) -> None:
        """Say that the reader is done."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._path = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def oldest(layout: Layout) -> int:
    """Number of the oldest entry that a living reader reads; `NONE` where there is no reader.

    What dead readers left behind goes.
    """
    least = NONE
    try:
        names = os.listdir(layout.readers)
    except FileNotFoundError:
        return least
    for name in names:
        if not _NAME.fullmatch(name):
            continue
        path = layout.readers / name
        with contextlib.suppress(OSError, ValueError):
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe of that name holds nobody up
            try:
                if not try_lock(fd, shared=True):
                    least = min(least, int(name.lstrip(".")[:12]))
                # One that has no name yet may just be about to lock its file.
                elif not name.startswith(".") or time.time() - os.fstat(fd).st_mtime > _STALE_SECONDS:
                    path.unlink()
            finally:
                os.close(fd)
    return least
