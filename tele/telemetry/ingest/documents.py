"""The JSON documents of a file: one, one for each line, or one after another.

Lines are read one at a time, so a JSONL file of any size needs the memory of its longest line. What does not parse
becomes a Problem and reading goes on with the next line that begins an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from tele.telemetry.ingest.detect import opened, unpacking_errors
from tele.telemetry.ingest.record import Place, Problem

__all__ = ["Document", "documents"]

MAX_LINE_BYTES = 64 << 20
"""A longer line is read together with the rest of the file, as one document."""
MAX_DOCUMENT_BYTES = 1 << 30
"""What does not come in lines is held in memory, up to this."""
MAX_RESTARTS = 1000
"""How often reading begins anew behind malformed JSON before a file is given up."""

_DECODER = json.JSONDecoder()


class Document(NamedTuple):
    """A parsed JSON value and where it stands."""

    place: Place
    value: object


def documents(path: Path) -> Iterator[Document | Problem]:
    """Give the JSON documents of the file at `path`, gzip or plain; never raises for what the file holds."""
    place = Place(str(path))
    try:
        with opened(path) as stream:
            yield from _documents(stream, place)
    except unpacking_errors as error:
        yield place.problem(f"cannot be read: {error or type(error).__name__}")


def _documents(stream: IO[bytes], place: Place) -> Iterator[Document | Problem]:
    head, number = _first_line(stream)
    first = _parsed(head, place.at(f"line {number}"))
    if isinstance(first, Problem):
        yield from _whole(head + stream.read(MAX_DOCUMENT_BYTES), stream, place, number)
        return
    following, skipped = _first_line(stream)
    if not following:
        yield Document(place, first.value)
        return
    yield first
    yield from _lines(following, number + skipped, stream, place)


def _first_line(stream: IO[bytes]) -> tuple[bytes, int]:
    """Give the next line that is not blank, and how many lines were read for it."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if line.strip():
            return line, number
    return b"", number


def _lines(line: bytes, number: int, stream: IO[bytes], place: Place) -> Iterator[Document | Problem]:
    while line:
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


def _whole(data: bytes, stream: IO[bytes], place: Place, first_line: int) -> Iterator[Document | Problem]:
    if stream.read(1):
        yield place.problem(f"is one document above {MAX_DOCUMENT_BYTES >> 20} MiB; write one object for each line")
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield place.at(f"byte {error.start}").problem("is not UTF-8 text")
        return
    yield from _one_after_another(text, place, first_line)


def _one_after_another(text: str, place: Place, line: int) -> Iterator[Document | Problem]:
    at, counted, restarts = _skip(text, 0), 0, 0
    single = True
    while at < len(text):
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            single = False
            yield _unparsed(text, error, place, line, at)
            restarts += 1
            end = text.find("\n{", at + 1)
            if end < 0 or restarts == MAX_RESTARTS:
                return
        else:
            single = single and _skip(text, end) == len(text)
            yield Document(place if single else place.at(f"line {line}"), value)
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    """Go on behind white space and the comma that a torn list leaves."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _unparsed(text: str, error: Exception, place: Place, line: int, at: int) -> Problem:
    if not isinstance(error, json.JSONDecodeError):
        return place.at(f"line {line}").problem(f"is not JSON that can be read: {error}")
    here = line + text.count("\n", at, error.pos)
    column = error.pos - text.rfind("\n", 0, error.pos)
    cut = " (the file ends within a value: it is cut off)" if _ends_within(text, error) else ""
    return place.at(f"line {here} column {column}").problem(f"is not JSON: {error.msg}{cut}")


def _ends_within(text: str, error: json.JSONDecodeError) -> bool:
    """Say whether the file was cut off: the parser stops at its end, or in a string that never ends."""
    return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
