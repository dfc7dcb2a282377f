"""Locks on files, which the kernel drops when their holder dies. Where there are none (Windows), nothing is locked."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import fcntl

__all__ = ["try_lock"]


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock the open file, beside others where `shared`, until it is closed; say whether that worked.

    Raises OSError where the file system has no locks.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
