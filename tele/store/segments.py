"""Sealed Parquet files: writing one, and proving that one is what was written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tele.errors import DamagedFile, StoreNotWritable
from tele.store.columns import SCHEMA_VERSION
from tele.store.files import fsync_folder
from tele.store.layout import Layout
from tele.store.manifest import Segment
from tele.store.nesting import OWN, Outside, outside
from tele.store.schema import TEXT_BYTES, quoted
from tele.store.workbench import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import duckdb

__all__ = ["ORDER", "ROW_GROUP", "faults", "own_name", "verify", "widths", "write"]

ROW_GROUP = 20_480
"""Rows that are read together: few enough that one trace costs little; six times as many save 1 % of the bytes."""
ORDER = "start_ns NULLS LAST, writer, seq"
"""How the rows of a segment are sorted."""
_FACTS = f"""count(*), min(start_ns), max(start_ns), min(trace_id), max(trace_id),
    count(*) FILTER (kind = 'event' AND name = 'tele.amended'), {OWN}"""
_NAMED = 20
_EXPERIMENT_ID = re.compile(r"e[0-9a-f]{20}")
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 2"
_VECTOR = 2048
"""Rows that DuckDB hands on together: the least that a row group holds."""
_GROUP_BYTES = 64 * 1024 * 1024
"""Of a row group before compression: it is held in memory while it is written, and while it is read."""


def write(
    con: duckdb.DuckDBPyConnection,
    layout: Layout,
    rows: str,
    experiment_id: str,
    ranges: dict[str, list[list[int]]],
    known: Mapping[str, Outside] | None = None,
    width: float | None = None,
) -> Segment:
    """Seal the rows of the query `rows`, all of one experiment, in its order (see `ORDER`).

    `known` is what `nesting.outside` says of rows that these are among, where somebody has asked; `width` is about how
    many bytes a row has before compression (see `widths`), where that may be much.

    The file is written under a temporary name, synced, read back, renamed to the beginning of its own SHA-256, so that
    it can be trusted also where the manifest is lost, and its folder is synced. Raises StoreNotWritable, as on a full
    disk.
    """
    import duckdb

    folder = layout.segments / _folder(experiment_id)
    temporary = folder / f".{secrets.token_hex(10)}.parquet"
    metadata = f"KV_METADATA {{'tele.schema': '{SCHEMA_VERSION}', 'tele.store': '{layout.id}'}}"
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            fsync_folder(layout.segments)
        options = f"{_OPTIONS}, ROW_GROUP_SIZE {_group(width or 1.0)}, {metadata}"
        con.execute(f"COPY ({rows}) TO {quoted(temporary)} ({options})")
        path, size, digest = _settle(temporary)
        facts = con.execute(f"SELECT {_FACTS} FROM read_parquet({quoted(path)})").fetchall()
        if known is None:
            known = outside(con, f"read_parquet({quoted(path)})")
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise StoreNotWritable(layout.root, reason(error)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    relative = str(path.relative_to(layout.root))
    count, low, high, first, last, amended, own = facts[0]
    segment = Segment(
        relative,
        experiment_id,
        count,
        size,
        digest,
        SCHEMA_VERSION,
        low,
        high,
        first,
        last,
        ranges,
        amended,
        known.get(experiment_id, []),
        own,
        None if width is None else round(width * count),
    )
    _remember(_memory(layout), [_mark(segment, path.stat())])
    return segment


def _group(width: float) -> int:
    """Rows of a group, where a row has `width` bytes: long prompts by ten thousands would not fit into memory."""
    fit = int(_GROUP_BYTES / max(width, 1.0)) // _VECTOR * _VECTOR
    return max(_VECTOR, min(ROW_GROUP, fit))


def widths(con: duckdb.DuckDBPyConnection, rows: str) -> dict[str, float]:
    """By experiment, about how many bytes one of `rows` (SQL of FROM) has before compression."""
    return dict(con.execute(f"SELECT experiment_id, avg({TEXT_BYTES}) FROM {rows} GROUP BY 1").fetchall())


def _settle(temporary: Path) -> tuple[Path, int, str]:
    """Sync the file, read it back and give it the beginning of its SHA-256 for a name; its path, size and hash."""
    temporary.chmod(0o600)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    path = temporary.rename(temporary.with_name(f"{digest[:_NAMED]}.parquet"))
    fsync_folder(path.parent)
    return path, size, digest


def own_name(path: Path) -> bool:
    """Whether the file is what its name says: the beginning of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_NAMED] == path.stem


def _folder(experiment_id: str) -> str:
    """Folder of an experiment; an id that is none (a foreign journal's) never becomes a path."""
    if _EXPERIMENT_ID.fullmatch(experiment_id):
        return experiment_id
    return "e" + hashlib.sha256(experiment_id.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def verify(layout: Layout, segments: Iterable[Segment], *, again: bool = False) -> None:
    """Hash each segment that this user has not verified yet, with `again` every one; raises DamagedFile.

    What was verified is remembered in the cache folder by device, inode, size and times: a file that was touched
    since is hashed again, one that rots without a touch is found by `tele check --deep`.
    """
    for segment, why in faults(layout, segments, again=again):
        raise DamagedFile(layout.root / segment.path, why)


def faults(layout: Layout, segments: Iterable[Segment], *, again: bool) -> Iterator[tuple[Segment, str]]:
    """Segments whose files are not what was written, and what is wrong with each; see `verify`."""
    memory = _memory(layout)
    remembered = _known(memory)
    known = set() if again else remembered
    fresh = []
    try:
        for segment in segments:
            try:
                mark = _look(segment, layout.root / segment.path, known)
            except OSError as error:
                yield segment, f"it cannot be read ({error.strerror})"
            except _FaultyError as error:
                yield segment, str(error)
            else:
                if mark not in remembered:
                    fresh.append(mark)
    finally:
        _remember(memory, fresh)


class _FaultyError(Exception):
    """A segment is not what was written; its text says why."""


def _look(segment: Segment, path: Path, known: set[str]) -> str:
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise _FaultyError("the manifest lists this segment and it is missing") from None
    mark = _mark(segment, facts)
    if mark in known:
        return mark
    if facts.st_size != segment.size:
        raise _FaultyError(f"it has {facts.st_size} bytes, the manifest says {segment.size}")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != segment.sha256:
            raise _FaultyError("its SHA-256 is not the one in the manifest")
    return mark


def _known(memory: Path) -> set[str]:
    try:
        return set(memory.read_text().splitlines())
    except OSError:
        return set()


def _mark(segment: Segment, facts: os.stat_result) -> str:
    parts: tuple[Any, ...] = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return " ".join(map(str, (segment.sha256, *parts)))


def _memory(layout: Layout) -> Path:
    # Path.expanduser raises where there is no home, as in a container
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(base) / "tele" / "verified" / layout.id


def _remember(memory: Path, marks: list[str]) -> None:
    if not marks:
        return
    try:
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with memory.open("a") as file:
            file.write("".join(f"{mark}\n" for mark in marks))
    except OSError:
        return  # no cache folder to be had: the next reader hashes again, which is slow and right
