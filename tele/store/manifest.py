"""The manifest: numbered entries that say what is sealed, each with the hash of the one before.

An entry is published by hard-linking a synced temporary file to its number: the link fails where that number exists, so
two publishers cannot both win, and no reader sees half of one. The state of the store is a fold over the entries; every
64th, and one that mends the chain, carries the state itself, so that a reader opens at most 64 files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import orjson

from tele.errors import DamagedFile, NewerFormat, StoreBusy, StoreNotWritable
from tele.store.columns import SCHEMA_VERSION
from tele.store.files import publish_new
from tele.store.layout import Layout
from tele.store.line import finish, scan

__all__ = [
    "CHECKPOINT_EVERY",
    "VERSION",
    "Entry",
    "Link",
    "Sealed",
    "Segment",
    "State",
    "link",
    "load",
    "newest",
    "numbers",
    "publish",
]

VERSION = 2
CHECKPOINT_EVERY = 64
# What stands in an entry becomes paths: nothing else may.
_WRITER = re.compile("w[0-9a-f]+")
_SEGMENT = re.compile(r"segments/e[0-9a-f]{20}/[0-9a-f]{20}\.parquet")
_ENTRY = re.compile(r"[0-9]{12}\.json")
_BLOB = re.compile(r"blobs/[0-9a-f]{2}/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One sealed Parquet file."""

    path: str
    """Relative to the store's folder."""
    experiment_id: str
    rows: int
    size: int
    sha256: str
    schema: int
    min_ns: int | None
    max_ns: int | None
    min_trace: str | None
    max_trace: str | None
    ranges: dict[str, list[list[int]]]
    """By writer, stretches of record numbers: first and last. Its rows of the experiment lie within, and no others."""
    amendments: int | None = None
    """How many corrections are among the rows; None where nobody counted."""
    outside: list[list[str]] | None = None
    """Trace and span id of what the calls stand under and lies elsewhere; None where not known (see `nesting`)."""
    own: bool = False
    """Whether its spans were all recorded by tele, so that none of them is told elsewhere too."""
    text_bytes: int | None = None
    """About how many bytes its long columns have before compression; None where nobody counted."""

    @property
    def width(self) -> float:
        """About how many bytes of long columns a row has; 0 where nobody counted."""
        return (self.text_bytes or 0) / max(self.rows, 1)


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far one journal is sealed."""

    process: str
    offset: int
    """Bytes of the journal whose records are in segments or carried."""
    next: int
    """Number of the first record behind them."""
    at_ns: int = 0
    """When that was."""
    damage: list[list[Any]] = field(default_factory=list)
    """Offset, length and reason of what could not be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one step changed."""

    reason: str
    time_ns: int
    added: list[Segment] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Segments whose rows stand in others now or were pruned, and bodies that nothing refers to.

    Their files stay for readers that began before.
    """
    deleted: list[str] = field(default_factory=list)
    """Removed files that are gone, or that are in use again."""
    set_aside: list[str] = field(default_factory=list)
    """Damaged segments: what is left of their files is in quarantine/."""
    journals: dict[str, Sealed] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    """Journals that were sealed whole and are gone."""
    opened: dict[str, list[Any]] = field(default_factory=dict)
    """Starts without an end, by event id: the writer, the journal line and its schema version."""
    ended: list[str] = field(default_factory=list)
    """Event ids of starts carried before whose end is now in a segment."""
    amendments: int = 0
    lost: list[int] = field(default_factory=list)
    """Entries that were damaged or missing when this one mended the chain, or that a purge took away."""
    purged: list[str] = field(default_factory=list)
    """Hashes of the entries that a purge took away: heads that the store has had."""


