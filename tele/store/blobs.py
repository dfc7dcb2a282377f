"""Bodies above 32 KiB, kept once by content: `blobs/ab/<sha256>`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from tele.errors import DamagedFile, UnknownTarget
from tele.store.files import fsync_file, fsync_folder, write_all

__all__ = ["get", "put"]


def put(folder: Path, body: bytes, *, durable: bool = False) -> str:
    """Keep `body` and return its SHA-256 in hex. It is renamed into place, so no reader sees half of it.

    With `durable` it is on the disk then, whoever wrote it. A failure that happens once is made good. Raises OSError
    where the body cannot be written, and leaves nothing behind.
    """
    name = hashlib.sha256(body).hexdigest()
    path = folder / name[:2] / name
    try:
        _place(path, body, anew=not _there(path), durable=durable)
    except OSError:  # once more, and as a new file: of one whose fsync failed nothing is known
        _place(path, body, anew=True, durable=durable)
    return name


def _place(path: Path, body: bytes, *, anew: bool, durable: bool) -> None:
    if anew:
        _write(path, body, durable=durable)
    elif durable:  # a process in another mode may have left it in memory
        fsync_file(path)
    if durable:
        fsync_folder(path.parent)
        fsync_folder(path.parent.parent)


def _there(path: Path) -> bool:
    """Whether the body is there; it is touched, so that it is not taken for one that nobody refers to."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except PermissionError:
        return path.exists()
    return True


def _write(path: Path, body: bytes, *, durable: bool) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    fd = -1
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        write_all(fd, body)
        if durable:
            os.fsync(fd)
        temporary.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        if fd >= 0:
            os.close(fd)


def get(folder: Path, reference: str) -> bytes:
    """Bytes behind `blob:SHA256` or a bare SHA-256; raises UnknownTarget or DamagedFile."""
    name = reference.removeprefix("blob:")
    path = folder / name[:2] / name
    if len(name) != 64 or not all(c in "0123456789abcdef" for c in name) or not path.is_file():  # noqa: PLR2004
        raise UnknownTarget(reference)
    body = path.read_bytes()
    if hashlib.sha256(body).hexdigest() != name:
        raise DamagedFile(path, "its content does not match its name")
    return body
