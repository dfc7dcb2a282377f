"""One sealer at a time: a lock on the file `lease`, which the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tele.errors import StoreBusy, StoreNotWritable
from tele.store.layout import Layout

__all__ = ["lease"]


@contextmanager
def lease(layout: Layout, *, wait: float = 0.0, name: str = "lease") -> Iterator[None]:
    """Hold the store's lease; wait up to `wait` seconds for it. Raises StoreBusy with the holder, or StoreNotWritable.

    `name` is the file that is locked: `lease` for whoever changes the manifest, `ingest` for who brings in foreign
    files.
    """
    try:
        fd = os.open(layout.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreNotWritable(layout.root, error.strerror or str(error)) from None
    try:
        _lock(fd, layout, time.monotonic() + wait)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}".encode(), 0)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, layout: Layout, until: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                holder = os.pread(fd, 200, 0).decode("utf-8", "replace") or "another process"
                raise StoreBusy(layout.root, holder) from None
            time.sleep(0.02)
        else:
            return
