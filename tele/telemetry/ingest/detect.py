"""Which file holds what, found by content: suffixes are not asked."""

from __future__ import annotations

import contextlib
import difflib
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol, cast

from tele.errors import BadInput
from tele.telemetry.ingest import console, jaeger, otlp, zipkin
from tele.telemetry.ingest.record import Place, Problem, Record

__all__ = ["READERS", "Content", "Reader", "content", "detect", "opened", "reader_named", "unpacking_errors"]

HEAD_BYTES = 1 << 16

Kind = Literal["empty", "binary", "json", "parquet", "text"]


class Reader(Protocol):
    """One foreign format: a module with these three names."""

    NAME: str

    def sniff(self, document: object) -> bool:
        """Say whether a parsed JSON document is of this format."""
        ...

    def read(self, document: object, place: Place) -> Iterator[Record | Problem]:
        """Give the records of a document."""
        ...


READERS: tuple[Reader, ...] = (otlp, jaeger, zipkin, console)
unpacking_errors = (OSError, EOFError, zlib.error)
"""What reading a damaged or unreadable file raises."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, by its first bytes."""

    kind: Kind
    packed: bool
    """Whether it is gzip."""
    binary_at: int = 0
    """Of a binary file, the first byte that is no text."""


def detect(document: object) -> Reader | None:
    """Find the format of a parsed JSON document."""
    return next((reader for reader in READERS if reader.sniff(document)), None)


def reader_named(name: str) -> Reader:
    """Give the reader of the format `name`; raises BadInput with the nearest names."""
    names = {reader.NAME: reader for reader in READERS}
    if name not in names:
        near = difflib.get_close_matches(name, names, 1) or sorted(names)
        raise BadInput(f"No format {name!r}. Did you mean {' or '.join(near)}? Known are {', '.join(sorted(names))}.")
    return names[name]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked where it is gzip."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            with gzip.open(raw) as unpacked:
                yield cast("IO[bytes]", unpacked)  # a GzipFile is one, and typeshed does not say so
        else:
            yield raw


def content(path: Path) -> Content:
    """Look at the head of a file; raises one of `unpacking_errors` where it cannot be read."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with opened(path) as stream:
        head = stream.read(HEAD_BYTES)
        whole = len(head) < HEAD_BYTES or not stream.read(1)
    if head[:4] == b"PAR1":
        return Content("parquet", packed)
    bad = _first_binary(head, whole)
    if bad is not None:
        return Content("binary", packed, bad)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return Content("empty" if whole else "text", packed)
    return Content("json" if text[:1] in {b"{", b"["} else "text", packed)


def _first_binary(head: bytes, whole: bool) -> int | None:
    """Find the first byte that is no UTF-8 text; a character that the end of the head cuts is none."""
    nul = head.find(b"\0")
    try:
        head.decode()
    except UnicodeDecodeError as error:
        cut = not whole and error.reason == "unexpected end of data"
        if not cut:
            return error.start if nul < 0 else min(nul, error.start)
    return nul if nul >= 0 else None
