"""Sealed Parquet files: writing one, and proving that one is what was written."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tele.errors import DamagedFile
from tele.store.columns import SCHEMA_VERSION
from tele.store.layout import Layout, fsync_folder
from tele.store.manifest import Segment
from tele.store.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

__all__ = ["ROW_GROUP", "verify", "write"]

ROW_GROUP = 122_880
_EXPERIMENT_ID = re.compile(r"e[0-9a-f]{20}")
_OPTIONS = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 2, ROW_GROUP_SIZE {ROW_GROUP}"


def write(
    con: duckdb.DuckDBPyConnection, layout: Layout, table: str, experiment_id: str, ranges: dict[str, list[list[int]]]
) -> Segment:
    """Seal the rows of `experiment_id` in `table`, sorted by time.

    The file is written under a temporary name, synced, renamed, and its folder synced.
    """
    folder = layout.segments / _folder(experiment_id)
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        fsync_folder(layout.segments)
    name = f"{secrets.token_hex(10)}.parquet"
    temporary, path = folder / f".{name}", folder / name
    metadata = f"KV_METADATA {{'tele.schema': '{SCHEMA_VERSION}', 'tele.store': '{layout.id}'}}"
    rows = f"SELECT * FROM {table} WHERE experiment_id = $id ORDER BY start_ns NULLS LAST, writer, seq"
    con.execute(f"COPY ({rows}) TO {quoted(temporary)} ({_OPTIONS}, {metadata})", {"id": experiment_id})
    temporary.chmod(0o600)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    temporary.rename(path)
    fsync_folder(folder)
    facts = con.execute(
        f"""SELECT count(*), min(start_ns), max(start_ns), min(trace_id), max(trace_id)
            FROM {table} WHERE experiment_id = $id""",
        {"id": experiment_id},
    ).fetchall()
    count, low, high, first, last = facts[0]
    relative = str(path.relative_to(layout.root))
    return Segment(relative, experiment_id, count, size, digest, SCHEMA_VERSION, low, high, first, last, ranges)


def _folder(experiment_id: str) -> str:
    """Folder of an experiment; an id that is none (a foreign journal's) never becomes a path."""
    if _EXPERIMENT_ID.fullmatch(experiment_id):
        return experiment_id
    return "e" + hashlib.sha256(experiment_id.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def verify(layout: Layout, segments: Iterable[Segment]) -> None:
    """Hash each segment that this user has not verified yet; raises DamagedFile.

    What was verified is remembered in the cache folder by device, inode, size and times: a file that was touched
    since is hashed again, one that rots without a touch is found by `tele check --deep`.
    """
    memory = _memory(layout)
    try:
        known = set(memory.read_text().splitlines())
    except OSError:
        known = set()
    fresh = []
    for segment in segments:
        path = layout.root / segment.path
        try:
            facts = path.stat()
        except FileNotFoundError:
            raise DamagedFile(path, "the manifest lists this segment and it is missing") from None
        mark = _mark(segment, facts)
        if mark in known:
            continue
        if facts.st_size != segment.size:
            raise DamagedFile(path, f"it has {facts.st_size} bytes, the manifest says {segment.size}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != segment.sha256:
                raise DamagedFile(path, "its SHA-256 is not the one in the manifest")
        fresh.append(mark)
    _remember(memory, fresh)


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
