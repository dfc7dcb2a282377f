"""From verified journal lines to rows, by DuckDB's JSON reader.

A line holds what cannot be computed. Times, durations, the writer and the JSON text of the nested values are computed
here. A column that a line's schema version did not have yet is lifted out of the attribute `user.<name>`, where the
writer of that version put a keyword of that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tele.store.columns import COLUMNS, SCHEMA_VERSION, Column
from tele.store.line import Lines
from tele.store.names import DEFAULT_EXPERIMENT, experiment_id
from tele.store.schema import empty_select, journal_struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb
    import pyarrow as pa

__all__ = ["decode", "fill", "lift", "lines_table", "shown"]

_SHOWN = 60
_PART = 32 * 1024 * 1024
"""Bytes of lines that DuckDB decodes at a time: it takes 2,048 lines together, and some ten times their bytes."""
_DERIVED = {
    "time": "make_timestamptz(j.start_ns // 1000)",
    "end_time": "make_timestamptz(j.end_ns // 1000)",
    "duration_ms": "coalesce(j.duration_ms, (j.end_ns - j.start_ns) / 1e6)",
    "writer": "writer",
    "experiment": f"coalesce(j.experiment, '{DEFAULT_EXPERIMENT}')",
    "experiment_id": f"coalesce(j.experiment_id, '{experiment_id(DEFAULT_EXPERIMENT)}')",
}


def lines_table(batches: Sequence[tuple[str, Lines]]) -> pa.Table:
    """Lines of several journals as an Arrow table with columns `writer` and `line`."""
    import pyarrow as pa

    writers = [pa.repeat(pa.scalar(writer), len(lines)) for writer, lines in batches]
    texts = [_text(lines.adjacent()) for _, lines in batches]
    columns = pa.chunked_array(writers, type=pa.string()), pa.chunked_array(texts, type=pa.large_string())
    return pa.table(dict(zip(("writer", "line"), columns, strict=True)))


def _text(lines: Lines) -> pa.Array:
    """Lines that are adjacent as Arrow text, where they stand: each but the last has its newline, which JSON allows.

    Raises pyarrow.ArrowInvalid where a line is no UTF-8.
    """
    import pyarrow as pa

    offsets = pa.py_buffer(lines.starts + lines.stops[-1:] if lines else bytes(8))
    text = pa.LargeStringArray.from_buffers(len(lines), offsets, pa.py_buffer(lines.data))
    text.validate(full=True)
    return text


def decode(
    con: duckdb.DuckDBPyConnection, lines: pa.Table, *, version: int = SCHEMA_VERSION
) -> duckdb.DuckDBPyRelation:
    """Rows of `events` from `lines` (see `lines_table`), in the order of the lines."""
    selected = ", ".join(f'{_expression(c, version)} AS "{c.name}"' for c in COLUMNS)
    source = f"SELECT writer::VARCHAR AS writer, from_json(line, '{journal_struct()}') AS j FROM lines"
    con.register("lines", lines)
    return con.sql(f"SELECT {selected} FROM ({source})")


def fill(
    con: duckdb.DuckDBPyConnection, table: str, batches: Sequence[tuple[str, Lines]], *, version: int
) -> list[tuple[str, bytes]]:
    """Append the rows of `batches` (writer and its lines) to `table`; make it where it is not there.

    Returns writer and line of each one that is no record although its checksum matches: it was not written by tele.
    Raises what DuckDB raises for anything else, as where memory or disk are full.
    """
    import duckdb
    import pyarrow as pa

    con.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {empty_select()}")
    odd = []
    try:
        for some in _parts(batches):
            try:
                decode(con, lines_table(some), version=version).insert_into(table)
            except duckdb.OperationalError:  # no memory, no disk: that says nothing of the lines
                raise
            except (duckdb.Error, pa.ArrowInvalid):
                sound, found = _sift(con, some, version)
                if not found:
                    raise
                decode(con, lines_table(sound), version=version).insert_into(table)
                odd += found
    finally:
        con.unregister("lines")  # else the text of the lines stays in memory beside the rows
    return odd


def _parts(batches: Sequence[tuple[str, Lines]]) -> Iterator[list[tuple[str, Lines]]]:
    """Parts of `batches` of about `_PART` bytes, in their order; at least one."""
    some: list[tuple[str, Lines]] = []
    room = _PART
    for writer, lines in batches:
        for part in lines.parts(room, _PART):
            some.append((writer, part))
            if (room := room - part.size) <= 0:
                yield some
                some, room = [], _PART
    yield some


def shown(line: bytes) -> str:
    """Beginning of a line for a message."""
    return ascii(line[:_SHOWN].decode("utf-8", "replace"))[1:-1] + ("..." if len(line) > _SHOWN else "")


def _sift(
    con: duckdb.DuckDBPyConnection, batches: Sequence[tuple[str, Lines]], version: int
) -> tuple[list[tuple[str, Lines]], list[tuple[str, bytes]]]:
    """Part lines that decode from those that do not."""
    row = ", ".join(f'"{c.name}" := {_expression(c, version)}' for c in COLUMNS)
    query = f"""SELECT TRY(struct_pack({row})) IS NOT NULL
                FROM (SELECT writer, TRY(from_json(line, '{journal_struct()}')) AS j FROM lines)"""
    sound, odd = [], []
    for writer, lines in batches:
        objects = [line for line in lines if _is_object(line)]
        con.register("lines", lines_table([(writer, Lines.of(objects))]))
        fits = [fit for (fit,) in con.execute(query).fetchall()] if objects else []
        good = {line for line, fit in zip(objects, fits, strict=True) if fit}
        sound.append((writer, Lines.of(line for line in lines if line in good)))
        odd += [(writer, line) for line in lines if line not in good]
    return sound, odd


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _expression(column: Column, version: int) -> str:
    if column.since > version:
        return lift(column, "j.attributes")
    if column.name in _DERIVED:
        return _DERIVED[column.name]
    if column.name in ("input", "output"):
        return f"coalesce('blob:' || (j.blobs->>'$.{column.name}'), j.{column.name}::VARCHAR)"
    return f'j."{column.name}"::{column.type}'


def lift(column: Column, attributes: str) -> str:
    """SQL of a column that its rows do not have yet: the attribute `user.<name>`, or NULL where it does not fit."""
    return f"try_cast({attributes}::JSON->>'$.\"user.{column.name}\"' AS {column.type})"
