"""Sealing: verified journal lines become immutable, sorted Parquet segments.

One manifest entry names the new segments and the offset up to which each journal is sealed: that is the one atomic
step. Whatever dies before it leaves the journals as they were and files that no manifest names, which the next sealer
sets aside.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tele.store.decode import decode, lines_table
from tele.store.journals import Tail, dead, headers, read_tail, size_of
from tele.store.layout import Layout
from tele.store.lease import lease
from tele.store.manifest import Entry, Sealed, State, load, publish
from tele.store.schema import quoted
from tele.store.segments import write

if TYPE_CHECKING:
    import duckdb

__all__ = ["BATCH_BYTES", "GRACE_SECONDS", "SealReport", "due", "seal"]

BATCH_BYTES = 64 * 1024 * 1024
GRACE_SECONDS = 600
"""A journal that is sealed whole stays this long for readers that began before."""


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

    Raises StoreBusy where another process seals, NewerFormat, DamagedFile (a broken manifest) or OSError (no space).
    """
    import duckdb

    rows = segments = 0
    with lease(layout, wait=wait):
        state = load(layout)
        _set_aside_orphans(layout, state)
        con = duckdb.connect(config={"threads": "2", "memory_limit": "800MB"})
        scratch = tempfile.mkdtemp(prefix="tele-seal-")
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = {quoted(scratch)}")
        con.execute(f"SET allowed_directories = [{quoted(layout.segments)}]")
        con.execute("SET enable_external_access = false")
        try:
            while tails := _batch(layout, state):
                entry = _entry(con, layout, state, tails)
                state = publish(layout, state, entry)
                sealed = sum(segment.rows for segment in entry.added)
                rows, segments = rows + sealed, segments + len(entry.added)
                if progress:
                    progress(sealed)
        finally:
            con.close()
            shutil.rmtree(scratch, ignore_errors=True)
        state = _forget(layout, state)
    damage = [
        f"journal {w}: {why} (offset {o}, {n} bytes)" for w, j in state.journals.items() for o, n, why in j.damage
    ]
    return SealReport(rows, segments, len(state.opened), tuple(damage))


def due(layout: Layout) -> bool:
    """Whether a dead writer left records unsealed, or the unsealed tails hold more than a batch."""
    state = load(layout)
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


def _batch(layout: Layout, state: State) -> list[Tail]:
    room = BATCH_BYTES
    tails = []
    for header in headers(layout):
        sealed = state.journals.get(header.writer)
        if header.foreign or (sealed and size_of(header.path) <= sealed.offset):
            continue
        tail = read_tail(header, sealed, room)
        if tail.scan.torn and tail.scan.end + tail.scan.torn >= size_of(header.path) and dead(layout, header):
            tail = tail.closed()
        if tail.scan.end > (sealed.offset if sealed else 0):
            tails.append(tail)
            room -= sum(map(len, tail.scan.lines))
        if room <= 0:
            break
    return tails


def _entry(con: duckdb.DuckDBPyConnection, layout: Layout, state: State, tails: list[Tail]) -> Entry:
    """Write the segments of one batch and say what changed."""
    _load_rows(con, tails)
    ranges = _ranges(con)
    segments = [write(con, layout, "ended", experiment, by_writer) for experiment, by_writer in ranges.items()]
    opened = _still_open(con, tails)
    closed = con.execute("SELECT event_id FROM ended WHERE kind = 'span'").fetchall() if state.opened else []
    amendments = con.execute("SELECT count(*) FROM ended WHERE name = 'tele.amended' AND kind = 'event'").fetchall()
    return Entry(
        reason="seal",
        time_ns=time.time_ns(),
        added=segments,
        journals={tail.header.writer: _sealed(state, tail) for tail in tails},
        opened=opened,
        ended=sorted({event for (event,) in closed} & state.opened.keys()),
        amendments=amendments[0][0],
    )


