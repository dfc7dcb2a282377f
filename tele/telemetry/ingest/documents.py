"""The JSON documents of a file: one, one for each line, or one after another.

Lines are read one at a time, so a JSONL file of any size needs the memory of its longest line; of one large document
only its long lists are left in the file (`window`). What does not parse becomes a Problem; what is whole before it is
kept, and reading goes on with the next line that begins an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from tele.telemetry.ingest.opening import opened, unpacking_errors
from tele.telemetry.ingest.record import Place, Problem
from tele.telemetry.ingest.window import Long, Open, long_documents

__all__ = ["Document", "documents", "documents_of"]

MAX_LINE_BYTES = 16 << 20
"""A longer line is read as one large document."""


class Document(NamedTuple):
    """A parsed JSON value and where it stands."""

    place: Place
    value: object


def documents(path: Path) -> Iterator[Document | Problem]:
    """Give the JSON documents of the file at `path`, gzip or plain; never raises for what the file holds."""
    yield from documents_of(partial(opened, path), Place(str(path)))


def documents_of(open_: Open, place: Place) -> Iterator[Document | Problem]:
    """Give the JSON documents of what `open_` opens; a large one reads from there as long as it is in use."""
    try:
        with open_() as stream:
            head, number = _first_line(stream)
            long = len(head) == MAX_LINE_BYTES and not head.endswith(b"\n")
            first = place.problem("") if long else _parsed(head, place.at(f"line {number}"))
            following, skipped = (b"", 0) if isinstance(first, Problem) else _first_line(stream)
            if following and isinstance(first, Document):
                yield first
                yield from _lines(following, number + skipped, stream, place, open_)
                return
        if isinstance(first, Problem):
            yield from _large(long_documents(open_), place)
        else:
            yield Document(place, first.value)
    except unpacking_errors as error:
        yield place.problem(f"cannot be read: {error or type(error).__name__}")


def _large(found: Iterator[Long], place: Place) -> Iterator[Document | Problem]:
    """Place documents that do not come one for each line; a single one has no line of its own."""
    held: Long | None = None
    single = True
    for each in found:
        if held is not None:
            single = False
            yield from _placed(held, place, place.at(f"line {held.line}"))
        held = each
    if held is not None:
        yield from _placed(held, place, place if single else place.at(f"line {held.line}"))


def _placed(found: Long, file: Place, place: Place) -> Iterator[Document | Problem]:
    if found.value is not None or found.broken is None:
        yield Document(place, found.value)
    if found.broken is not None:
        yield file.at(found.broken.where).problem(str(found.broken))


def _first_line(stream: IO[bytes]) -> tuple[bytes, int]:
    """Give the next line that is not blank, and how many lines were read for it."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if line.strip():
            return line, number
    return b"", number


def _lines(line: bytes, number: int, stream: IO[bytes], place: Place, open_: Open) -> Iterator[Document | Problem]:
    while line:
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            start = stream.tell() - len(line)
            yield from _large(long_documents(open_, start, number), place)
            return
        yield _parsed(line, place.at(f"line {number}"))
        line, skipped = _first_line(stream)
        number += skipped


def _parsed(line: bytes, place: Place) -> Document | Problem:
    try:
        return Document(place, json.loads(line.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        return place.problem(f"is not UTF-8 text at byte {error.start} of the line")
    except json.JSONDecodeError as error:
        return place.problem(f"is not JSON: {error.msg} at column {error.colno}")
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        return place.problem(f"is not JSON that can be read: {error}")
