"""How much memory one command takes at most, in a process of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Ratio, Row, Settings, child
from benchmarks.stores import EXPERIMENT, filled

__all__ = ["rows"]

_GIB = 1024**3
_SELECT = """
    SELECT name, start AS start_ns, start + took AS end_ns, model, input AS input_tokens, output AS output_tokens
    FROM source"""
_CELLS = "name,start,took,model,input,output"


def rows(settings: Settings) -> list[Row]:
    """Measure the peak resident set of `tele ingest`, `tele analyze` and a bare `select *`, once each."""
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        table, target = Path(folder) / "calls.csv", str(Path(folder) / ".tele")
        _write_table(table, settings.large)
        arguments = ["ingest", str(table), "--experiment", "csv", "--select", _SELECT, "--store", target]
        found = [_row("ingest", "tele ingest, a CSV", arguments, settings)]
    with filled(settings.large) as store:
        at = ["--store", str(store)]
        found.append(_row("analyze", "tele analyze", ["analyze", EXPERIMENT, "--format", "json", *at], settings))
        found.append(_row("select", "tele sql 'select * from events'", ["sql", "select * from events", *at], settings))
    return found


def _row(name: str, what: str, arguments: list[str], settings: Settings) -> Row:
    took = child(["-m", "tele", *arguments])
    peak = took.peak / _GIB
    what = f"{what}, {settings.large:,} events (the budget is for 10 M)"
    note = f"largest process, peak resident set; {took.cpu:.1f} s of CPU"
    return Row(f"memory-{name}", what, f"{peak:.2f} GiB", "", Ratio(peak, peak, peak), 1.0, "GiB", note)


def _write_table(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.write(_CELLS + "\n")
        for number in range(count):
            start = 1_760_000_000_000_000_000 + number * 1_000_000
            took = 300_000_000 + number % 997 * 1_000_000
            file.write(f"chat gpt-4o,{start},{took},gpt-4o,{180 + number % 221},{80 + number % 141}\n")
