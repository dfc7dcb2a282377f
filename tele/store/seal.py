"""Sealing: verified journal lines become immutable, sorted Parquet segments.

One manifest entry names the new segments and the offset up to which each journal is sealed: that is the one atomic
step. Whatever dies before it leaves the journals as they were and files that no manifest names, which the next sealer
sets aside.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tele.store.decode import fill, shown
from tele.store.files import fsync_file, fsync_folder
from tele.store.journals import Tail, dead, headers, read_tail, size_of
from tele.store.layout import Layout
from tele.store.lease import changing
from tele.store.line import Damage
from tele.store.manifest import Entry, Sealed, State, load, publish
from tele.store.nesting import outside
from tele.store.orphans import set_aside_orphans
from tele.store.references import references_in
from tele.store.schema import quoted
from tele.store.segments import ORDER, widths, write
from tele.store.sweep import expired, sweep
from tele.store.workbench import workbench

if TYPE_CHECKING:
    import duckdb

__all__ = ["BATCH_BYTES", "SealReport", "due", "ranges", "seal", "steps"]

BATCH_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SealReport:
    """What one seal did."""

    rows: int
    segments: int
    open: int
    """Spans carried: started, not ended."""
    damage: tuple[str, ...]
    """What could not be read, one sentence each."""


def seal(layout: Layout, *, wait: float = 0.0, progress: Callable[[int], object] | None = None) -> SealReport:
    """Seal all that the journals hold; `progress` is told the rows of each batch.

    Raises StoreBusy where another process seals, NewerFormat, DamagedFile (a broken manifest) or StoreNotWritable (no
    space).
    """
    rows = segments = 0
    with changing(layout, wait=wait):
        state = load(layout)
        with workbench(layout) as con:
            set_aside_orphans(con, layout, state)
            for entry, after in steps(con, layout, state):
                state = after
                sealed = sum(segment.rows for segment in entry.added)
                rows, segments = rows + sealed, segments + len(entry.added)
                if progress:
                    progress(sealed)
        state = sweep(layout, state)
    damage = [
        f"journal {w}: {why} (offset {o}, {n} bytes)" for w, j in state.journals.items() for o, n, why in j.damage
    ]
    return SealReport(rows, segments, len(state.opened), tuple(damage))


def steps(con: duckdb.DuckDBPyConnection, layout: Layout, state: State) -> Iterator[tuple[Entry, State]]:
    """Seal batch by batch what is there now; gives each entry that was published and the state behind it.

    The lease is held. What writers append meanwhile is left for the next time, or the lease would never be free.
    """
    there = {header.writer: size_of(header.path) for header in headers(layout)}
    while entry := _next(con, layout, state, there):
        state = publish(layout, state, entry)
        yield entry, state


def _next(con: duckdb.DuckDBPyConnection, layout: Layout, state: State, there: dict[str, int]) -> Entry | None:
    """Write the segments of the next batch; None where there is none. Nothing of the batch stays in memory."""
    tails = _batch(layout, state, there)
    try:
        return _entry(con, layout, state, tails) if tails else None
    finally:
        con.execute("DROP TABLE IF EXISTS part")


def due(layout: Layout) -> bool:
    """Whether there is work: a dead writer's unsealed records, tails above a batch, or files to be removed."""
    state = load(layout)
    if expired(state):
        return True
    size = 0
    for header in headers(layout):
        if header.foreign:
            continue
        sealed = state.journals.get(header.writer)
        unsealed = size_of(header.path) - (sealed.offset if sealed else 0)
        if unsealed > 0 and dead(layout, header):
            return True
        size += unsealed
    return size > BATCH_BYTES


def _batch(layout: Layout, state: State, there: dict[str, int]) -> list[Tail]:
    room = BATCH_BYTES
    tails = []
    for header in headers(layout):
        sealed = state.journals.get(header.writer)
        if header.foreign or there.get(header.writer, 0) <= (sealed.offset if sealed else 0):
            continue
        over = dead(layout, header)  # asked first: one that dies after its last line was read has finished that line
        tail = read_tail(header, sealed, room)
        if over and tail.scan.torn and tail.scan.end + tail.scan.torn >= size_of(header.path):
            tail = tail.closed()
        if tail.scan.end > (sealed.offset if sealed else 0):
            tails.append(tail)
            room -= tail.scan.lines.size
        if room <= 0:
            break
    return tails


