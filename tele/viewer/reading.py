"""The rows of a page, read in parts that fit into memory: some traces at a time, and of a long one its texts apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tele.store.columns import COLUMNS
from tele.store.schema import TEXT_BYTES
from tele.viewer.target import Reader, Target

__all__ = ["SHOWN", "Part", "Row", "Trace", "parts", "read", "traces", "with_texts"]

AT_ONCE = 20_000
"""Rows that are read together."""
BYTES_AT_ONCE = 64 * 1024 * 1024
"""Bytes of their texts."""
SHOWN = "(kind = 'span' OR (trace_id IS NOT NULL AND NOT starts_with(name, 'tele.')))"
"""SQL: what a page lists."""
_READ = tuple(column.name for column in COLUMNS if not column.derived and column.name != "seq")
_TEXTS = tuple(column.name for column in COLUMNS if column.json)

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace, before it is read; `id` is None for the spans without any."""

    id: str | None
    rows: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """What is read together."""

    traces: tuple[Trace, ...]

    @property
    def rows(self) -> int:
        """Rows of all its traces."""
        return sum(trace.rows for trace in self.traces)

    @property
    def text_bytes(self) -> int:
        """Bytes of the texts of all its traces."""
        return sum(trace.text_bytes for trace in self.traces)

    @property
    def long(self) -> bool:
        """Whether its texts do not fit into memory together."""
        return self.text_bytes > BYTES_AT_ONCE

    def where(self, target: Target) -> tuple[str, list[object]]:
        """SQL that selects its rows, and the parameters."""
        ids = [trace.id for trace in self.traces]
        named = "trace_id IN (SELECT unnest(?::VARCHAR[]))" + " OR trace_id IS NULL" * (None in ids)
        return f"{target.where} AND ({named})", [*target.params, [found for found in ids if found is not None]]


def traces(reader: Reader, target: Target) -> list[Trace]:
    """Return the traces of `target` in the order of their beginnings."""
    query = f"""SELECT trace_id, count(*), sum({TEXT_BYTES}) FROM events WHERE {target.where} AND {SHOWN}
        GROUP BY trace_id ORDER BY min(start_ns) NULLS LAST, trace_id"""
    return [Trace(found, int(rows), int(size)) for found, rows, size in reader.rows(query, target.params)]


def parts(found: Iterable[Trace]) -> Iterator[Part]:
    """Divide traces into parts; one that is too large for that is a part by itself."""
    part: list[Trace] = []
    rows = size = 0
    for trace in found:
        if part and (rows + trace.rows > AT_ONCE or size + trace.text_bytes > BYTES_AT_ONCE):
            yield Part(tuple(part))
            part, rows, size = [], 0, 0
        part.append(trace)
        rows, size = rows + trace.rows, size + trace.text_bytes
    if part:
        yield Part(tuple(part))


def read(reader: Reader, target: Target, part: Part) -> list[Row]:
    """Return the rows of a part in the order of time; of a long one hashes stand for the texts (see `with_texts`)."""
    where, params = part.where(target)
    columns = ", ".join(f"hash({name})::VARCHAR" if part.long and name in _TEXTS else name for name in _READ)
    query = f"SELECT {columns} FROM events WHERE {where} AND {SHOWN} ORDER BY start_ns NULLS LAST, event_id"
    return [dict(zip(_READ, values, strict=True)) for values in reader.rows(query, params)]


def with_texts(
    reader: Reader, target: Target, part: Part, rows: Iterable[tuple[Row, Sequence[Row]]]
) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Give rows of a part, each with the events on it, as they are: the texts of a long one are read some at a time."""
    if not part.long:
        yield from rows
        return
    where, params = part.where(target)
    left, most = iter(rows), max(1, part.rows * BYTES_AT_ONCE // part.text_bytes)
    while some := list(islice(left, most)):
        ids = [row["event_id"] for span, events in some for row in (span, *events)]
        these = f"{where} AND event_id IN (SELECT unnest(?::VARCHAR[]))"
        query = f"SELECT event_id, {', '.join(_TEXTS)} FROM events WHERE {these}"
        texts = {row[0]: dict(zip(_TEXTS, row[1:], strict=True)) for row in reader.rows(query, [*params, ids])}
        for span, events in some:
            yield {**span, **texts[span["event_id"]]}, [{**row, **texts[row["event_id"]]} for row in events]
