"""One sealer at a time: a lock on the file `lease`, which the kernel drops when its holder dies."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tele.errors import StoreBusy, StoreNotWritable
from tele.store.layout import Layout
from tele.store.locks import try_lock

__all__ = ["changing", "lease"]


@contextmanager
def changing(layout: Layout, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lease and change the store; what the system refuses is a StoreNotWritable. See `lease`."""
    with lease(layout, wait=wait):
        try:
            yield
        except OSError as error:
            raise StoreNotWritable(layout.root, error.strerror or str(error)) from None


@contextmanager
def lease(layout: Layout, *, wait: float = 0.0, name: str = "lease") -> Iterator[None]:
    """Hold the store's lease; wait up to `wait` seconds for it. Raises StoreBusy with the holder, or StoreNotWritable.

    `name` is the file that is locked: `lease` for whoever changes the manifest, `ingest` for who brings in foreign
    files.
    """
    try:
        fd = os.open(layout.root / name, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise StoreNotWritable(layout.root, error.strerror or str(error)) from None
    try:
        _lock(fd, layout, time.monotonic() + wait)
        with contextlib.suppress(OSError):  # a full disk must not keep the one out who makes room
            os.ftruncate(fd, 0)
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            os.pwrite(fd, f"process {os.getpid()} since {since}".encode(), 0)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, layout: Layout, until: float) -> None:
    while True:
        try:
            locked = try_lock(fd)
        except OSError as error:
            raise StoreNotWritable(layout.root, f"its file system has no locks ({error.strerror})") from None
        if locked:
            return
        if not time.monotonic() < until:  # so that `--wait nan` does not wait for ever
            raise StoreBusy(layout.root, _holder(fd))
        time.sleep(0.02)


def _holder(fd: int) -> str:
    """Who holds the lock, by what it wrote; one that was stopped is said to be."""
    text = os.pread(fd, 200, 0).decode("utf-8", "replace")
    named = re.match(r"process (\d+)", text)
    if named is None:
        return "another process"
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{named[1]}/stat").read_text()
        if status.rpartition(")")[2].split()[0] in ("T", "t"):
            return f"{text}, which was stopped (`kill -CONT {named[1]}` lets it go on)"
    return text