def _entry(con: duckdb.DuckDBPyConnection, layout: Layout, state: State, tails: list[Tail]) -> Entry:
    """Write the segments of one batch and say what changed."""
    odd = _load_rows(con, tails)
    _sync(con, layout, tails)
    rows = f"SELECT * FROM ended WHERE experiment_id = {{}} ORDER BY {ORDER}"
    known, wide = outside(con, "ended"), widths(con, "ended")
    segments = [
        write(con, layout, rows.format(quoted(experiment)), experiment, by_writer, known, wide[experiment])
        for experiment, by_writer in ranges(con, "ended").items()
    ]
    opened = _still_open(con, tails)
    closed = con.execute("SELECT event_id FROM ended WHERE kind = 'span'").fetchall() if state.opened else []
    return Entry(
        reason="seal",
        time_ns=time.time_ns(),
        added=segments,
        journals={t.header.writer: _sealed(state, t, odd.get(t.header.writer, [])) for t in tails},
        opened=opened,
        ended=sorted({event for (event,) in closed} & state.opened.keys()),
        amendments=sum(segment.amendments or 0 for segment in segments),
    )


def _load_rows(con: duckdb.DuckDBPyConnection, tails: list[Tail]) -> dict[str, list[Damage]]:
    """Put the lines behind views `ended` and `started` (spans without an end); return what was no record."""
    by_version: dict[int, list[Tail]] = defaultdict(list)
    for tail in tails:
        by_version[tail.header.version].append(tail)
    odd: dict[str, list[Damage]] = defaultdict(list)
    for version, group in by_version.items():
        for writer, line in fill(con, "part", [(t.header.writer, t.scan.lines) for t in group], version=version):
            [path] = [tail.header.path for tail in group if tail.header.writer == writer]
            odd[writer].append(Damage(path.read_bytes().find(line), len(line) + 1, f"no record: {shown(line)}"))
    con.execute("CREATE OR REPLACE VIEW ended AS SELECT * FROM part WHERE status IS DISTINCT FROM 'open'")
    con.execute("CREATE OR REPLACE VIEW started AS SELECT * FROM part WHERE status = 'open'")
    return odd


def ranges(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, dict[str, list[list[int]]]]:
    """By experiment and writer, the first and last number of the records in `table`."""
    query = f"""SELECT experiment_id, writer, min(seq), max(seq) FROM {table}
                WHERE seq IS NOT NULL GROUP BY ALL ORDER BY ALL"""
    found: dict[str, dict[str, list[list[int]]]] = {}
    for experiment, writer, first, last in con.execute(query).fetchall():
        found.setdefault(experiment, {})[writer] = [[first, last]]
    return found


def _sync(con: duckdb.DuckDBPyConnection, layout: Layout, tails: list[Tail]) -> None:
    """Have on the disk what the segments and the entry rely on: these journals, and the bodies that the rows name."""
    for tail in tails:
        fsync_file(tail.header.path)
    fsync_folder(layout.journals)
    named = con.execute(f"SELECT DISTINCT blob FROM ({references_in('part')})").fetchall()
    bodies = [path for (blob,) in named if (path := layout.blobs / blob[:2] / blob).is_file()]
    for path in bodies:
        fsync_file(path)
    for folder in {path.parent for path in bodies}:
        fsync_folder(folder)
    if bodies:
        fsync_folder(layout.blobs)


def _still_open(con: duckdb.DuckDBPyConnection, tails: list[Tail]) -> dict[str, list[Any]]:
    """Starts whose end is not in this batch: event id to writer, line and schema version."""
    if not con.execute("SELECT 1 FROM started LIMIT 1").fetchall():
        return {}
    query = """SELECT event_id, writer, seq FROM started
               WHERE event_id NOT IN (SELECT event_id FROM ended WHERE kind = 'span') ORDER BY writer, seq"""
    wanted = {(writer, seq): event for event, writer, seq in con.execute(query).fetchall()}
    found = {}
    for tail in tails if wanted else ():
        for line in tail.scan.lines:
            if b'"open"' in line:
                seq = int(line[line.rfind(b',"seq":') + 7 : line.rfind(b',"crc":')])
                if event := wanted.get((tail.header.writer, seq)):
                    found[event] = [tail.header.writer, line.decode(), tail.header.version]
    return found


def _sealed(state: State, tail: Tail, odd: list[Damage]) -> Sealed:
    before = state.journals.get(tail.header.writer)
    damage = [[d.offset, d.length, d.why] for d in (*tail.scan.damage, *odd)]
    known = before.damage if before else []
    return Sealed(tail.header.process, tail.scan.end, tail.scan.next, time.time_ns(), known + damage)
