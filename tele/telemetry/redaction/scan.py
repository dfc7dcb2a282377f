"""Secrets in a store that is there: where they stand, by which rule, and never what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from tele.errors import TeleError
from tele.store.contents import Body, Line, Row, Unreadable, bodies, lines, rows, started
from tele.store.layout import Layout
from tele.store.manifest import load
from tele.store.workbench import workbench
from tele.telemetry.redaction import gate
from tele.telemetry.redaction.ruleset import suspicious

__all__ = ["Hit", "ScanReport", "scan"]

MOST_HITS = 1000


@dataclass(frozen=True, slots=True)
class Hit:
    """One record, or body, with secrets in it."""

    file: str
    """Relative to the store's folder."""
    where: str
    """The event, or the line, and its columns."""
    rules: dict[str, int]
    """How many of each rule."""


@dataclass(slots=True)
class ScanReport:
    """What a scan found."""

    rules: Counter[str] = field(default_factory=Counter)
    """Secrets by rule."""
    files: Counter[str] = field(default_factory=Counter)
    """Secrets by file."""
    hits: list[Hit] = field(default_factory=list)
    """The first 1000 of them."""
    unreadable: list[str] = field(default_factory=list)
    """Files that nothing can be said of, and why."""

    @property
    def total(self) -> int:
        """Secrets that were found."""
        return self.rules.total()

    def add(self, file: str, where: str, found: Counter[str]) -> None:
        """Count what one record holds."""
        if found:
            self.rules += found
            self.files[file] += found.total()
            if len(self.hits) < MOST_HITS:
                self.hits.append(Hit(file, where, dict(found)))


def scan(layout: Layout) -> ScanReport:
    """Look for what the rules in force would have taken out, in every file of the store.

    Also in those that no reader sees any more: a sealed journal, a segment that was compacted away, an older entry of
    the manifest, quarantine. Nothing is changed. Raises OSError where a file cannot be read.
    """
    report = ScanReport()
    known = _known(layout)
    with workbench(layout) as con:
        for path in sorted(layout.segments.glob("*/[0-9a-f]*.parquet")):
            digest = known.get(str(path.relative_to(layout.root)))
            for found in rows(con, layout, path, gate.TEXTS, suspicious, sha256=digest):
                if isinstance(found, Unreadable):
                    report.unreadable.append(f"{found.file}: {found.why}")
                else:
                    report.add(found.file, *_in_row(found))
    for line in lines(layout, suspicious):
        report.add(line.file, *_in_line(line))
    for body in bodies(layout, suspicious):
        for where, found_here in _in_body(body):
            report.add(body.file, where, found_here)
    return report


def _known(layout: Layout) -> dict[str, str]:
    """Hashes of the segments that the manifest names; none where it cannot be read, which `tele check` says."""
    try:
        return {path: segment.sha256 for path, segment in load(layout).segments.items()}
    except TeleError:
        return {}


def _in_row(row: Row) -> tuple[str, Counter[str]]:
    changed = gate.row(row.columns)
    name = changed.get("name", row.name)  # what is found is not shown
    return f"event {row.event_id} ({name}): {', '.join(changed)}", _counted(row.columns, changed)


def _in_line(line: Line | Body) -> tuple[str, Counter[str]]:
    if isinstance(line, Body):
        return "a line that is no record", gate.difference(line.text, gate.body(line.text))
    changed = gate.record(line.facts)
    return f"line {line.number}: {', '.join(changed)}", _counted(line.facts, changed)


def _in_body(body: Body) -> Iterator[tuple[str, Counter[str]]]:
    if not body.file.startswith("manifest/"):
        yield "body", gate.difference(body.text, gate.body(body.text))
        return
    try:
        entry = orjson.loads(body.text)
    except ValueError:
        yield "an entry that is damaged", gate.difference(body.text, gate.body(body.text))
        return
    for facts in started(entry):
        yield f"start of {facts.get('event_id')}", _counted(facts, gate.record(facts))


def _counted(before: object, changed: dict[str, object]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, value in changed.items():
        found += gate.difference(before[name], value) or Counter({"failed": 1})  # type: ignore[index]  # a mapping
    return found
