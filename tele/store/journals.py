"""Reading journals: their headers, what stands behind the sealed offset, and whether their process lives."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import orjson

from tele.errors import NewerFormat
from tele.store.columns import SCHEMA_VERSION
from tele.store.files import fsync_folder
from tele.store.journalfile import machine_id
from tele.store.layout import FORMAT, Layout, network_filesystem
from tele.store.line import END, Damage, Lines, Scan, scan
from tele.store.locks import try_lock
from tele.store.manifest import Sealed

__all__ = [
    "SILENT_SECONDS",
    "TORN",
    "Header",
    "Previous",
    "Tail",
    "closed_at",
    "dead",
    "forget",
    "headers",
    "leftovers",
    "liveness",
    "locked",
    "missing",
    "read_tail",
    "read_tails",
    "size_of",
]

CHUNK_BYTES = 16 * 1024 * 1024
SILENT_SECONDS = 600
TORN = "a line was being written when the process died"
"""Why the end of a dead writer's journal cannot be read: nothing in it was acknowledged."""
_HEADER_BYTES = 4096
_END_BYTES = 96
_NAME = re.compile(r"w[0-9a-f]+\.jsonl")
_MARKER = re.compile(r"(w[0-9a-f]+)\.born")
_UNBORN = re.compile(r"\.(w[0-9a-f]+)\.new")


@dataclass(frozen=True, slots=True)
class Previous:
    """The file that a process wrote before this one."""

    writer: str
    next: int
    """Number that the next record there would have had: it held every line below."""


@dataclass(frozen=True, slots=True)
class Header:
    """First line of a journal."""

    path: Path
    writer: str
    process: str
    version: int
    machine: str
    fault: str = ""
    """What is wrong with it, or empty."""
    previous: Previous | None = None
    format: int = 1
    """Format of the file: from 2 on a journal that was closed says so."""
    named: str = ""
    """Writer that it names, where that is not the one of the file's name."""

    @property
    def foreign(self) -> bool:
        """Whether its lines are not this store's: they are left alone."""
        return bool(self.fault and self.process)


@dataclass(frozen=True, slots=True)
class Tail:
    """What one journal holds behind an offset."""

    header: Header
    scan: Scan
    ended: bool = False
    """Whether the journal was closed: its last line says so, and nothing is missing behind the records."""

    def closed(self) -> Tail:
        """The same with its torn end as damage: its writer is dead, the line will not be finished."""
        found = self.scan
        torn = Damage(found.end, found.torn, TORN)
        end = found.end + found.torn
        return Tail(self.header, Scan(found.lines, found.first, found.next, end, 0, [*found.damage, torn]), self.ended)


def headers(layout: Layout) -> Iterator[Header]:
    """Headers of all journals, in order of their names; raises NewerFormat."""
    for name in sorted(_listed(layout)):
        if _NAME.fullmatch(name):
            with contextlib.suppress(FileNotFoundError):  # forgotten since it was listed
                yield _header(layout, layout.journals / name)


def _header(layout: Layout, path: Path) -> Header:
    with path.open("rb") as file:
        first = file.readline(_HEADER_BYTES)
    writer = path.stem
    lines = scan(first).lines
    if not lines:
        return Header(path, writer, "", SCHEMA_VERSION, "", "its first line is damaged")
    try:
        facts = orjson.loads(lines[0])
        kind, version, store = facts["tele"], int(facts["version"]), facts["store"]
        named, process, machine = str(facts["writer"]), str(facts["process"]), str(facts["machine"])
        before, format_ = facts.get("previous"), int(facts.get("format", 1))
        previous = Previous(str(before["writer"]), int(before["next"])) if before else None
    except (ValueError, KeyError, TypeError):
        return Header(path, writer, "?", SCHEMA_VERSION, "", "its first line is not a journal's")
    for found, known in ((version, SCHEMA_VERSION), (format_, FORMAT)):
        if found > known:
            raise NewerFormat(path, found, known)
    fault, other = "", ""
    if kind != "journal" or store != layout.id:
        fault = "it belongs to another store"
    elif named != writer:
        fault, other = f"it is the journal of writer {named}", named if _NAME.fullmatch(f"{named}.jsonl") else ""
    return Header(path, writer, process, version, machine, fault, previous, format_, other)


def read_tail(header: Header, sealed: Sealed | None, limit: int = -1) -> Tail:
    """Verify what stands behind the sealed offset, up to `limit` bytes; header and closing line are left out."""
    offset, due = (sealed.offset, sealed.next) if sealed else (0, 0)
    if header.foreign:
        return Tail(header, Scan(Lines.of(()), due, due, offset, 0, [Damage(0, 0, header.fault)]))
    try:
        file = header.path.open("rb")
    except FileNotFoundError:  # forgotten since it was listed: it was sealed whole before we began
        return Tail(header, Scan(Lines.of(()), due, due, offset, 0, []))
    with file:
        size = os.fstat(file.fileno()).st_size
        if size < offset:
            cut = Damage(size, offset - size, f"it was cut to {size} bytes after {offset} were sealed")
            return Tail(header, Scan(Lines.of(()), due, due, size, 0, [cut]))
        ended = _ended(file, size)
        file.seek(offset)
        data = file.read(limit)
        while limit > 0 and b"\n" not in data and (more := file.read(max(limit, 1 << 20))):
            data += more
    found = scan(data, offset=offset, expected=due)
    lines = found.lines[1:] if found.first == 0 else found.lines
    lines = lines[:-1] if lines and lines[-1].startswith(END) else lines
    return Tail(header, replace(found, lines=lines), ended)


