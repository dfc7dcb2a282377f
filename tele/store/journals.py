"""Reading journals: their headers, what stands behind the sealed offset, and whether their process lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from tele.errors import NewerFormat
from tele.store.columns import SCHEMA_VERSION
from tele.store.journal import machine_id
from tele.store.layout import Layout, network_filesystem
from tele.store.line import Damage, Scan, scan
from tele.store.manifest import Sealed

__all__ = ["SILENT_SECONDS", "Header", "Tail", "dead", "headers", "liveness", "read_tail", "size_of"]

SILENT_SECONDS = 600
_HEADER_BYTES = 4096
_NAME = re.compile(r"w[0-9a-f]+\.jsonl")


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

    @property
    def foreign(self) -> bool:
        """Whether its lines are not this store's: they are left alone."""
        return bool(self.fault and self.process)


@dataclass(frozen=True, slots=True)
class Tail:
    """What one journal holds behind an offset."""

    header: Header
    scan: Scan

    def closed(self) -> Tail:
        """The same with its torn end as damage: its writer is dead, the line will not be finished."""
        found = self.scan
        torn = Damage(found.end, found.torn, "a line was being written when the process died")
        end = found.end + found.torn
        return Tail(self.header, Scan(found.lines, found.first, found.next, end, 0, [*found.damage, torn]))


def headers(layout: Layout) -> Iterator[Header]:
    """Headers of all journals, in order of their names; raises NewerFormat."""
    try:
        names = sorted(os.listdir(layout.journals))
    except FileNotFoundError:
        return
    for name in names:
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
    except (ValueError, KeyError, TypeError):
        return Header(path, writer, "?", SCHEMA_VERSION, "", "its first line is not a journal's")
    if version > SCHEMA_VERSION:
        raise NewerFormat(path, version, SCHEMA_VERSION)
    fault = ""
    if kind != "journal" or store != layout.id:
        fault = "it belongs to another store"
    elif named != writer:
        fault = f"it is the journal of writer {named}"
    return Header(path, writer, process, version, machine, fault)


def read_tail(header: Header, sealed: Sealed | None, limit: int = -1) -> Tail:
    """Verify what stands behind the sealed offset, up to `limit` bytes; the header line is left out."""
    offset, due = (sealed.offset, sealed.next) if sealed else (0, 0)
    if header.foreign:
        return Tail(header, Scan([], due, due, offset, 0, [Damage(0, 0, header.fault)]))
    try:
        file = header.path.open("rb")
    except FileNotFoundError:  # forgotten since it was listed: it was sealed whole before we began
        return Tail(header, Scan([], due, due, offset, 0, []))
    with file:
        size = os.fstat(file.fileno()).st_size
        if size < offset:
            found = Damage(size, offset - size, f"it was cut to {size} bytes after {offset} were sealed")
            return Tail(header, Scan([], due, due, size, 0, [found]))
        file.seek(offset)
        data = file.read(limit)
        while limit > 0 and b"\n" not in data and (more := file.read(max(limit, 1 << 20))):
            data += more
    found_lines = scan(data, offset=offset, expected=due)
    if found_lines.lines and found_lines.first == 0:
        del found_lines.lines[0]
    return Tail(header, found_lines)


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
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