@dataclass(frozen=True, slots=True)
class State:
    """The store as the entries up to `n` describe it."""

    n: int = 0
    head: str = ""
    """SHA-256 of entry `n`; it covers every entry before."""
    segments: dict[str, Segment] = field(default_factory=dict)
    journals: dict[str, Sealed] = field(default_factory=dict)
    opened: dict[str, list[Any]] = field(default_factory=dict)
    amendments: int = 0
    retired: dict[str, list[int]] = field(default_factory=dict)
    """Removed segments and bodies whose files are still there: number and time (ns) of the entry that removed them."""

    def apply(self, entry: Entry, n: int) -> State:
        """State after `entry`, which has number `n`; number and head stay for the caller to set."""
        gone = {*entry.removed, *entry.set_aside}
        ended = set(entry.ended)
        forgotten = set(entry.forgotten)
        there = {segment.path for segment in entry.added} | set(entry.deleted)
        retired = self.retired | {path: [n, entry.time_ns] for path in entry.removed}
        return replace(
            self,
            segments={p: s for p, s in self.segments.items() if p not in gone} | {s.path: s for s in entry.added},
            retired={path: at for path, at in retired.items() if path not in there},
            journals={w: j for w, j in (self.journals | entry.journals).items() if w not in forgotten},
            opened={e: o for e, o in (self.opened | entry.opened).items() if e not in ended},
            amendments=self.amendments + entry.amendments,
        )


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it was read, with what ties it to its neighbours."""

    n: int
    entry: Entry
    previous: str
    """Hash of the entry before, as this one states it."""
    sha256: str
    checkpoint: State | None


def load(layout: Layout) -> State:
    """Fold the entries of the store; raises DamagedFile where the chain is broken, NewerFormat."""
    known = numbers(layout)
    if not known:
        if any(layout.segments.glob("*/[0-9a-f]*.parquet")) and not any(layout.journals.glob("*.jsonl")):
            raise DamagedFile(layout.manifest, "there are segments and no entry that names them")
        return State()
    links = [link(layout, known[-1])]
    while links[-1].checkpoint is None and links[-1].n > 1:
        links.append(link(layout, links[-1].n - 1))
    first = links.pop()
    state = first.checkpoint or State().apply(first.entry, first.n)
    state = replace(state, n=first.n, head=first.sha256)
    for found in reversed(links):
        if found.previous != state.head:
            raise DamagedFile(_path(layout, found.n), "it does not follow the entry before it")
        state = replace(state.apply(found.entry, found.n), n=found.n, head=found.sha256)
    return state


def newest(layout: Layout, state: State) -> State:
    """`state` where no entry followed it, else the fold of all entries; raises what `load` raises."""
    known = numbers(layout)
    return state if known and known[-1] == state.n else load(layout)


def link(layout: Layout, n: int) -> Link:
    """Read entry `n`; raises DamagedFile or NewerFormat."""
    path = _path(layout, n)
    if path.is_fifo():  # to read it would take for ever
        raise DamagedFile(path, "it is no file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DamagedFile(path, "this entry of the manifest is missing") from None
    except OSError as error:
        raise DamagedFile(path, f"it cannot be read ({error.strerror})") from None
    entry, previous, checkpoint = _parse(layout, path, content, n)
    return Link(n, entry, previous, hashlib.sha256(content).hexdigest(), checkpoint)


def publish(layout: Layout, state: State, entry: Entry, *, whole: bool = False) -> State:
    """Add `entry` behind `state` in one atomic step and return the new state.

    With `whole` it carries the state, so that nobody needs the entries before it. Raises StoreBusy where another
    publisher was first, or StoreNotWritable.
    """
    n = state.n + 1
    _removable(entry.removed)
    after = state.apply(entry, n)
    facts: dict[str, Any] = {
        "tele": "manifest",
        "version": VERSION,
        "store": layout.id,
        "n": n,
        "previous": state.head,
        "entry": entry,
    }
    if whole or n % CHECKPOINT_EVERY == 0:
        facts["checkpoint"] = after
    content = finish(orjson.dumps(facts)[:-1], n)
    try:
        publish_new(_path(layout, n), content)
    except FileExistsError:
        raise StoreBusy(layout.root, "a process that published first") from None
    except OSError as error:
        raise StoreNotWritable(layout.root, error.strerror or str(error)) from None
    return replace(after, n=n, head=hashlib.sha256(content).hexdigest())


def numbers(layout: Layout) -> list[int]:
    """Numbers of the entries that are there, in order."""
    try:
        names = os.listdir(layout.manifest)
    except FileNotFoundError:
        return []
    return sorted(int(name[:12]) for name in names if _ENTRY.fullmatch(name))


def _path(layout: Layout, n: int) -> Path:
    return layout.manifest / f"{n:012d}.json"


def _parse(layout: Layout, path: Path, content: bytes, n: int) -> tuple[Entry, str, State | None]:
    try:
        lines = scan(content, expected=n).lines
        if len(lines) != 1 or len(lines[0]) + 1 != len(content):
            raise DamagedFile(path, "its checksum does not match")
        facts = orjson.loads(lines[0])
        if facts["version"] > VERSION:
            raise NewerFormat(path, facts["version"], VERSION)
        if facts["store"] != layout.id or facts["n"] != n:
            raise DamagedFile(path, "it is an entry of another store or number")
        return _entry(facts["entry"]), facts["previous"], _state(facts.get("checkpoint"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(path, f"it is not a manifest entry ({error})") from None


def _entry(facts: dict[str, Any]) -> Entry:
    added = [_segment(segment) for segment in facts["added"]]
    _removable(facts["removed"])
    return Entry(**_known(Entry, facts) | {"added": added, "journals": _journals(facts), "opened": _opened(facts)})


def _state(facts: dict[str, Any] | None) -> State | None:
    if facts is None:
        return None
    segments = {path: _segment(segment) for path, segment in facts["segments"].items()}
    _removable(facts.get("retired", ()))
    read = {"segments": segments, "journals": _journals(facts), "opened": _opened(facts)}
    return State(**_known(State, facts) | read)


def _opened(facts: dict[str, Any]) -> dict[str, list[Any]]:
    """Starts with their schema version, which entries of version 1 did not state: it was 1."""
    return {event: [*start, 1][:3] for event, start in facts["opened"].items()}


def _journals(facts: dict[str, Any]) -> dict[str, Sealed]:
    for writer in facts["journals"]:
        if not _WRITER.fullmatch(writer):
            raise ValueError(f"{writer!r} is no writer")
    return {writer: Sealed(**_known(Sealed, sealed)) for writer, sealed in facts["journals"].items()}


def _segment(facts: dict[str, Any]) -> Segment:
    _checked(facts["path"])
    if facts["schema"] > SCHEMA_VERSION:
        raise NewerFormat(facts["path"], facts["schema"], SCHEMA_VERSION)
    return Segment(**_known(Segment, facts))


def _removable(paths: Iterable[str]) -> None:
    """These files will be removed: none may lie elsewhere."""
    for path in paths:
        if not _SEGMENT.fullmatch(path) and not _BLOB.fullmatch(path):
            raise ValueError(f"{path!r} is no path of a segment or blob")


def _checked(path: str) -> None:
    if not _SEGMENT.fullmatch(path):
        raise ValueError(f"{path!r} is no path of a segment")


def _known(kind: type, facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that this release knows: a later one may add some."""
    return {known.name: facts[known.name] for known in fields(kind) if known.name in facts}
