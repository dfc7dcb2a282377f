"""Opening files that others wrote: gzip unpacked, and no more of it than a real trace holds."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

__all__ = ["LEAST_ALLOWED", "MOST_RATIO", "Bounded", "allowed", "opened", "unpacking_errors"]

unpacking_errors = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged or unreadable file raises."""

MOST_RATIO = 250
"""Unpacked bytes for each packed one, above which a file is no trace: real ones have 10 to 60, a bomb 1000."""
LEAST_ALLOWED = 256 << 20
"""So much may be unpacked whatever the ratio."""
_BUFFER = 1 << 18


def allowed(packed: int) -> int:
    """Give how many bytes may be unpacked of so many packed ones."""
    return max(LEAST_ALLOWED, packed * MOST_RATIO)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked where it is gzip; a gzip bomb raises OSError when too much was read."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            with gzip.open(raw) as unpacked:
                source = Bounded(cast("IO[bytes]", unpacked), allowed(path.stat().st_size))
                yield cast("IO[bytes]", io.BufferedReader(source, _BUFFER))
        else:
            yield raw


class Bounded(io.RawIOBase):
    """A stream that raises OSError beyond so many bytes."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        super().__init__()
        self._source, self._most = source, most
        self.passed = 0
        """Bytes that were read."""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can seek as its source can."""
        return self._source.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte of the unpacked stream."""
        self.passed = self._source.seek(offset, whence)
        return self.passed

    def tell(self) -> int:
        """Say where it stands in the unpacked stream."""
        return self._source.tell()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what BufferedReader gives
        """Read on."""
        data = self._source.read(len(buffer)) or b""
        buffer[: len(data)] = data
        self.passed += len(data)
        if self.passed > self._most:
            raise OSError(f"it unpacks to more than {self._most >> 20} MiB, as no trace does")
        return len(data)
