"""Purge: the one rewrite of what was recorded. What must not be there is taken out of every file that holds it.

Segments are written anew without it, and so are bodies, whose references follow; starts that are carried are carried
anew. One manifest entry does all that, carries the whole state and holds events with the old and the new hashes. Then,
when no reader is left that began before, the old files go at once: segments, bodies, sealed journals, and the older
entries of the manifest that carried a start with it. Whoever comes later finds the chain mended by that entry.

A purge may be interrupted at any instant and run again: what is still on the disk is found again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tele.errors import DamagedFile
from tele.store import blobs
from tele.store.columns import BY_NAME, NAMES
from tele.store.compact import columns_of
from tele.store.contents import Row, bodies, rows, started
from tele.store.journals import dead, headers
from tele.store.layout import Layout
from tele.store.lease import changing
from tele.store.line import finish
from tele.store.manifest import Entry, Segment, State, load, numbers, publish
from tele.store.readers import oldest
from tele.store.references import references_in
from tele.store.remarks import PURGED, Remark, remark
from tele.store.schema import quoted
from tele.store.seal import seal
from tele.store.segments import verify, widths, write
from tele.store.sweep import sweep
from tele.store.workbench import workbench

if TYPE_CHECKING:
    import duckdb

__all__ = ["Cleaner", "PurgeReport", "purge"]

_LINE_MAY_FOLLOW_NS = 10 * 1_000_000_000
"""How long after its body a line of a living writer may come: lines are gathered, of a large request for seconds."""


@dataclass(frozen=True, slots=True)
class Cleaner:
    """What must not be there, as whoever purges says it."""

    columns: tuple[str, ...]
    """Columns that may hold it."""
    suspicious: Callable[[bytes], bool]
    """Whether a text may hold it."""
    row: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Columns of a row that change, without it."""
    record: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Fields of a journal's record that change, without it."""
    body: Callable[[str], str]
    """A body without it."""


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a purge did."""

    rows: int
    """Rows that were written again with other texts."""
    segments: int
    bodies: int
    entries: int
    """Older entries of the manifest that went."""
    waiting: bool
    """Whether old files had to stay, because a reader that began before is still open."""


@dataclass(slots=True)
class _Plan:
    """What one manifest entry is to do."""

    added: list[Segment] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    rows: int = 0
    bodies: dict[str, str] = field(default_factory=dict)
    """Hash of each body that changed, before and after."""


def purge(layout: Layout, cleaner: Cleaner, *, wait: float = 0.0) -> PurgeReport:
    """Take out of the store what `cleaner` finds; what living writers hold in their journals stays until they end.

    Raises StoreBusy, DamagedFile (repair the store first) or StoreNotWritable.
    """
    began = time.time_ns() - (_LINE_MAY_FOLLOW_NS if _written_to(layout) else 0)
    seal(layout, wait=wait)
    with changing(layout, wait=wait), workbench(layout) as con:
        state = load(layout)
        plan = _Plan()
        _bodies(layout, cleaner, plan)
        for segment in state.segments.values():
            _segment(con, layout, cleaner, segment, plan)
        opened = _opened(state, cleaner, plan.bodies)
        entries = _entries(layout, cleaner)
        if plan.removed or opened or entries:
            plan.remarks += [_about(f"manifest/{n:012d}.json", digest, "") for n, digest in entries.items()]
            added = [*plan.added, *remark(con, layout, plan.remarks)]
            # A body that came, or was referred to again, since then stays: its line may stand behind what was sealed.
            entry = Entry(
                "purge",
                began,
                added,
                plan.removed,
                opened=opened,
                lost=list(entries),
                purged=list(entries.values()),
            )
            state = publish(layout, state, entry, whole=True)
        waiting = not _readers_are_through(layout, state, wait)
        if not waiting:
            for n in entries:
                (layout.manifest / f"{n:012d}.json").unlink(missing_ok=True)
            sweep(layout, state, grace_seconds=0.0)
    return PurgeReport(plan.rows, len(plan.added), len(plan.bodies), len(entries), waiting)


def _written_to(layout: Layout) -> bool:
    """Whether a living process holds a journal."""
    return any(not dead(layout, header) for header in headers(layout))


def _readers_are_through(layout: Layout, state: State, wait: float) -> bool:
    until = time.monotonic() + wait
    while oldest(layout) < state.n:
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True


def _about(file: str, before: str, after: str) -> Remark:
    return Remark(PURGED, {"file": file, "sha256_before": before, "sha256_after": after})


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bodies(layout: Layout, cleaner: Cleaner, plan: _Plan) -> None:
    """Keep each body that changes under its new hash; the old one goes with this entry.

    A file whose content is not what its name says is damaged, or not of the store: it is not made to look whole.
    """
    for body in bodies(layout, cleaner.suspicious):
        path = Path(body.file)
        if path.parts[0] != "blobs":
            continue
        content = body.text.encode("utf-8", "surrogateescape")
        if path.parts[1:] != (path.name[:2], path.name) or hashlib.sha256(content).hexdigest() != path.name:
            continue
        cleaned = cleaner.body(body.text)
        if cleaned != body.text:
            digest = blobs.put(layout.blobs, cleaned.encode("utf-8", "surrogateescape"), durable=True)
            plan.bodies[path.name] = digest
            plan.removed.append(body.file)
            plan.remarks.append(_about(body.file, path.name, digest))


def _moved(value: Any, moved: Mapping[str, str]) -> Any:
    """A column with the references to bodies that changed."""
    if isinstance(value, str):
        for before, after in moved.items():
            value = value.replace(before, after)
    return value


# ── segments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _segment(con: duckdb.DuckDBPyConnection, layout: Layout, cleaner: Cleaner, segment: Segment, plan: _Plan) -> None:
    path = layout.root / segment.path
    changed: dict[int, dict[str, Any]] = {}
    for found in rows(con, layout, path, cleaner.columns, cleaner.suspicious, sha256=segment.sha256):
        if isinstance(found, Row) and (columns := cleaner.row(found.columns)):
            changed[found.number] = columns
    if changed or plan.bodies:  # also of one that cannot be read: it may refer to a body that is to go
        verify(layout, [segment], again=True)
    referring = _referring(con, path, plan.bodies) if plan.bodies else {}
    if not changed and not referring:
        return
    for number, columns in referring.items():
        mine = changed.setdefault(number, {})
        for name, value in columns.items():
            mine[name] = _moved(mine.get(name, value), plan.bodies)
    made = _written(con, layout, segment, changed)
    plan.added.append(made)
    plan.removed.append(segment.path)
    plan.remarks.append(_about(segment.path, segment.sha256, made.sha256))
    plan.rows += len(changed)


def _referring(con: duckdb.DuckDBPyConnection, path: Path, moved: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    """Columns with references, of the rows that refer to bodies that changed, by their place in the file."""
    names = ("input", "output", "attributes", "resource", "links")
    # the place of a row stands where its time would: that is what each reference is given with
    file = f"read_parquet({quoted(path)}, file_row_number=true)"
    source = f"(SELECT * REPLACE (file_row_number AS start_ns) FROM {file})"
    gone = ", ".join(quoted(before) for before in moved)
    places = f"SELECT start_ns FROM ({references_in(source)}) WHERE blob IN ({gone})"
    listed = ", ".join(names)
    found = con.execute(f"SELECT start_ns, {listed} FROM {source} WHERE start_ns IN ({places})").fetchall()
    return {number: {n: v for n, v in zip(names, values, strict=True) if v is not None} for number, *values in found}


def _written(
    con: duckdb.DuckDBPyConnection, layout: Layout, segment: Segment, changed: Mapping[int, Mapping[str, Any]]
) -> Segment:
    """Write the rows of a segment again with the columns that changed."""
    import pyarrow as pa

    names = sorted({name for columns in changed.values() for name in columns})
    kinds = {name: pa.list_(pa.string()) if BY_NAME[name].type == "VARCHAR[]" else pa.string() for name in names}
    table = {"place": pa.array(list(changed), pa.int64())}
    table |= {name: pa.array([c.get(name) for c in changed.values()], kind) for name, kind in kinds.items()}
    con.register("changed", pa.table(table))
    kept = ", ".join(f'coalesce(changed."{name}", s."{name}") AS "{name}"' for name in names)
    source = f"read_parquet({quoted(layout.root / segment.path)}, file_row_number=true)"
    query = f"""SELECT s.* REPLACE ({kept})
        FROM (SELECT {columns_of(segment.schema)}, file_row_number AS place FROM {source}) AS s
        LEFT JOIN changed ON changed.place = s.place
        ORDER BY s.place"""
    rows, wide = f"SELECT * EXCLUDE (place) FROM ({query})", widths(con, source).get(segment.experiment_id)
    made = write(con, layout, rows, segment.experiment_id, segment.ranges, width=wide)
    if _rest(con, layout, segment, names) != _rest(con, layout, made, names):
        (layout.root / made.path).unlink()
        raise DamagedFile(layout.root / made.path, "what was to stay is not what was read back")
    return made


def _rest(
    con: duckdb.DuckDBPyConnection, layout: Layout, segment: Segment, names: list[str]
) -> list[tuple[object, ...]]:
    """Count and checksum of what stays: whole rows, and of rows that change the other columns; by their places."""
    source = f"read_parquet({quoted(layout.root / segment.path)}, file_row_number=true)"
    whole = ", ".join(f'"{name}"' for name in NAMES)
    others = ", ".join(f'"{name}"' for name in NAMES if name not in names)
    return con.execute(f"""
        SELECT changed.place IS NULL AS stays, count(*),
            bit_xor(CASE WHEN changed.place IS NULL THEN hash(s.place, {_of("s", whole)})
                ELSE hash(s.place, {_of("s", others)}) END)
        FROM (SELECT {columns_of(segment.schema)}, file_row_number AS place FROM {source}) AS s
        LEFT JOIN changed ON changed.place = s.place GROUP BY ALL ORDER BY ALL""").fetchall()


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{column}" for column in columns.split(", "))


# ── the manifest ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _opened(state: State, cleaner: Cleaner, moved: Mapping[str, str]) -> dict[str, list[Any]]:
    """Starts that are carried, anew."""
    found = {}
    for event, (writer, line, version) in state.opened.items():
        facts = orjson.loads(line)
        changed = cleaner.record(facts)
        seq = facts.pop("seq")
        facts.pop("crc", None)
        text = _moved(orjson.dumps(facts | changed).decode(), moved)
        if changed or text != orjson.dumps(facts).decode():
            found[event] = [writer, finish(text.encode()[:-1], seq)[:-1].decode(), version]
    return found


def _entries(layout: Layout, cleaner: Cleaner) -> dict[int, str]:
    """Number and hash of the entries that carry a start with what must not be there."""
    found = {}
    for n in numbers(layout):
        content = (layout.manifest / f"{n:012d}.json").read_bytes()
        if cleaner.suspicious(content):
            try:
                dirty = any(cleaner.record(facts) for facts in started(orjson.loads(content)))
            except ValueError:  # damaged: `tele check` names it
                continue
            if dirty:
                found[n] = hashlib.sha256(content).hexdigest()
    return found
