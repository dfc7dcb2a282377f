"""What a store holds and what it takes, from the manifest and the folders: no row is read."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tele.store.compact import groups
from tele.store.journals import headers, liveness, size_of
from tele.store.layout import Layout
from tele.store.manifest import load

__all__ = ["Stats", "stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of one store; sizes in bytes."""

    path: str
    id: str
    format: int
    entry: int
    """Number of the newest manifest entry."""
    head: str
    """Its SHA-256, which covers every entry before: keep it elsewhere for `tele check --expect`."""
    experiments: int
    segments: int
    small: int
    """Segments that `tele compact` would fold."""
    rows: int
    """Rows in segments."""
    unsealed: int
    """Bytes of journals behind the sealed offset."""
    open: int
    """Spans carried: started, not ended."""
    schemas: dict[int, int]
    """Segments by schema version."""
    writers: dict[str, int]
    """Journals by the state of their process: alive, dead, silent."""
    sizes: dict[str, int]
    """Bytes of each folder; `removed` are segments and bodies that go after their grace period."""
    total: int


def stats(layout: Layout) -> Stats:
    """Figures of the store; raises DamagedFile or NewerFormat."""
    state = load(layout)
    segments = state.segments.values()
    unsealed = sum(
        max(size_of(header.path) - (sealed.offset if (sealed := state.journals.get(header.writer)) else 0), 0)
        for header in headers(layout)
    )
    folders = ("journal", "segments", "manifest", "blobs", "quarantine")
    sizes = {name: _size(layout.root / name) for name in folders}
    sizes["removed"] = sum(size_of(layout.root / path) for path in state.retired)
    return Stats(
        path=str(layout.root),
        id=layout.id,
        format=layout.format,
        entry=state.n,
        head=state.head,
        experiments=len({segment.experiment_id for segment in segments}),
        segments=len(segments),
        small=sum(map(len, groups(state))),
        rows=sum(segment.rows for segment in segments),
        unsealed=unsealed,
        open=len(state.opened),
        schemas=dict(sorted(Counter(segment.schema for segment in segments).items())),
        writers=dict(sorted(Counter(how for *_, how in liveness(layout)).items())),
        sizes=sizes,
        total=sum(size for name, size in sizes.items() if name != "removed"),
    )


def _size(folder: Path) -> int:
    return sum(size_of(Path(where) / name) for where, _, names in os.walk(folder) for name in names)
