"""Printing: tables for people, JSON and CSV for programs. Control characters of stored text never reach a terminal."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from tele.errors import BadInput

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console

    from tele.store.reader import Store

__all__ = [
    "cell",
    "choice",
    "console",
    "count",
    "human",
    "print_ingest",
    "print_rows",
    "print_views",
    "safe",
    "write_facts",
    "write_line",
    "write_result",
]

_BATCH = 10_000
_WIDEST = 60
_ENOUGH = 1_000
# C0 and C1 controls, and the bidirectional overrides that make text read as it is not
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def console() -> Console:
    """Rich console on stdout, plain where that is no terminal; what it is given writes no control characters."""
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
    from rich.segment import Segment

    class Safe:
        def __init__(self, inner: ConsoleRenderable) -> None:
            self.inner = inner

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for part in console.render(self.inner, options):
                yield part if part.control else Segment(safe(part.text), part.style)

    class Hook(RenderHook):
        def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
            return [Safe(each) for each in renderables]

    found = Console(highlight=False)
    found.push_render_hook(Hook())
    return found


def choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise BadInput where `value` is none of `allowed`."""
    if value not in allowed:
        raise BadInput(f"{option} is {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}.")


def safe(text: str) -> str:
    """`text` without control characters, for a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def write_line(text: str) -> None:
    """Write one line to stdout."""
    sys.stdout.write(text + "\n")


def cell(value: object) -> str:
    """One value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    return safe(str(value)).replace("\n", "⏎").replace("\t", " ")


def print_rows(store: Store, query: str, format_: str, *, empty: str) -> None:
    """Print a query's rows as a table or JSON; `empty` where there is none."""
    choice("--format", format_, ("table", "json"))
    result = store.sql(query)
    if format_ == "table" and not store.rows(f"SELECT 1 FROM ({query}) LIMIT 1"):
        write_line(empty)
        return
    write_result(result, format_, None)


def print_views() -> None:
    """Print the SQL of every view."""
    from tele.store.views import view_sql

    for text in view_sql().values():
        write_line(text.strip() + ";\n")


def write_result(relation: duckdb.DuckDBPyRelation, format_: str, output: Path | None) -> None:
    """Write a relation batch by batch, so that its size does not matter; raises BadInput or BadQuery."""
    if format_ == "parquet":
        _write_parquet(relation, output)
        return
    writer = {"table": _write_table, "csv": _write_csv, "json": _write_json}[format_]
    if output is None:
        writer(relation, sys.stdout)
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            writer(relation, file)
    except OSError as error:
        raise BadInput(f"Cannot write {output}: {error.strerror}.") from None


def _batches(relation: duckdb.DuckDBPyRelation) -> Iterator[list[dict[str, Any]]]:
    import duckdb

    from tele.store.reader import refusal

    names = relation.columns
    if len(set(names)) < len(names):
        raise BadInput(f"Two columns bear one name; give each its own with AS: {', '.join(names)}.")
    try:
        for batch in relation.to_arrow_reader(_BATCH):
            yield batch.to_pylist()
    except duckdb.Error as error:
        raise refusal(error) from None


def _write_table(relation: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    """Aligned columns; widths come from the first batch, so that rows can stream."""
    names = relation.columns
    widths: list[int] = []
    numeric: list[bool] = []
    count = 0
    for batch in _regrouped(_batches(relation)):
        rows = [[cell(value) for value in row.values()] for row in batch]
        if not widths:
            numeric = [all(isinstance(row[name], (int, float, Decimal, type(None))) for row in batch) for name in names]
            widths = [min(_WIDEST, max(map(len, column))) for column in zip(names, *rows, strict=True)]
            out.write(
                "  ".join(_fit(name, w, n) for name, w, n in zip(names, widths, numeric, strict=True)).rstrip() + "\n"
            )
            out.write("  ".join("─" * w for w in widths) + "\n")
        for row in rows:
            fitted = [_fit(text, width, right) for text, width, right in zip(row, widths, numeric, strict=True)]
            out.write("  ".join(fitted).rstrip() + "\n")
        count += len(rows)
    if not count:
        out.write("  ".join(names) + "\n")
    out.write(f"({count:,} row{'' if count == 1 else 's'})\n")


def _regrouped(batches: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """The same rows in batches of at least 1,000 while there are that many: DuckDB's first may hold two rows."""
    pending: list[dict[str, Any]] = []
    for batch in batches:
        pending += batch
        if len(pending) >= _ENOUGH:
            yield pending
            pending = []
    if pending:
        yield pending


def _fit(text: str, width: int, right: bool) -> str:
    if len(text) > width:
        return text[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def _write_csv(relation: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    from tele.exporters.csv_lines import csv_writer

    writer = csv_writer(out)
    writer.writerow(relation.columns)
    for batch in _batches(relation):
        writer.writerows([_csv_value(value) for value in row.values()] for row in batch)


def _csv_value(value: object) -> object:
    if isinstance(value, (list, dict)):
        return orjson.dumps(value, default=str).decode()
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _write_json(relation: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    """A JSON array with one object on each line."""
    before = "[\n"
    for batch in _batches(relation):
        for row in batch:
            out.write(before + orjson.dumps(row, default=_json_value).decode())
            before = ",\n"
    out.write("\n]\n" if before == ",\n" else "[]\n")


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):  # sums of integers are 128 bits wide
        whole = value == value.to_integral_value() and abs(value) < 2**63
        return int(value) if whole else float(value)
    return str(value)


def _write_parquet(relation: duckdb.DuckDBPyRelation, output: Path | None) -> None:
    import pyarrow.parquet as pq

    if output is None and sys.stdout.isatty():
        raise BadInput("Parquet is binary: name a file with -o.")
    reader = relation.to_arrow_reader(_BATCH * 10)
    try:
        with (
            output.open("wb") if output else os.fdopen(os.dup(sys.stdout.fileno()), "wb") as file,
            pq.ParquetWriter(file, reader.schema, compression="zstd") as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
    except OSError as error:
        raise BadInput(f"Cannot write {output}: {error.strerror}.") from None


def print_ingest(report: Any, format_: str) -> None:
    """Say what an ingest did."""
    if format_ == "json":
        write_facts(report)
        return
    kinds = ", ".join(f"{records:,} {name}" for name, records in sorted(report.by_format.items()))
    write_line(
        f"Read {report.records_read:,} records from {count(report.files, 'file')}{f' ({kinds})' if kinds else ''}."
    )
    known = f" {report.duplicates:,} were there before." if report.duplicates else ""
    write_line(f"Added {report.added:,}.{known}")
    problems = [f"{p.file}: {p.message} (at {p.position})" for p in report.problems]
    problems += [f"{file}: of no format that tele knows; --select reads tables" for file in report.unknown]
    problems += [f"{file}: left out, another file of this call has the same bytes" for file in report.repeated]
    for line in _some(problems):
        print(f"tele: {safe(line)}", file=sys.stderr)


def write_facts(facts: object) -> None:
    """Write a report as indented JSON."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    write_line(orjson.dumps(facts, option=options, default=str).decode())


def human(size: int) -> str:
    """Size in bytes as people read it: 1.2 GB."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:  # noqa: PLR2004
            break
        number, unit = number / 1000, larger
    return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"


def count(items: Any, noun: str) -> str:
    """Number of items, or a number, with its noun."""
    number = items if isinstance(items, int) else len(items)
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _some(lines: list[str], most: int = 20) -> Iterable[str]:
    yield from lines[:most]
    if len(lines) > most:
        yield f"and {len(lines) - most:,} more problems"
