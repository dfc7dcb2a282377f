"""The way of a foreign file: find files, detect, read, give ids, leave out what is there, append."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tele.errors import BadInput
from tele.store.names import experiment_id
from tele.telemetry.ingest import select as by_select
from tele.telemetry.ingest.detect import Content, Reader, content, detect, reader_named, unpacking_errors
from tele.telemetry.ingest.digests import Digests, digest
from tele.telemetry.ingest.documents import documents
from tele.telemetry.ingest.identity import stamped
from tele.telemetry.ingest.record import Place, Problem, Record

__all__ = ["IngestReport", "ingest"]

BATCH = 20_000
"""Records that are numbered and looked up at once: each look-up is a pass over all ids."""
BATCH_BYTES = 32 * 1024 * 1024
"""The same by the size of what they hold."""
TOLD_EVERY = 1000
"""Records after which progress is told."""
MAX_PROBLEMS = 1000
"""Problems that a report names; all are counted."""
MAX_UNRECOGNISED = 100
"""Documents that may be of no known format before a file is given up."""

Append = Callable[[Record], None]
Known = Callable[[list[str]], set[str]]
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of the files."""

    files: int
    """Files whose content was read."""
    records_read: int
    added: int
    duplicates: int
    """Records that the store had already."""
    problem_count: int
    problems: tuple[Problem, ...]
    """The first 1000 of them."""
    by_format: dict[str, int]
    """Format to records read."""
    unknown: tuple[str, ...]
    """Files of no known format."""
    repeated: tuple[str, ...]
    """Files left out because another of this call has the same bytes."""


def ingest(
    paths: Sequence[str | Path],
    *,
    append: Append,
    known: Known,
    experiment: str,
    format: str | None = None,  # noqa: A002  # the option's name on the command line
    select: str | None = None,
    strict: bool = False,
    on_progress: Progress | None = None,
) -> IngestReport:
    """Read foreign files and folders into the log and say what became of them.

    `append` takes each new record; `known` says which of some event ids the store has. Reading a file again into the
    same experiment adds nothing. Malformed records are counted and the rest is read; with `strict` the first problem
    raises BadInput before anything is appended. `on_progress` is called with the file and its records so far.
    Raises BadInput also where a path does not exist, nothing could be read, or an option is wrong, and BadQuery where
    the SQL of `select` does not run.
    """
    source = _Source(reader_named(format) if format else None, select)
    files, repeated = _distinct(_found(paths))
    if strict:
        _refuse_problems(files, source)
    with Digests() as contents, Digests() as given:
        run = _Run(append, known, experiment, on_progress, contents, given)
        for path in files:
            run.take(path, source.items(path))
    run.refuse_nothing()
    return run.report(repeated)


# Which files


def _found(paths: Iterable[str | Path]) -> Iterator[Path]:
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


