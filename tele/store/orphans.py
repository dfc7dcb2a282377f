"""Segments that no manifest entry names: a process was killed before its entry, or entries were lost."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tele.store.files import ours
from tele.store.layout import Layout
from tele.store.manifest import State
from tele.store.remarks import ABOUT_THE_STORE
from tele.store.schema import quoted
from tele.store.segments import own_name
from tele.store.sweep import set_aside

if TYPE_CHECKING:
    import duckdb

__all__ = ["orphans", "set_aside_orphans", "unclaimed"]

_UNFINISHED = re.compile(r"\.[0-9a-f]{20}\.parquet")


def orphans(layout: Layout, state: State) -> Iterator[Path]:
    """Whole files in segments/ that no entry names."""
    known = {layout.root / path for path in (*state.segments, *state.retired)}
    for path in sorted(layout.segments.glob("*/*")):
        if path not in known and ours(path) and path.suffix == ".parquet" and not path.name.startswith("."):
            yield path


def unclaimed(con: duckdb.DuckDBPyConnection, layout: Layout, state: State, path: Path) -> int | None:
    """How many rows of a file that no entry names stand nowhere else: neither in a segment nor in a journal.

    None where the file is not what its own name says, or no Parquet: nothing in it can be relied on.
    """
    import duckdb

    if not own_name(path):
        return None
    held: dict[str, list[list[int]]] = {}
    for segment in state.segments.values():
        for writer, stretches in segment.ranges.items():
            held.setdefault(writer, []).extend(stretches)
    mine = f"FROM read_parquet({quoted(path)}) WHERE name NOT IN {ABOUT_THE_STORE}"
    try:
        rows = con.execute(f"SELECT writer, list(seq) {mine} AND seq IS NOT NULL GROUP BY writer").fetchall()
    except duckdb.Error:
        return None
    return sum(
        not any(first <= seq <= last for first, last in held.get(writer, []))
        for writer, numbers in rows
        for seq in numbers
        if seq < _to_be_sealed(layout, state, writer)
    )


def _to_be_sealed(layout: Layout, state: State, writer: str) -> float:
    """Number of the first record that the next seal will take from the journal of `writer`."""
    if not (layout.journals / f"{writer}.jsonl").exists():
        return math.inf
    sealed = state.journals.get(writer)
    return sealed.next if sealed else 0


def set_aside_orphans(con: duckdb.DuckDBPyConnection, layout: Layout, state: State) -> None:
    """Move files that no entry names to quarantine/; unfinished ones go. The lease is held.

    One that may hold rows that are nowhere else stays, for `tele repair`.
    """
    for unfinished in layout.segments.glob("*/.*.parquet"):
        if _UNFINISHED.fullmatch(unfinished.name) and ours(unfinished):
            unfinished.unlink(missing_ok=True)
    for path in list(orphans(layout, state)):
        if unclaimed(con, layout, state, path) == 0:
            set_aside(layout, path)