def _load_rows(con: duckdb.DuckDBPyConnection, tails: list[Tail]) -> None:
    """Put the lines behind views `ended` and `started` (spans without an end)."""
    by_version: dict[int, list[Tail]] = defaultdict(list)
    for tail in tails:
        by_version[tail.header.version].append(tail)
    parts = []
    for version, group in by_version.items():
        rows = decode(con, lines_table([(t.header.writer, t.scan.lines) for t in group]), version=version)
        con.execute(f"DROP TABLE IF EXISTS part{version}")
        rows.create(f"part{version}")
        parts.append(f"FROM part{version}")
    union = " UNION ALL ".join(parts)
    con.execute(f"CREATE OR REPLACE VIEW ended AS SELECT * FROM ({union}) WHERE status IS DISTINCT FROM 'open'")
    con.execute(f"CREATE OR REPLACE VIEW started AS SELECT * FROM ({union}) WHERE status = 'open'")


def _ranges(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, list[list[int]]]]:
    """By experiment and writer, the unbroken stretches of record numbers."""
    islands = """
        SELECT experiment_id, writer, min(seq), max(seq) FROM (
            SELECT experiment_id, writer, seq,
                   seq - row_number() OVER (PARTITION BY experiment_id, writer ORDER BY seq) AS island FROM ended)
        GROUP BY experiment_id, writer, island ORDER BY ALL"""
    found: dict[str, dict[str, list[list[int]]]] = {}
    for experiment, writer, first, last in con.execute(islands).fetchall():
        found.setdefault(experiment, {}).setdefault(writer, []).append([first, last])
    return found


def _still_open(con: duckdb.DuckDBPyConnection, tails: list[Tail]) -> dict[str, list[str]]:
    """Starts whose end is not in this batch: event id to writer and line."""
    query = """SELECT event_id, writer, seq FROM started
               WHERE event_id NOT IN (SELECT event_id FROM ended WHERE kind = 'span') ORDER BY writer, seq"""
    wanted = {(writer, seq): event for event, writer, seq in con.execute(query).fetchall()}
    found = {}
    for tail in tails if wanted else ():
        for line in tail.scan.lines:
            if b'"open"' in line:
                seq = int(line[line.rfind(b',"seq":') + 7 : line.rfind(b',"crc":')])
                if event := wanted.get((tail.header.writer, seq)):
                    found[event] = [tail.header.writer, line.decode()]
    return found


def _sealed(state: State, tail: Tail) -> Sealed:
    before = state.journals.get(tail.header.writer)
    damage = [[d.offset, d.length, d.why] for d in tail.scan.damage]
    known = before.damage if before else []
    return Sealed(tail.header.process, tail.scan.end, tail.scan.next, time.time_ns(), known + damage)


def _set_aside_orphans(layout: Layout, state: State) -> None:
    """Files of a sealer that died before its entry: unfinished ones go, whole ones move to quarantine/.

    Their records still stand in the journals; but where a manifest was lost, a whole one may be all that is left.
    """
    known = {layout.root / path for path in state.segments}
    for folder in layout.segments.iterdir():
        for path in folder.iterdir() if folder.is_dir() else ():
            if path in known or not path.is_file():
                continue
            if path.name.startswith("."):
                path.unlink(missing_ok=True)
            else:
                path.rename(layout.root / "quarantine" / path.name)


def _forget(layout: Layout, state: State) -> State:
    """Remove journals of dead writers that are sealed whole, after the grace period."""
    there = {header.writer: header for header in headers(layout)}
    gone = [writer for writer in state.journals if writer not in there]
    for writer in state.journals.keys() & there.keys():
        sealed, path = state.journals[writer], there[writer].path
        # A reader that began before it was sealed reads on from the journal.
        old = time.time() - max(path.stat().st_mtime, sealed.at_ns / 1e9) > GRACE_SECONDS
        if sealed.damage or size_of(path) != sealed.offset or not old or not dead(layout, there[writer]):
            continue
        path.unlink()
        gone.append(writer)
    if not gone:
        return state
    return publish(layout, state, Entry(reason="forget", time_ns=time.time_ns(), forgotten=gone))
