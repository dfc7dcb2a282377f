"""Every place of a store that can hold what a user wrote, read as it lies on the disk.

Also what no reader sees any more: segments that were taken out and still wait, sealed journals, older entries of the
manifest, quarantine. What is asked about a text is the caller's to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tele.store.layout import Layout
from tele.store.schema import quoted
from tele.store.segments import own_name

if TYPE_CHECKING:
    import duckdb

__all__ = ["Body", "Line", "Row", "Unreadable", "bodies", "lines", "rows", "started"]

_BATCH = 10_000
_MANY = 1000
Suspicious = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a segment; the columns are those that were asked for."""

    file: str
    number: int
    """Its place in the file."""
    event_id: str
    name: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a journal, or of a file in quarantine."""

    file: str
    number: int
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Body:
    """A file of its own, or a line that is no record, as text; bytes that are no UTF-8 are lone surrogates."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that nothing can be said of."""

    file: str
    why: str


def rows(
    con: duckdb.DuckDBPyConnection,
    layout: Layout,
    path: Path,
    columns: tuple[str, ...],
    suspicious: Suspicious,
    *,
    sha256: str | None = None,
) -> Iterator[Row | Unreadable]:
    """Give the rows of one segment whose texts, one behind the other, are suspicious.

    `sha256` is what the manifest says of it; a file that no entry names has the beginning of its own for a name.
    """
    file = str(path.relative_to(layout.root))
    if not (own_name(path) if sha256 is None else _digest(path) == sha256):
        yield Unreadable(file, "it is not what was written: run `tele check`")
        return
    source = f"read_parquet({quoted(path)}, file_row_number=true)"
    there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    names = [name for name in columns if name in there]
    texts = ", ".join(f'"{name}"::VARCHAR' for name in names)
    numbers: list[int] = []
    con.execute(f"SELECT file_row_number, concat_ws(chr(10), {texts}) FROM {source}")
    while batch := con.fetchmany(_BATCH):
        numbers += [number for number, text in batch if suspicious(text.encode("utf-8", "surrogatepass"))]
    listed = ", ".join(f'"{name}"' for name in names)
    for at in range(0, len(numbers), _MANY):
        some = ", ".join(map(str, numbers[at : at + _MANY]))
        query = f"SELECT file_row_number, event_id, name, {listed} FROM {source} WHERE file_row_number IN ({some})"
        for number, event_id, name, *values in con.execute(query).fetchall():
            yield Row(file, number, event_id, name, dict(zip(names, values, strict=True)))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lines(layout: Layout, suspicious: Suspicious) -> Iterator[Line | Body]:
    """Give the suspicious lines of journals and of what lies in quarantine; one that is no record is a Body."""
    for folder in (layout.journals, layout.quarantine):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and not path.is_symlink() and path.suffix != ".parquet":
                yield from _lines(path, str(path.relative_to(layout.root)), suspicious)


def _lines(path: Path, file: str, suspicious: Suspicious) -> Iterator[Line | Body]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not suspicious(line):
                continue
            try:
                facts = orjson.loads(line)
            except ValueError:
                facts = None
            if isinstance(facts, dict):
                yield Line(file, number, facts)
            else:
                yield Body(file, line.decode("utf-8", "surrogateescape"))


def started(facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the records of open spans that an entry of the manifest carries."""
    for part in (facts.get("entry"), facts.get("checkpoint")):
        opened = part.get("opened") if isinstance(part, dict) else None
        for start in (opened or {}).values():
            yield orjson.loads(start[1])


def bodies(layout: Layout, suspicious: Suspicious) -> Iterator[Body]:
    """Give the suspicious bodies of blobs/ and entries of manifest/."""
    for folder in (layout.blobs, layout.manifest):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and not path.is_symlink() and suspicious(content := path.read_bytes()):
                yield Body(str(path.relative_to(layout.root)), content.decode("utf-8", "surrogateescape"))
