"""Zip archives that others wrote: their members by name, read in place and never unpacked to disk.

A member is read through a bound, whatever the archive says of its size, and all of them together through another: a
bomb ends in a Problem. An archive that is cut off has lost its list of members, which stands at the end; what is whole
of it is found from the beginning. Stored, deflated and zstd members are read (zstd by pyarrow).
"""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from tele.telemetry.ingest.opening import Bounded, allowed

__all__ = ["Archive", "Member"]

_STORED, _DEFLATED, _ZSTD = 0, 8, 93
_LOCAL = struct.Struct("<4s5H3I2H")
_MAGIC = b"PK\x03\x04"
_ENCRYPTED, _SIZES_FOLLOW = 0x1, 0x8
_BIG = 0xFFFFFFFF
MOST_MEMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Member:
    """One file within an archive."""

    name: str
    at: int
    """Where its local header begins."""
    packed: int | None
    """Bytes of its data as packed; None where only the data itself tells."""


@dataclass(slots=True)
class Archive:
    """A zip archive. Raises OSError where it is none, and from `open` for a member that cannot be read."""

    path: Path
    members: dict[str, Member] = field(default_factory=dict)
    cut: bool = False
    """Whether the list of its members was gone, and they were found from the beginning."""
    left: int = 0
    """Bytes that may still be unpacked."""

    def __post_init__(self) -> None:
        self.left = allowed(self.path.stat().st_size)
        try:
            with zipfile.ZipFile(self.path) as archive:
                infos = archive.infolist()
                found = [Member(info.filename, info.header_offset, info.compress_size) for info in infos]
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError):
            self.cut = True
            found = list(_salvaged(self.path))
        self.members = {member.name: member for member in found[:MOST_MEMBERS]}

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member for reading, unpacked."""
        member = self.members[name]
        with self.path.open("rb") as raw:
            method, flags, packed = _header(raw, member)
            if flags & _ENCRYPTED:
                raise OSError("it is encrypted")
            data = _Part(raw, member.packed if member.packed is not None else packed)
            counted = Bounded(_unpacked(data, method), self.left)
            try:
                yield cast("IO[bytes]", io.BufferedReader(counted, 1 << 18))
            finally:
                self.left -= counted.passed


def _header(raw: IO[bytes], member: Member) -> tuple[int, int, int | None]:
    """Read a local header; gives method, flags and packed size, and leaves `raw` at the data."""
    raw.seek(member.at)
    head = raw.read(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != _MAGIC:
        raise OSError("its header is damaged")
    _, _, flags, method, _, _, _, packed, _, name, extra = _LOCAL.unpack(head)
    raw.seek(name + extra, io.SEEK_CUR)
    return method, flags, None if flags & _SIZES_FOLLOW or packed == _BIG else packed


def _unpacked(data: _Part, method: int) -> IO[bytes]:
    if method == _STORED:
        return cast("IO[bytes]", data)
    if method == _DEFLATED:
        return cast("IO[bytes]", _Inflated(data))
    if method == _ZSTD:
        import pyarrow as pa

        return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(data, mode="r"), "zstd"))
    raise OSError(f"its compression (method {method}) is not one that is read")


class _Part(io.RawIOBase):
    """The bytes of one member, as packed; without a size, all that follow."""

    def __init__(self, raw: IO[bytes], size: int | None) -> None:
        super().__init__()
        self._raw, self._left = raw, size

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what callers give
        """Read on."""
        want = len(buffer) if self._left is None else min(len(buffer), self._left)
        data = self._raw.read(want)
        if want and not data and self._left:
            raise OSError("it is cut off")
        buffer[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
        return len(data)


class _Inflated(io.RawIOBase):
    """Raw deflate, which says itself where it ends."""

    def __init__(self, packed: io.RawIOBase) -> None:
        super().__init__()
        self._packed = packed
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._rest = b""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what callers give
        """Read on; no more is unpacked than was asked for."""
        while not self._inflate.eof:
            if not self._rest:
                self._rest = self._packed.read(1 << 16) or b""
                if not self._rest:
                    raise EOFError("it is cut off")
            data = self._inflate.decompress(self._rest, len(buffer))
            self._rest = self._inflate.unconsumed_tail
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0

    @property
    def unused(self) -> int:
        """Bytes that were read behind its end."""
        return len(self._inflate.unused_data) + len(self._rest)


def _salvaged(path: Path) -> Iterator[Member]:
    """Find members from the beginning of an archive; the last may be cut off."""
    at = 0
    with path.open("rb") as raw:
        for _ in range(MOST_MEMBERS):
            raw.seek(at)
            head = raw.read(_LOCAL.size)
            if len(head) < _LOCAL.size or head[:4] != _MAGIC:
                return
            _, _, flags, method, _, _, _, packed, _, named, extra = _LOCAL.unpack(head)
            name = raw.read(named).decode("utf-8", "replace")
            begins = at + _LOCAL.size + named + extra
            raw.seek(begins)
            size = None if flags & _SIZES_FOLLOW or packed == _BIG else packed
            yield Member(name, at, size)
            if size is None:
                size = _deflated_size(raw, begins) if method == _DEFLATED else None
            if size is None:
                return
            at = _next_header(raw, begins + size)


def _deflated_size(raw: IO[bytes], begins: int) -> int | None:
    """Give the packed size of a member by unpacking it; None where it is cut off or damaged."""
    stream = _Inflated(_Part(raw, None))
    with contextlib.suppress(EOFError, zlib.error, OSError):
        while stream.read(1 << 18):
            pass
        return raw.tell() - stream.unused - begins
    return None


def _next_header(raw: IO[bytes], at: int) -> int:
    """Go behind the sizes that may follow a member's data."""
    raw.seek(at)
    found = raw.read(64).find(_MAGIC)
    return at + max(found, 0)
