"""Which file holds what, found by content: suffixes are not asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from tele.errors import BadInput
from tele.telemetry.ingest import (
    chrome,
    console,
    inspect_log,
    inspect_zip,
    jaeger,
    langfuse,
    otlp,
    otlp_file,
    scryptorum,
    tempo,
    tfevents,
    zipkin,
)
from tele.telemetry.ingest.opening import opened
from tele.telemetry.ingest.record import Place, Problem, Record

__all__ = [
    "FILE_READERS",
    "READERS",
    "Content",
    "FileReader",
    "Reader",
    "content",
    "detect",
    "detect_file",
    "readers_named",
]

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


class FileReader(Protocol):
    """One foreign format that is no JSON: a module with these three names."""

    NAME: str

    def sniff(self, head: bytes) -> bool:
        """Say whether a file that begins so is of this format."""
        ...

    def read(self, path: Path, place: Place) -> Iterator[Record | Problem]:
        """Give the records of a file; what is damaged becomes a Problem."""
        ...


READERS: tuple[Reader, ...] = (otlp, tempo, jaeger, langfuse, zipkin, console, inspect_log, chrome, scryptorum)
FILE_READERS: tuple[FileReader, ...] = (inspect_zip, tfevents, otlp_file)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, by its first bytes."""

    kind: Kind
    packed: bool
    """Whether it is gzip."""
    binary_at: int = 0
    """Of a binary file, the first byte that is no text."""
    head: bytes = field(default=b"", repr=False, compare=False)
    """The first bytes, unpacked."""


def detect(document: object) -> Reader | None:
    """Find the format of a parsed JSON document."""
    return next((reader for reader in READERS if reader.sniff(document)), None)


def detect_file(head: bytes) -> FileReader | None:
    """Find the format of a file that is no JSON, by its first bytes."""
    return next((reader for reader in FILE_READERS if reader.sniff(head)), None)


def readers_named(name: str) -> tuple[Reader | None, FileReader | None]:
    """Give the readers of the format `name`, for JSON and for other files; raises BadInput with the nearest names."""
    names: dict[str, tuple[Reader | None, FileReader | None]] = {reader.NAME: (reader, None) for reader in READERS}
    for reader in FILE_READERS:
        names[reader.NAME] = (names.get(reader.NAME, (None, None))[0], reader)
    if name not in names:
        near = difflib.get_close_matches(name, names, 1) or sorted(names)
        raise BadInput(f"No format {name!r}. Did you mean {' or '.join(near)}? Known are {', '.join(sorted(names))}.")
    return names[name]


def content(path: Path) -> Content:
    """Look at the head of a file; raises one of `unpacking_errors` where it cannot be read."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with opened(path) as stream:
        head = stream.read(HEAD_BYTES)
        whole = len(head) < HEAD_BYTES or not stream.read(1)
    if head[:4] == b"PAR1":
        return Content("parquet", packed, head=head)
    bad = _first_binary(head, whole)
    if bad is not None:
        return Content("binary", packed, bad, head)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return Content("empty" if whole else "text", packed, head=head)
    return Content("json" if text[:1] in {b"{", b"["} else "text", packed, head=head)


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
