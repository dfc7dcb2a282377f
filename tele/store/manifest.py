"""The manifest: numbered entries that say what is sealed, each with the hash of the one before.

An entry is published by hard-linking a synced temporary file to its number: the link fails where that number exists, so
two publishers cannot both win, and no reader sees half of one. The state of the store is a fold over the entries; every
64th carries the state itself, so that a reader opens at most 64 files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from tele.errors import DamagedFile, NewerFormat, StoreBusy
from tele.store.layout import Layout, fsync_folder
from tele.store.line import finish, scan

__all__ = ["CHECKPOINT_EVERY", "VERSION", "Entry", "Sealed", "Segment", "State", "load", "publish"]

VERSION = 1
CHECKPOINT_EVERY = 64
# What stands in an entry becomes paths: nothing else may.
_WRITER = re.compile("w[0-9a-f]+")
_SEGMENT = re.compile(r"segments/e[0-9a-f]{20}/[0-9a-f]{20}\.parquet")


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
    """By writer, the numbers of the records it was sealed from: first and last of each unbroken stretch."""


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
    journals: dict[str, Sealed] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    """Journals that were sealed whole and are gone."""
    opened: dict[str, list[str]] = field(default_factory=dict)
    """Starts without an end, by event id: the writer and the journal line."""
    ended: list[str] = field(default_factory=list)
    """Event ids of starts carried before whose end is now in a segment."""
    amendments: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """The store as the entries up to `n` describe it."""

    n: int = 0
    head: str = ""
    """SHA-256 of entry `n`; it covers every entry before."""
    segments: dict[str, Segment] = field(default_factory=dict)
    journals: dict[str, Sealed] = field(default_factory=dict)
    opened: dict[str, list[str]] = field(default_factory=dict)
    amendments: int = 0

    def apply(self, entry: Entry) -> State:
        """State after `entry`; number and head stay for the caller to set."""
        gone = set(entry.removed)
        ended = set(entry.ended)
        forgotten = set(entry.forgotten)
        return replace(
            self,
            segments={p: s for p, s in self.segments.items() if p not in gone} | {s.path: s for s in entry.added},
            journals={w: j for w, j in (self.journals | entry.journals).items() if w not in forgotten},
            opened={e: o for e, o in (self.opened | entry.opened).items() if e not in ended},
            amendments=self.amendments + entry.amendments,
        )


def load(layout: Layout) -> State:
    """Fold the entries of the store; raises DamagedFile where the chain is broken, NewerFormat."""
    numbers = _numbers(layout)
    if not numbers:
        if any(layout.segments.glob("*/[0-9a-f]*.parquet")) and not any(layout.journals.glob("*.jsonl")):
            raise DamagedFile(layout.manifest, "there are segments and no entry that names them")
        return State()
    last = numbers[-1]
    start = last - last % CHECKPOINT_EVERY
    state = State()
    for n in range(max(start, 1), last + 1):
        path = _path(layout, n)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DamagedFile(path, "this entry of the manifest is missing") from None
        entry, previous, checkpoint = _parse(path, content, n)
        if n == start:
            if checkpoint is None:
                raise DamagedFile(path, "it lacks the state that every 64th entry carries")
            state = checkpoint
        elif n > 1 and previous != state.head:
            raise DamagedFile(path, "it does not follow the entry before it")
        else:
            state = state.apply(entry)
        state = replace(state, n=n, head=hashlib.sha256(content).hexdigest())
    return state


def publish(layout: Layout, state: State, entry: Entry) -> State:
    """Add `entry` behind `state` in one atomic step and return the new state.

    Raises StoreBusy where another publisher was first.
    """
    n = state.n + 1
    after = state.apply(entry)
    facts: dict[str, Any] = {
        "tele": "manifest",
        "version": VERSION,
        "store": layout.id,
        "n": n,
        "previous": state.head,
        "entry": entry,
    }
    if n % CHECKPOINT_EVERY == 0:
        facts["checkpoint"] = after
    content = finish(orjson.dumps(facts)[:-1], n)
    path = _path(layout, n)
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
        os.link(temporary, path)
    except FileExistsError:
        raise StoreBusy(layout.root, "a process that published first") from None
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            temporary.unlink()
    fsync_folder(layout.manifest)
    return replace(after, n=n, head=hashlib.sha256(content).hexdigest())


def _numbers(layout: Layout) -> list[int]:
    try:
        names = os.listdir(layout.manifest)
    except FileNotFoundError:
        return []
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit())


def _path(layout: Layout, n: int) -> Path:
    return layout.manifest / f"{n:012d}.json"


def _parse(path: Path, content: bytes, n: int) -> tuple[Entry, str, State | None]:
    try:
        lines = scan(content, expected=n).lines
        if len(lines) != 1 or len(lines[0]) + 1 != len(content):
            raise DamagedFile(path, "its checksum does not match")
        facts = orjson.loads(lines[0])
        if facts["version"] > VERSION:
            raise NewerFormat(path, facts["version"], VERSION)
        return _entry(facts["entry"]), facts["previous"], _state(facts.get("checkpoint"))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(path, f"it is not a manifest entry ({error})") from None


def _entry(facts: dict[str, Any]) -> Entry:
    added = [_segment(segment) for segment in facts["added"]]
    return Entry(**facts | {"added": added, "journals": _journals(facts)})


def _state(facts: dict[str, Any] | None) -> State | None:
    if facts is None:
        return None
    segments = {path: _segment(segment) for path, segment in facts["segments"].items()}
    return State(**facts | {"segments": segments, "journals": _journals(facts)})


def _journals(facts: dict[str, Any]) -> dict[str, Sealed]:
    for writer in facts["journals"]:
        if not _WRITER.fullmatch(writer):
            raise ValueError(f"{writer!r} is no writer")
    return {writer: Sealed(**sealed) for writer, sealed in facts["journals"].items()}


def _segment(facts: dict[str, Any]) -> Segment:
    if not _SEGMENT.fullmatch(facts["path"]):
        raise ValueError(f"{facts['path']!r} is no path of a segment")
    return Segment(**facts)
