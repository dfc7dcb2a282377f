"""What is wrong with the files of a store, one kind of file at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tele.store.chain import Chain
from tele.store.files import ours
from tele.store.journals import TORN, Header, closed_at, headers, liveness, missing, read_tails, size_of
from tele.store.layout import Layout
from tele.store.manifest import Sealed, State
from tele.store.orphans import orphans, unclaimed
from tele.store.references import REFERENCES
from tele.store.segments import faults
from tele.store.workbench import workbench

if TYPE_CHECKING:
    from tele.store.reader import Store

__all__ = [
    "Finding",
    "about_blobs",
    "about_journals",
    "about_manifest",
    "about_orphans",
    "about_segments",
    "references",
]

_NAME = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one file."""

    file: str
    """Relative to the store's folder."""
    offset: int | None
    """Byte at which it is; None where it is the whole file."""
    what: str
    lost: str
    """What it costs; empty where nothing is lost."""

    def __str__(self) -> str:
        at = f" at byte {self.offset:,}" if self.offset is not None else ""
        return f"{self.file}{at}: {self.what}." + (f" Lost: {self.lost}." if self.lost else "")


def about_manifest(chain: Chain) -> Iterator[Finding]:
    """Entries that are damaged or missing."""
    lost = "what it said, until `tele repair` works it out again" if chain.broken else "nothing: a later entry says it"
    for fault in chain.faults:
        yield Finding(f"manifest/{fault.n:012d}.json", None, fault.why, lost)


def about_segments(layout: Layout, state: State, *, deep: bool) -> Iterator[Finding]:
    """Segments that are not what was written."""
    for segment, why in faults(layout, state.segments.values(), again=deep):
        yield Finding(segment.path, None, why, f"{segment.rows:,} rows, unless `tele repair` can restore them")


def about_orphans(layout: Layout, state: State) -> Iterator[Finding]:
    """Segments that no entry names."""
    found = list(orphans(layout, state))
    if not found:
        return
    with workbench(layout) as con:
        for path in found:
            file, rows = str(path.relative_to(layout.root)), unclaimed(con, layout, state, path)
            what = "no manifest entry names it"
            if rows is None:
                yield Finding(
                    file, None, f"{what}, and its own name does not prove it", "what it holds alone, if anything"
                )
            elif rows:
                lost = f"{rows:,} rows that are nowhere else, until `tele repair` takes them in"
                yield Finding(file, None, what, lost)
            else:
                yield Finding(file, None, f"{what}, and nothing is in it alone; the next `tele seal` sets it aside", "")


def about_journals(layout: Layout, state: State, *, deep: bool) -> Iterator[Finding]:
    """Damaged, cut and missing journals; what a killed process left is a note."""
    for writer in missing(layout):
        sealed = state.journals.get(writer)
        lost = f"its records behind number {sealed.next - 1:,}" if sealed else "all its records"
        yield Finding(f"journal/{writer}.jsonl", None, "it is missing", lost)
    alive = {writer: how for writer, _, how in liveness(layout)}
    there = {header.writer: header for header in headers(layout)}
    follow = {h.previous.writer: h.previous.next for h in there.values() if h.previous is not None}
    for writer, header in there.items():
        due = follow.get(writer)
        try:
            due = closed_at(header.path) if due is None else due
        except ValueError as error:
            yield Finding(f"journal/{writer}.born", None, str(error), "")
        sealed = state.journals.get(writer)
        yield from _journal(header, sealed, due, alive.get(writer))
        if deep and sealed is not None and not header.foreign:
            yield from _sealed_part(header, sealed)


def _journal(header: Header, sealed: Sealed | None, end: int | None, how: str | None) -> Iterator[Finding]:
    """`end` is the number behind the last record, as the process's next file or the marker says it."""
    file = f"journal/{header.path.name}"
    if header.fault:
        lost = "all its records, until `tele repair` puts it right" if header.foreign else "which process wrote it"
        yield Finding(file, 0, header.fault, lost)
    if header.foreign:
        return
    told = {offset: (length, why) for offset, length, why in sealed.damage} if sealed else {}
    for offset, (length, why) in told.items():
        if why != TORN:
            yield Finding(file, offset, why, _lost(length))
    ended, due = False, 0
    for tail in read_tails(header, sealed):
        for one in tail.scan.damage:
            if one.offset not in told:
                yield Finding(file, one.offset, one.why, _lost(one.length))
        ended, due = tail.ended, tail.scan.next
    if end is not None and due < end:
        yield Finding(file, None, f"records {due:,} to {end - 1:,} are cut off", f"{end - due:,} records")
    elif how == "dead" and not ended and end is None and header.format > 1:
        what = "it has no closing line: its process was killed, or it was cut at the end of a line"
        yield Finding(file, None, what, "")


def _sealed_part(header: Header, sealed: Sealed) -> Iterator[Finding]:
    """What is wrong before the sealed offset: the rows stand in segments, so nothing is lost with it.

    The part behind is read apart, from the offset on as every reader does: damage across it is damage on both sides.
    """
    file, told, end = f"journal/{header.path.name}", {offset for offset, _, _ in sealed.damage}, 0
    for tail in read_tails(header, None):
        for one in tail.scan.damage:
            if one.offset < sealed.offset and one.offset not in told:
                yield Finding(file, one.offset, f"{one.why}, in the part that is sealed", "")
        end = tail.scan.end
        if end >= sealed.offset:
            return
    if size_of(header.path) >= sealed.offset:  # that it was cut is found with the part behind
        yield Finding(file, end, "no line ends from here on, in the part that is sealed", "")


def _lost(length: int) -> str:
    return f"the records in {length:,} bytes" if length else "those records"


def about_blobs(layout: Layout) -> Iterator[Finding]:
    """Bodies whose content is not what their name says."""
    for path in sorted(layout.blobs.glob("??/*")):
        if path.name.startswith(".") or not ours(path):
            continue
        file = str(path.relative_to(layout.root))
        if not _NAME.fullmatch(path.name) or path.parent.name != path.name[:2]:
            yield Finding(file, None, "this is no name of a body", "")
            continue
        with path.open("rb") as body:
            if hashlib.file_digest(body, "sha256").hexdigest() != path.name:
                yield Finding(file, None, "its content does not match its name", "a body that spans refer to")


def references(store: Store) -> Iterator[Finding]:
    """Bodies that rows refer to and that are not there; one whose loss `tele.repaired` tells is a note."""
    query = f"SELECT blob, count(*) FROM ({REFERENCES}) GROUP BY blob ORDER BY blob"
    told = {file for (file,) in store.rows("SELECT attributes->>'$.file' FROM events_raw WHERE name = 'tele.repaired'")}
    for name, rows in store.rows(query):
        file = f"blobs/{name[:2]}/{name}"
        if not (store.layout.root / file).is_file():
            lost = "" if file in told else f"the input or output of {rows:,} rows"
            yield Finding(file, None, f"{rows:,} rows refer to it and it is missing", lost)