def _distinct(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
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
class _Unknown:
    """The file is text of no known format."""


@dataclass(frozen=True, slots=True)
class _Format:
    """The file is of this format; stands before its records."""

    name: str


_Item = Record | Problem | _Unknown | _Format


@dataclass(frozen=True, slots=True)
class _Source:
    """How files are read: by a named format, by SQL, or by what they hold."""

    reader: Reader | None
    select: str | None

    def items(self, path: Path) -> Iterator[_Item]:
        """Give what a file holds; only BadInput and BadQuery of `select` are raised."""
        place = Place(str(path))
        try:
            found = content(path)
        except unpacking_errors as error:
            yield place.problem(f"cannot be read: {error or type(error).__name__}")
            return
        if self.select is not None and found.kind not in {"empty", "binary"}:
            yield _Format(by_select.NAME)
            yield from by_select.rows(path, self.select, place)
        elif found.kind == "json":
            yield from self._documents(path)
        else:
            yield _not_json(found, place)

    def _documents(self, path: Path) -> Iterator[_Item]:
        reader = self.reader
        if reader is not None:
            yield _Format(reader.NAME)
        strange: list[Problem] = []
        for document in documents(path):
            if isinstance(document, Problem):
                yield document
                continue
            if reader is None and (reader := detect(document.value)) is not None:
                yield _Format(reader.NAME)
                yield from (_unlike(problem, reader) for problem in strange)
            if reader is not None and reader.sniff(document.value):
                yield from reader.read(document.value, document.place)
            elif reader is not None:
                yield _unlike(document.place.problem(""), reader)
            else:
                strange.append(document.place.problem(""))
                if len(strange) == MAX_UNRECOGNISED:
                    break
        if reader is None and strange:
            yield _Unknown()


def _unlike(problem: Problem, reader: Reader) -> Problem:
    return Problem(problem.file, problem.position, f"is not {reader.NAME}")


def _not_json(found: Content, place: Place) -> Problem | _Unknown:
    if found.kind == "empty":
        return place.problem("the file is empty")
    if found.kind == "binary":
        return place.at(f"byte {found.binary_at}").problem("is binary, not text")
    return _Unknown()


# What becomes of it


def _refuse_problems(files: Iterable[Path], source: _Source) -> None:
    for path in files:
        for item in source.items(path):
            if isinstance(item, Problem):
                raise BadInput(f"{item}. Nothing was added; leave --strict out to take the rest.")
            if isinstance(item, _Unknown):
                raise BadInput(f"{_unknown_sentence(str(path))} Nothing was added.")


def _unknown_sentence(file: str) -> str:
    return f"{file} is of no known format: name it with --format, or map its columns with --select."


class _Run:
    """One ingest: the counts so far, and which contents and given ids came by."""

    def __init__(
        self,
        append: Append,
        known: Known,
        experiment: str,
        on_progress: Progress | None,
        contents: Digests,
        given: Digests,
    ) -> None:
        self.append, self.known, self.on_progress = append, known, on_progress
        self.experiment = experiment
        self.experiment_id = experiment_id(experiment)
        self.contents, self.given = contents, given
        self.counts: Counter[str] = Counter()
        self.by_format: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.unknown: list[str] = []

    def take(self, path: Path, items: Iterable[_Item]) -> None:
        """Append what is new of one file."""
        name = ""
        taken = size = 0
        batch: list[Record] = []
        for item in items:
            if isinstance(item, Problem):
                self._problem(item)
            elif isinstance(item, _Unknown):
                self.unknown.append(str(path))
            elif isinstance(item, _Format):
                name = item.name
                self.counts["files"] += 1
                self.by_format[name] += 0
            else:
                batch.append(item)
                taken += 1
                size += _size(item)
                if len(batch) == BATCH or size >= BATCH_BYTES:
                    self._flush(batch, path, name)
                    batch, size = [], 0
                if taken % TOLD_EVERY == 0:
                    self._tell(path, taken)
        self._flush(batch, path, name)
        self._tell(path, taken)

    def _flush(self, batch: list[Record], path: Path, name: str) -> None:
        """Append what is new of a batch; `name` is its format."""
        if not batch:
            return
        batch, records = self._identified(batch, path)
        self.counts["read"] += len(records)
        self.by_format[name] += len(records)
        there = self._there(batch, records)
        for record in records:
            if record["event_id"] in there:
                self.counts["duplicates"] += 1
            else:
                there.add(record["event_id"])
                self.append(record)
                self.counts["added"] += 1

    def _identified(self, batch: list[Record], path: Path) -> tuple[list[Record], list[Record]]:
        """Give what of a batch can have ids, as it was and with ids.

        They are numbered as if no content had come by before, and again where some has, which is rare.
        """
        counts: dict[bytes, int] = {}
        fit: list[Record] = []
        records: list[Record] = []
        for record in batch:
            try:
                # the id has the experiment's id in it: two ways to write one name give the same events
                records.append(stamped(record, self.experiment_id, counts))
                fit.append(record)
            except RecursionError:
                number = self.counts["read"] + len(records) + 1
                self._problem(Place(str(path)).problem(f"record {number} is nested too deeply"))
        if earlier := self.contents.counts(counts):
            records = [stamped(record, self.experiment_id, earlier) for record in fit]
        self.contents.add(counts)
        for record in records:
            record.setdefault("experiment", self.experiment)
        return fit, records

    def _there(self, batch: list[Record], records: list[Record]) -> set[str]:
        """Event ids of a batch that the store has, or that the source gave to an earlier row."""
        there = set(self.known([record["event_id"] for record in records]))
        given = {digest(record["event_id"]): record["event_id"] for record in batch if record.get("event_id")}
        if given:
            there |= {given[known] for known in self.given.counts(given)}
            self.given.add(dict.fromkeys(given, 1))
        return there

    def _problem(self, problem: Problem) -> None:
        self.counts["problems"] += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def _tell(self, path: Path, records: int) -> None:
        if self.on_progress is not None:
            self.on_progress(str(path), records)

    def refuse_nothing(self) -> None:
        """Raise BadInput where no file could be read at all."""
        if self.counts["files"]:
            return
        if self.problems:
            raise BadInput(f"Nothing could be read: {self.problems[0]}.")
        if self.unknown:
            raise BadInput(_unknown_sentence(self.unknown[0]))
        raise BadInput("There is no file to read.")

    def report(self, repeated: Sequence[str]) -> IngestReport:
        """Say what became of the files."""
        return IngestReport(
            files=self.counts["files"],
            records_read=self.counts["read"],
            added=self.counts["added"],
            duplicates=self.counts["duplicates"],
            problem_count=self.counts["problems"],
            problems=tuple(self.problems),
            by_format=dict(self.by_format),
            unknown=tuple(self.unknown),
            repeated=tuple(repeated),
        )


def _size(value: object) -> int:
    """Bytes of a record, nearly: what a batch of them holds in memory goes with it."""
    if isinstance(value, str):
        return len(value)
    try:
        if isinstance(value, dict):
            return sum(map(_size, value.values()), 8 * len(value))
        return sum(map(_size, value), 8 * len(value)) if isinstance(value, list) else 8
    except RecursionError:  # too deep to have an id: a Problem soon
        return 8
