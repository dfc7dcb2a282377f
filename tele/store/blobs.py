"""Bodies above 32 KiB, kept once by content: `blobs/ab/<sha256>`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from tele.errors import DamagedFile, UnknownTarget
from tele.store.layout import fsync_folder

__all__ = ["get", "put"]


def put(folder: Path, body: bytes, *, durable: bool = False) -> str:
    """Keep `body` and return its SHA-256 in hex. It is renamed into place, so no reader sees half of it.

    Raises OSError where it cannot be written.
    """
    name = hashlib.sha256(body).hexdigest()
    path = folder / name[:2] / name
    if path.exists():
        return name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(fd, view) :]
        if durable:
            os.fsync(fd)
        temporary.rename(path)
        if durable:
            fsync_folder(path.parent)
            fsync_folder(folder)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(fd)
    return name


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
