"""Which slice of a track stands in which: the nesting of a Chrome trace, found without holding its events."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Any

__all__ = ["MOST", "Slices"]

MOST = 2_000_000
"""Slices whose nesting is found; that takes about 100 bytes for each."""


_PIECE = 1 << 16
_LOOKED_AT = 64
"""Slices that overlap without holding each other, of which a parent is looked for: real tracks have none."""
_FEW = 100_000
"""Slices that are sorted here: Arrow takes longer to import."""


class Slices:
    """Begin, end and track of slices by the number of the event that begins each; `parents` gives what holds what."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._starts = array("d")
        self._ends = array("d")
        self._tracks = array("q")
        self.left_out = 0

    def add(self, number: int, track: int, start: float, end: float) -> None:
        """Add a slice; beyond so many they are counted alone."""
        if len(self._numbers) >= MOST:
            self.left_out += 1
            return
        self._numbers.append(number)
        self._tracks.append(track)
        self._starts.append(start)
        self._ends.append(end)

    def parents(self) -> array[int]:
        """Give, by the number of each slice, that of the one of its track that holds it and began last, or -1."""
        found = array("q", [-1]) * (max(self._numbers, default=-1) + 1)
        open_: list[int] = []
        track: int | None = None
        for at in self._in_order():
            if self._tracks[at] != track:
                track, open_ = self._tracks[at], []
            while open_ and not (self._starts[at] < self._ends[open_[-1]] and self._ends[at] <= self._ends[open_[-1]]):
                if self._starts[at] < self._ends[open_[-1]]:  # they overlap: the one before may hold it
                    break
                open_.pop()
            holder = next((up for up in islice(reversed(open_), _LOOKED_AT) if self._ends[at] <= self._ends[up]), None)
            if holder is not None:
                found[self._numbers[at]] = self._numbers[holder]
            open_.append(at)
        return found

    def _in_order(self) -> Iterator[int]:
        """Give the slices by track, begin, and the longer before the shorter."""
        if len(self._numbers) < _FEW:
            keys = zip(self._tracks, self._starts, self._ends, self._numbers, strict=True)
            order = sorted((track, start, -end, number, at) for at, (track, start, end, number) in enumerate(keys))
            yield from (at for *_, at in order)
            return
        import pyarrow as pa
        import pyarrow.compute as pc

        table = pa.table(
            {
                "track": _column(self._tracks, pa.int64()),
                "start": _column(self._starts, pa.float64()),
                "end": _column(self._ends, pa.float64()),
                "number": _column(self._numbers, pa.int64()),
            }
        )
        sorted_ = pc.sort_indices(
            table,
            sort_keys=[("track", "ascending"), ("start", "ascending"), ("end", "descending"), ("number", "ascending")],
        )
        for begin in range(0, len(sorted_), _PIECE):
            yield from sorted_.slice(begin, _PIECE).to_pylist()


def _column(values: array[Any], type_: Any) -> Any:
    """Give an Arrow array over the same bytes."""
    import pyarrow as pa

    return pa.Array.from_buffers(type_, len(values), [None, pa.py_buffer(values)])
