"""Bringing a store of an older release up to date: files are written anew and swapped in, never changed in place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tele.store.columns import SCHEMA_VERSION
from tele.store.compact import TARGET_ROWS, merge
from tele.store.layout import FORMAT, open_layout, write_identity
from tele.store.lease import changing
from tele.store.manifest import Entry, Segment, State, load, publish
from tele.store.workbench import workbench

__all__ = ["UpgradeReport", "upgrade"]


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """What one upgrade did."""

    format_before: int
    format_after: int
    segments: int
    """Segments of an older schema version that were written again."""
    rows: int


def upgrade(path: Path | str | None = None, *, wait: float = 0.0) -> UpgradeReport:
    """Give the store at `path` this release's format and column schema; what is up to date is left alone.

    It may be interrupted at any instant and run again. Older releases of tele refuse the store afterwards. Raises what
    `open_layout` raises, StoreBusy, DamagedFile or StoreNotWritable.
    """
    layout = open_layout(path)
    segments = rows = 0
    with workbench(layout) as con, changing(layout, wait=wait):
        state = load(layout)
        while group := _outdated(state):
            made = merge(con, layout, group)
            state = publish(layout, state, Entry("upgrade", time.time_ns(), [made], [s.path for s in group]))
            segments, rows = segments + len(group), rows + made.rows
        if layout.format < FORMAT:
            # The state in this release's form, so that nobody needs the entries of the older one.
            publish(layout, state, Entry("upgrade", time.time_ns()), whole=True)
            write_identity(layout.root, layout.id, layout.hash_key.hex())
    return UpgradeReport(layout.format, FORMAT, segments, rows)


def _outdated(state: State) -> list[Segment]:
    """Segments of one experiment and an older schema version, as many as make one file."""
    group: list[Segment] = []
    for segment in state.segments.values():
        if segment.schema == SCHEMA_VERSION or (group and segment.experiment_id != group[0].experiment_id):
            continue
        if group and sum(one.rows for one in group) + segment.rows > TARGET_ROWS:
            break
        group.append(segment)
    return group