def read_tails(header: Header, at: Sealed | None) -> Iterator[Tail]:
    """What stands behind `at` and was there when this began, in pieces of about 16 MB; see `read_tail`."""
    until = size_of(header.path)
    while True:
        tail = read_tail(header, at, CHUNK_BYTES)
        yield tail
        if tail.scan.end >= until or tail.scan.end <= (at.offset if at else 0):
            return
        at = Sealed(header.process, tail.scan.end, tail.scan.next)


def _ended(file: BinaryIO, size: int) -> bool:
    file.seek(max(size - _END_BYTES, 0))
    last = file.read(_END_BYTES).rpartition(b"\n{")
    return last[2].startswith(END[1:]) and last[2].endswith(b"\n")


def missing(layout: Layout) -> list[str]:
    """Writers whose journal was there and is gone, though nobody forgot it: its marker stands alone."""
    there = set(_listed(layout))
    marked = [found[1] for name in sorted(there) if (found := _MARKER.fullmatch(name))]
    alone = [w for w in marked if f"{w}.jsonl" not in there and f".{w}.new" not in there]
    return [writer for writer in alone if _stands_alone(layout, writer)]


def _stands_alone(layout: Layout, writer: str) -> bool:
    # A journal that was renamed, or forgotten, while the folder was listed is not in the list and not gone either.
    # The names are looked up in the order in which a journal moves through them.
    names = (f".{writer}.new", f"{writer}.jsonl")
    return (
        not any((layout.journals / name).is_file() for name in names) and (layout.journals / f"{writer}.born").exists()
    )


def closed_at(path: Path) -> int | None:
    """Number behind the last record of a journal that was closed, as its marker repeats it; None where it is silent.

    Raises ValueError where the marker is damaged.
    """
    try:
        said = path.with_suffix(".born").read_bytes()
    except OSError:
        return None
    found = scan(said)
    ours = b'%b,"writer":"%b"' % (END, path.stem.encode())
    if said and (len(found.lines) != 1 or found.torn or not found.lines[0].startswith(ours)):
        raise ValueError("it is not what the journal's process wrote")
    return found.first if said else None


def leftovers(layout: Layout, older_than_seconds: float) -> list[Path]:
    """Journals that a process was killed while making: they hold no record, and can be forgotten."""
    found = []
    for path in (layout.journals / name for name in sorted(_listed(layout)) if _UNBORN.fullmatch(name)):
        with contextlib.suppress(FileNotFoundError):  # it was just renamed into place
            if time.time() - path.stat().st_mtime > older_than_seconds and not locked(path):
                found.append(path)
    return found


def forget(*paths: Path) -> None:
    """Remove journals that are sealed whole, or leftovers: their markers first, so that none of them is missed.

    Raises OSError where one cannot be removed; one that is gone already is none the worse.
    """
    for path in paths:
        unborn = _UNBORN.fullmatch(path.name)
        path.with_name(f"{unborn[1] if unborn else path.stem}.born").unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        fsync_folder(folder)  # else a power loss may bring a marker back and not its journal
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        fsync_folder(folder)  # else one may come back that the manifest does not know any more, and be sealed again


def _listed(layout: Layout) -> list[str]:
    """Names of files: a folder of such a name, or a pipe, which would never be read to its end, is passed over."""
    try:
        with os.scandir(layout.journals) as found:
            return [entry.name for entry in found if entry.is_file()]
    except FileNotFoundError:
        return []


def liveness(layout: Layout) -> list[tuple[str, str, str]]:
    """Writer, process and state (`alive`, `dead`, `silent`) of every journal.

    A live process holds the lock of its journal. Where a lock says nothing (another machine's process, a network file
    system), a journal written within ten minutes is `alive` and an older one `silent`.
    """
    return [(header.writer, header.process, _state(layout, header)) for header in headers(layout)]


def dead(layout: Layout, header: Header) -> bool:
    """Whether the writer is known to be dead: nobody holds the lock, and the lock can be trusted."""
    return _state(layout, header) == "dead"


def size_of(path: Path) -> int:
    """Bytes of a journal; 0 where it was forgotten."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _state(layout: Layout, header: Header) -> str:
    try:
        if locked(header.path):
            return "alive"
        if network_filesystem(layout.root) is None and header.machine in (machine_id(layout), ""):
            return "dead"
        return "alive" if time.time() - header.path.stat().st_mtime < SILENT_SECONDS else "silent"
    except FileNotFoundError:
        return "dead"


def locked(path: Path) -> bool:
    """Whether a process holds the lock of the journal at `path`."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return not try_lock(fd, shared=True)
    finally:
        os.close(fd)
