"""Compaction: many small segments of an experiment become files of about a million rows.

Each group is one step of its own: verified segments are read in the order of time, written as one file, read back and
compared, and one manifest entry takes the old ones out and the new one in. Between two groups the lease is free, so
that sealing goes on. The old files stay for a grace period that running readers extend.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tele.errors import DamagedFile
from tele.store.columns import COLUMNS, NAMES
from tele.store.decode import lift
from tele.store.layout import Layout
from tele.store.lease import changing
from tele.store.manifest import CHECKPOINT_EVERY, Entry, Segment, State, newest, publish
from tele.store.schema import TEXT_BYTES, quoted
from tele.store.segments import ORDER, verify, write
from tele.store.sweep import sweep
from tele.store.workbench import workbench

if TYPE_CHECKING:
    import duckdb

__all__ = ["TARGET_ROWS", "CompactReport", "columns_of", "compact", "groups", "merge"]

TARGET_ROWS = 1_000_000
_TARGET_BYTES = 4 * 1024**3
"""Of text in one file."""
_WIDE, _WIDE_BYTES = 2 * 1024, 256 * 1024**2
"""Bytes of text in a row, from which on DuckDB does not sort what is beyond its memory, and those in a file of such."""
_WIDEST = 32 * 1024
"""Bytes of text in a row: of longer ones DuckDB, which handles 2,048 rows together, would have too much in hand."""


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What one compaction did."""

    rows: int
    """Rows that were written again."""
    before: int
    """Segments taken out."""
    after: int
    """Segments put in."""
    bytes_before: int
    bytes_after: int


def compact(
    layout: Layout,
    *,
    wait: float = 0.0,
    target_rows: int = TARGET_ROWS,
    progress: Callable[[int], object] | None = None,
) -> CompactReport:
    """Fold small segments into larger ones; `progress` is told the rows of each new file.

    It may be interrupted at any instant: what is done stays done. Raises StoreBusy, NewerFormat, DamagedFile (nothing
    damaged is ever folded into a sound file) or StoreNotWritable (no space).
    """
    rows = before = after = bytes_before = bytes_after = 0
    with workbench(layout) as con:
        state = State()
        while True:
            with changing(layout, wait=wait):
                state = newest(layout, state)
                group = next(groups(state, target_rows), None)
                if group is None:
                    sweep(layout, state)
                    return CompactReport(rows, before, after, bytes_before, bytes_after)
                made = merge(con, layout, group)
                entry = Entry("compact", time.time_ns(), [made], [s.path for s in group])
                # A state that has become so much smaller is worth stating: readers need not read what led to it.
                state = publish(layout, state, entry, whole=len(group) >= CHECKPOINT_EVERY)
            rows, before, after = rows + made.rows, before + len(group), after + 1
            bytes_before, bytes_after = bytes_before + sum(s.size for s in group), bytes_after + made.size
            if progress:
                progress(made.rows)


def groups(state: State, target_rows: int = TARGET_ROWS) -> Iterator[list[Segment]]:
    """Neighbours in time of one experiment that make a file of at most `target_rows` rows."""
    experiments: dict[tuple[str, bool], list[Segment]] = {}
    for segment in state.segments.values():
        wide, text = segment.width > _WIDE, segment.text_bytes or 0
        most = _WIDE_BYTES if wide else _TARGET_BYTES
        if segment.rows <= target_rows // 2 and text <= most // 2 and segment.width <= _WIDEST:
            experiments.setdefault((segment.experiment_id, wide), []).append(segment)
    for (_, wide), found in experiments.items():
        group: list[Segment] = []
        rows, text, most = 0, 0, _WIDE_BYTES if wide else _TARGET_BYTES
        for segment in sorted(found, key=_begin):
            rows, text = rows + segment.rows, text + (segment.text_bytes or 0)
            if rows > target_rows or text > most:
                if len(group) > 1:
                    yield group
                group, rows, text = [], segment.rows, segment.text_bytes or 0
            group.append(segment)
        if len(group) > 1:
            yield group


def merge(con: duckdb.DuckDBPyConnection, layout: Layout, group: list[Segment], where: str = "true") -> Segment:
    """Write the rows of `group` that `where` selects as one segment of the current schema version.

    Raises DamagedFile where a file is not what was written, or where the new one does not hold the same rows.
    """
    verify(layout, group, again=True)
    ordered = sorted(group, key=_begin)
    rows = f"SELECT * FROM ({_selected(layout, ordered)}) WHERE {where}"
    sort = "" if _in_order(con, layout, ordered) else f" ORDER BY {ORDER}"
    count, size, *digest = _digest(con, rows)
    width = size / count if count else 0.0
    made = write(con, layout, rows + sort, group[0].experiment_id, _ranges(group), width=width)
    new = f"SELECT * FROM read_parquet({quoted(layout.root / made.path)})"
    if _digest(con, new) != (count, size, *digest):
        (layout.root / made.path).unlink()
        raise DamagedFile(layout.root / made.path, "the rows read back are not those that were written")
    return made


def _selected(layout: Layout, segments: list[Segment]) -> str:
    """Query of the rows of `segments`, in their order, with the columns of the current schema version."""
    parts: list[tuple[int, list[str]]] = []
    for segment in segments:
        if not parts or parts[-1][0] != segment.schema:
            parts.append((segment.schema, []))
        parts[-1][1].append(quoted(layout.root / segment.path))
    return " UNION ALL ".join(
        f"SELECT {columns_of(version)} FROM read_parquet([{', '.join(files)}], hive_partitioning=false)"
        for version, files in parts
    )


def columns_of(version: int) -> str:
    """SQL that selects the columns of this release from a file of schema `version`."""
    return ", ".join(f'{lift(c, "attributes")} AS "{c.name}"' if c.since > version else f'"{c.name}"' for c in COLUMNS)


def _begin(segment: Segment) -> tuple[int, str]:
    return segment.min_ns if segment.min_ns is not None else 2**63, segment.path


def _in_order(con: duckdb.DuckDBPyConnection, layout: Layout, ordered: list[Segment]) -> bool:
    """Whether the files one behind the other are sorted already: that saves the sort, which is most of the cost."""
    if any(segment.min_ns is None or segment.max_ns is None for segment in ordered):
        return False
    if any(a.max_ns >= b.min_ns for a, b in pairwise(ordered)):  # type: ignore[operator]
        return False
    files = ", ".join(quoted(layout.root / segment.path) for segment in ordered)
    query = f"SELECT sum(stats_null_count) FROM parquet_metadata([{files}]) WHERE path_in_schema = 'start_ns'"
    return bool(con.execute(query).fetchall() == [(0,)])


def _digest(con: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, int, int, int]:
    """Count, bytes of what may be long, and checksums of rows in any order: every value of every column counts."""
    names = ", ".join(f'"{name}"' for name in NAMES)
    query = f"""SELECT count(*), coalesce(sum({TEXT_BYTES}), 0), coalesce(bit_xor(hash({names})), 0),
        coalesce(sum(hash({names}) % 1000003), 0) FROM ({rows})"""
    return con.execute(query).fetchall()[0]


def _ranges(group: list[Segment]) -> dict[str, list[list[int]]]:
    """First and last number of each writer in the segments together."""
    together: dict[str, list[int]] = {}
    for segment in group:
        for writer, stretches in segment.ranges.items():
            together.setdefault(writer, []).extend(number for stretch in stretches for number in stretch)
    return {writer: [[min(found), max(found)]] for writer, found in together.items()}
