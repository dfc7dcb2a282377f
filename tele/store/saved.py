"""Rows of lost segments that can be proven to be what was written: from journals, and from files that name themselves.

A journal line has its checksum; a segment that no entry names has its own hash for a name. Of what they hold, the rows
are taken that stand nowhere else and that were not pruned.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tele.store.columns import NAMES
from tele.store.decode import fill
from tele.store.journals import Header, headers, read_tails
from tele.store.layout import Layout
from tele.store.line import Lines
from tele.store.manifest import Segment, State
from tele.store.nesting import outside
from tele.store.remarks import ABOUT_THE_STORE, PRUNED
from tele.store.schema import empty_select, quoted
from tele.store.seal import ranges
from tele.store.segments import ORDER, own_name, widths, write

if TYPE_CHECKING:
    import duckdb

__all__ = ["save"]


def save(
    con: duckdb.DuckDBPyConnection, layout: Layout, state: State, lost: list[Segment], files: Iterable[Path]
) -> tuple[list[Segment], int]:
    """Seal what can be saved of the segments `lost`, and what stands in `files` alone; `state` is without them.

    Returns the new segments, and how many of their rows were in `lost`.
    """
    import duckdb

    con.execute(f"CREATE OR REPLACE TABLE saved AS {empty_select()}")
    there = {header.writer: header for header in headers(layout) if not header.foreign}
    for writer in sorted({writer for segment in lost for writer in segment.ranges} & there.keys()):
        stretches = [stretch for segment in lost for stretch in segment.ranges.get(writer, [])]
        _from_journal(con, there[writer], stretches)
    names = ", ".join(f'"{name}"' for name in NAMES)
    for path in files:
        if own_name(path):
            with contextlib.suppress(duckdb.Error):  # it is what was written, and that was no segment
                con.execute(f"INSERT INTO saved SELECT {names} FROM read_parquet({quoted(path)})")
    _leave_out(con, layout, state, there)
    con.execute("CREATE OR REPLACE TABLE saved AS SELECT DISTINCT ON (event_id) * FROM saved")
    rows = f"SELECT * FROM saved WHERE experiment_id = {{}} ORDER BY {ORDER}"
    known, wide = outside(con, "saved"), widths(con, "saved")
    made = [
        write(con, layout, rows.format(quoted(experiment)), experiment, by_writer, known, wide[experiment])
        for experiment, by_writer in ranges(con, "saved").items()
    ]
    return made, _were_in(con, lost)


def _were_in(con: duckdb.DuckDBPyConnection, lost: list[Segment]) -> int:
    """How many rows of table `saved` were in the segments `lost`."""
    con.execute("CREATE OR REPLACE TABLE stretches (experiment_id VARCHAR, writer VARCHAR, first BIGINT, last BIGINT)")
    values = [(s.experiment_id, w, *stretch) for s in lost for w, found in s.ranges.items() for stretch in found]
    if values:
        con.executemany("INSERT INTO stretches VALUES (?, ?, ?, ?)", values)
    query = """SELECT count(DISTINCT event_id) FROM saved JOIN stretches USING (experiment_id, writer)
               WHERE seq BETWEEN first AND last"""
    return int(con.execute(query).fetchall()[0][0])


def _from_journal(con: duckdb.DuckDBPyConnection, header: Header, stretches: list[list[int]]) -> None:
    """Read the lines of a journal whose numbers lie in `stretches` into table `saved`."""
    for tail in read_tails(header, None):
        wanted = [line for line in tail.scan.lines if any(a <= _number(line) <= b for a, b in stretches)]
        if wanted:
            fill(con, "saved", [(header.writer, Lines.of(wanted))], version=header.version)


def _number(line: bytes) -> int:
    return int(line[line.rfind(b',"seq":') + 7 : line.rfind(b',"crc":')])


def _leave_out(con: duckdb.DuckDBPyConnection, layout: Layout, state: State, there: dict[str, Header]) -> None:
    """Drop from table `saved` what stands elsewhere, what will be sealed from a journal, and what was pruned."""
    con.execute(f"DELETE FROM saved WHERE status = 'open' OR name IN {ABOUT_THE_STORE}")
    for writer in there:
        sealed = state.journals.get(writer)
        con.execute("DELETE FROM saved WHERE writer = ? AND seq >= ?", [writer, sealed.next if sealed else 0])
    concerned = {experiment for (experiment,) in con.execute("SELECT DISTINCT experiment_id FROM saved").fetchall()}
    files = [quoted(layout.root / s.path) for s in state.segments.values() if s.experiment_id in concerned]
    if files:
        sound = f"read_parquet([{', '.join(files)}], hive_partitioning=false)"
        con.execute(f"DELETE FROM saved WHERE event_id IN (SELECT event_id FROM {sound})")
        con.execute(f"""
            DELETE FROM saved s WHERE EXISTS (
                FROM {sound} p WHERE p.name = '{PRUNED}' AND p.experiment_id = s.experiment_id
                AND p.run_id IS NOT DISTINCT FROM s.run_id
                AND NOT coalesce(s.start_ns > try_cast(p.attributes->>'$.last_ns' AS BIGINT), FALSE))""")
