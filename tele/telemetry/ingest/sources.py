"""Which files there are and what each holds: records and problems, by a named format, by SQL, or by its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tele.errors import BadInput
from tele.telemetry.ingest import select as by_select
from tele.telemetry.ingest.detect import Content, FileReader, Reader, content, detect, detect_file
from tele.telemetry.ingest.documents import documents
from tele.telemetry.ingest.opening import unpacking_errors
from tele.telemetry.ingest.record import Place, Problem, Record
from tele.telemetry.ingest.window import NotJson

__all__ = ["Format", "Item", "Source", "Unknown", "distinct", "found"]

MAX_UNRECOGNISED = 100
"""Documents that may be of no known format before a file is given up."""


# Which files


def found(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Give the files that paths name, folders walked; raises BadInput where there is none."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from _walked(path)
        elif path.exists():
            yield path
        else:
            raise BadInput(f"There is no file {path}.")


def _walked(folder: Path) -> Iterator[Path]:
    """Give the files of a folder in the order of their names; hidden ones are left out, linked folders not entered."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def distinct(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Part files from those that repeat another's bytes: the same file twice is one file, with one set of rows."""
    seen: set[bytes] = set()
    files: list[Path] = []
    repeated: list[str] = []
    for path in paths:
        digest = _digest(path)
        if digest is not None and digest in seen:
            repeated.append(str(path))
            continue
        if digest is not None:
            seen.add(digest)
        files.append(path)
    return files, repeated


def _digest(path: Path) -> bytes | None:
    """SHA-256 of a file's bytes; None where it cannot be read (reading it will say why) or is empty."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest() if path.stat().st_size else None
    except OSError:
        return None


# What a file holds


@dataclass(frozen=True, slots=True)
class Unknown:
    """The file is text of no known format."""


@dataclass(frozen=True, slots=True)
class Format:
    """The file is of this format; stands before its records."""

    name: str


Item = Record | Problem | Unknown | Format


@dataclass(frozen=True, slots=True)
class Source:
    """How files are read: by a named format, by SQL, or by what they hold."""

    reader: Reader | None = None
    file_reader: FileReader | None = None
    select: str | None = None

    def items(self, path: Path) -> Iterator[Item]:
        """Give what a file holds; only BadInput and BadQuery of `select` are raised."""
        place = Place(str(path))
        try:
            found = content(path)
        except unpacking_errors as error:
            yield place.problem(f"cannot be read: {error or type(error).__name__}")
            return
        if self.select is not None and found.kind not in {"empty", "binary"}:
            yield Format(by_select.NAME)
            yield from by_select.rows(path, self.select, place)
        elif found.kind == "json" and (self.reader is not None or self.file_reader is None):
            yield from self._documents(path)
        elif (reader := self._for(found)) is not None:
            yield Format(reader.NAME)
            yield from _whole(reader.read(path, place), place)
        elif self.file_reader is not None and found.kind != "empty":
            yield place.problem(f"is not {self.file_reader.NAME}")
        else:
            yield _not_json(found, place)

    def _for(self, found: Content) -> FileReader | None:
        """Give the reader of a file that is no JSON: the named one where it can read it, else by its first bytes."""
        if self.reader is None and self.file_reader is None:
            return detect_file(found.head)
        return self.file_reader if self.file_reader is not None and self.file_reader.sniff(found.head) else None

    def _documents(self, path: Path) -> Iterator[Item]:
        reader = self.reader
        if reader is not None:
            yield Format(reader.NAME)
        strange: list[Problem] = []
        for document in documents(path):
            if isinstance(document, Problem):
                yield document
                continue
            if reader is None and (reader := detect(document.value)) is not None:
                yield Format(reader.NAME)
                yield from (_unlike(problem, reader) for problem in strange)
            if reader is not None and reader.sniff(document.value):
                yield from _whole(reader.read(document.value, document.place), document.place)
            elif reader is not None:
                yield _unlike(document.place.problem(""), reader)
            else:
                strange.append(document.place.problem(""))
                if len(strange) == MAX_UNRECOGNISED:
                    break
        if reader is None and strange:
            yield Unknown()


def _whole(items: Iterator[Record | Problem], place: Place) -> Iterator[Record | Problem]:
    """Give what a reader gives; a file that cannot be read on, or changed while it was read, ends in a Problem."""
    try:
        yield from items
    except unpacking_errors as error:
        yield place.problem(f"cannot be read on: {error or type(error).__name__}")
    except NotJson as error:
        yield Place(place.file).at(error.where).problem(f"changed while it was read: {error}")


def _unlike(problem: Problem, reader: Reader) -> Problem:
    return Problem(problem.file, problem.position, f"is not {reader.NAME}")


def _not_json(found: Content, place: Place) -> Problem | Unknown:
    if found.kind == "empty":
        return place.problem("the file is empty")
    if found.kind == "binary":
        return place.at(f"byte {found.binary_at}").problem("is binary, not text")
    return Unknown()
