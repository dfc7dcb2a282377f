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

from benchmarks.measure import Row, Settings

__all__ = ["machine", "print_table", "write_results"]

_LIBRARIES = ("tele", "duckdb", "pyarrow", "orjson", "google-re2", "polars", "pandas", "opentelemetry-sdk")
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


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows in columns as wide as their cells, and the notes below."""
    cells = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    for number, line in enumerate(cells):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    for row in rows:
        if row.note:
            print(f"{row.name}: {row.note}")


def write_results(folder: Path, rows: Sequence[Row], settings: Settings, facts: dict[str, Any]) -> Path:
    """Write `<date>.json` and `latest.md` into `folder`; return the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%d}.json"
    content = {
        "time": now.isoformat(timespec="seconds"),
        "settings": dataclasses.asdict(settings),
        "machine": facts,
        "rows": [
            {**dataclasses.asdict(row), "value": row.value._asdict() if row.value else None, "held": row.held}
            for row in rows
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    (folder / "latest.md").write_text(_markdown(rows, facts, now))
    return path


def _markdown(rows: Sequence[Row], facts: dict[str, Any], now: datetime) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    where = f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, load {facts['load_1_5_15'][0]}"
    lines = [
        f"Measured {now:%Y-%m-%d %H:%M} UTC by `make bench`: {where}; Python {facts['python']}, {versions}.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|" + "---|" * len(_HEAD),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |" for row in rows),
        "",
        *(f"* {row.name}: {row.note}" for row in rows if row.note),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    measured = "-"
    if row.value:
        low, high = (f"{value:.3g}" for value in (row.value.low, row.value.high))
        measured = f"{row.value.median:.3g} {row.unit}" + (f" ({low}..{high})" if low != high else "")
    hold = "-" if row.hold is None else f"<= {row.hold:g} {row.unit}"
    held = {None: "-", True: "yes", False: "NO"}[row.held]
    return row.what, row.ours, row.against, measured, hold, held
