"""The way of a foreign file: find files, detect, read, give ids, leave out what is there, append."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tele.errors import BadInput
from tele.store.names import experiment_id
from tele.telemetry.ingest.detect import readers_named
from tele.telemetry.ingest.digests import Digests, digest
from tele.telemetry.ingest.identity import stamped
from tele.telemetry.ingest.record import Place, Problem, Record
from tele.telemetry.ingest.sources import Format, Item, Source, Unknown, distinct, found

__all__ = ["IngestReport", "ingest"]

BATCH = 20_000
"""Records that are numbered and looked up at once: each look-up is a pass over all ids."""
BATCH_BYTES = 32 * 1024 * 1024
"""The same by the size of what they hold."""
TOLD_EVERY = 1000
"""Records after which progress is told."""
MAX_PROBLEMS = 1000
"""Problems that a report names; all are counted."""

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
    source = Source(*(readers_named(format) if format else (None, None)), select)
    files, repeated = distinct(found(paths))
    if strict:
        _refuse_problems(files, source)
    with Digests() as contents, Digests() as given:
        run = _Run(append, known, experiment, on_progress, contents, given)
        for path in files:
            run.take(path, source.items(path))
    run.refuse_nothing()
    return run.report(repeated)


# What becomes of it


def _refuse_problems(files: Iterable[Path], source: Source) -> None:
    for path in files:
        for item in source.items(path):
            if isinstance(item, Problem):
                raise BadInput(f"{item}. Nothing was added; leave --strict out to take the rest.")
            if isinstance(item, Unknown):
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

    def take(self, path: Path, items: Iterable[Item]) -> None:
        """Append what is new of one file."""
        name = ""
        taken = size = 0
        batch: list[Record] = []
        for item in items:
            if isinstance(item, Problem):
                self._problem(item)
            elif isinstance(item, Unknown):
                self.unknown.append(str(path))
            elif isinstance(item, Format):
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
