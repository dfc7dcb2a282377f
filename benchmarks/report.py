"""The results as a table on stdout, as Markdown, and as JSON with the facts of the machine."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Settings, Table

__all__ = ["machine", "markdown_table", "print_rows", "print_table", "rows_markdown", "where", "write_results"]

_LIBRARIES = ("tele", "duckdb", "pyarrow", "orjson", "google-re2", "deltalake", "polars", "pandas", "opentelemetry-sdk")
_HEAD = ("what", "ours", "against", "measured (min..max)", "hold", "held?")


def machine() -> dict[str, Any]:
    """Facts that a reader needs to judge the figures."""
    versions: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "load_1_5_15": [round(value, 2) for value in os.getloadavg()],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def print_rows(rows: Sequence[Row]) -> None:
    """Print the rows in columns as wide as their cells, and the notes below."""
    _print([_HEAD, *map(_cells, rows)])
    for row in rows:
        if row.note:
            print(f"{row.name}: {row.note}")


def print_table(table: Table) -> None:
    """Print a table under its title, and its note below."""
    print(f"\n{table.title}")
    _print([table.columns, *(tuple(map(_shown, line)) for line in table.lines)])
    if table.note:
        print(table.note)


def _print(cells: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for number, line in enumerate(cells):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def write_results(
    folder: Path, name: str, rows: Sequence[Row], tables: Sequence[Table], settings: Settings, facts: dict[str, Any]
) -> Path:
    """Write `<date><name>.json` and `latest<name>.md` into `folder`; return the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%d}{name}.json"
    content = {
        "time": now.isoformat(timespec="seconds"),
        "settings": dataclasses.asdict(settings),
        "machine": facts,
        "rows": [
            {**dataclasses.asdict(row), "value": row.value._asdict() if row.value else None, "held": row.held}
            for row in rows
        ],
        "tables": [dataclasses.asdict(table) for table in tables],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    (folder / f"latest{name}.md").write_text(_markdown(rows, tables, facts, now))
    return path


def _markdown(rows: Sequence[Row], tables: Sequence[Table], facts: dict[str, Any], now: datetime) -> str:
    head = f"Measured {now:%Y-%m-%d %H:%M} UTC by `python -m benchmarks`: {where(facts)}."
    parts = [head, *([rows_markdown(rows)] if rows else []), *map(markdown_table, tables)]
    return "\n\n".join(parts) + "\n"


def where(facts: dict[str, Any]) -> str:
    """The machine and the versions in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    load = facts["load_1_5_15"][0]
    machine = f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, load {load}"
    return f"{machine}; Python {facts['python']}, {versions}"


def rows_markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, their notes below."""
    lines = _grid(_HEAD, list(map(_cells, rows)))
    notes = [f"* {row.name}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def markdown_table(table: Table) -> str:
    """A table in Markdown under its title in bold, its note below."""
    lines = _grid(table.columns, [tuple(map(_shown, line)) for line in table.lines])
    return "\n".join([f"**{table.title}**", "", *lines, *(["", table.note] if table.note else [])])


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    cells = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *cells]


def _shown(value: str | float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _cells(row: Row) -> tuple[str, ...]:
    measured = "-"
    if row.value:
        low, high = (f"{value:.3g}" for value in (row.value.low, row.value.high))
        measured = f"{row.value.median:.3g} {row.unit}" + (f" ({low}..{high})" if low != high else "")
    hold = "-" if row.hold is None else f"<= {row.hold:g} {row.unit}"
    held = {None: "-", True: "yes", False: "NO"}[row.held]
    return row.what, row.ours, row.against, measured, hold, held
