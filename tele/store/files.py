"""Writing files so that nobody sees half of one, and so that they survive power loss."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path

if sys.platform == "darwin":
    import fcntl

__all__ = ["fsync_file", "fsync_folder", "ours", "publish_new", "replace_file", "sync", "write_all"]


def sync(fd: int) -> None:
    """Wait until what was written to `fd` is on the disk, and not in a drive's cache; raises OSError."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif sys.platform == "win32":
        os.fsync(fd)
    else:
        os.fdatasync(fd)


def write_all(fd: int, content: bytes) -> None:
    """Write all of `content`, however many calls that takes; raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def publish_new(path: Path, content: bytes) -> None:
    """Make `path` with `content`, synced, in one step; raises FileExistsError where it is there, or OSError."""
    temporary = _synced(path, content)
    try:
        os.link(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    fsync_folder(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Give `path` new content, synced, in one step; raises OSError."""
    temporary = _synced(path, content)
    try:
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    fsync_folder(path.parent)


def _synced(path: Path, content: bytes) -> Path:
    """Write `content` to a temporary file beside `path`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(fd, content)
        sync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(fd)
    return temporary


def ours(path: Path) -> bool:
    """Whether it is a file in a folder of the store: what is behind a link is not ours to move or to remove."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` survive power loss; raises OSError. Windows cannot be asked to."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make what `path` holds survive power loss, whoever wrote it; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
