"""The same events appended 1,000 at a time: this journal, plain lines, SQLite, DuckDB and Delta side by side.

Every side begins with the same plain Python rows and has acknowledged a batch when its turn ends; encoding counts.
What survives is known from how each writes, and shown for ours by `tests/faults`; it is not measured here.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.filling import Filler
from benchmarks.measure import Race, Row, Settings, Table, race
from benchmarks.workload import TRACE_SPANS

__all__ = ["rows"]

_BATCH = 1000
_FEW = 1000
"""Events of the sides that take a millisecond for each."""
_COLUMNS = ("written with", "us/event", "CPU us/event", "bytes/event", "after kill -9", "after power loss")
_TYPES = {"start_ns": "BIGINT", "end_ns": "BIGINT", "input_tokens": "BIGINT", "output_tokens": "BIGINT"}
_TYPES |= {"success": "BOOLEAN", "cost_usd": "DOUBLE"}

Event = dict[str, Any]
Batches = list[list[Event]]
_FOLDER = "every acknowledged event, where the folder was synced: DuckDB does not"
_ALL, _SYNCED = "every acknowledged event", "what the system had written by then"


@dataclass(frozen=True, slots=True)
class _Side:
    write: Callable[[Path, Batches], object]
    kill: str
    power: str
    few: bool = False
    """Whether it is given one batch only."""


def rows(settings: Settings) -> list[Row | Table]:
    """Measure all sides in turns; a side whose library is absent says so."""
    filler, count = Filler(), max(settings.spans // _BATCH, 2) * _BATCH
    names = _names(filler)
    spans = [dict.fromkeys(names) | span for number in range(count // TRACE_SPANS) for span in filler.trace(number)]
    batches = [spans[at : at + _BATCH] for at in range(0, count, _BATCH)]
    sides, absent = _sides()
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    sizes: dict[str, float] = {}

    def turn(name: str) -> float:
        given = batches[: _FEW // _BATCH] if sides[name].few else batches
        with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
            start, start_cpu = time.perf_counter(), time.process_time()
            sides[name].write(Path(folder), given)
            events = sum(map(len, given))
            took, used = time.perf_counter() - start, time.process_time() - start_cpu
            cpu[name].append(used / events)
            sizes[name] = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / events
        return took / events

    took = race({name: lambda name=name: turn(name) for name in sides}, settings.rounds)  # type: ignore[misc]
    return [_table(sides, absent, took, cpu, sizes, count), *_ratios(took)]


def _table(
    sides: dict[str, _Side],
    absent: list[str],
    took: Race,
    cpu: dict[str, list[float]],
    sizes: dict[str, float],
    count: int,
) -> Table:
    lines: list[tuple[str | float | int | None, ...]] = [
        (
            name,
            took.spread(name).median * 1e6,
            median(cpu[name]) * 1e6,
            round(sizes[name]),
            side.kill,
            side.power,
        )
        for name, side in sides.items()
    ]
    lines += [(f"{name} (not installed)", None, None, None, "-", "-") for name in absent]
    note = (
        f"{count:,} events in batches of {_BATCH:,}, by the clock, encoding included; tele writes each event by itself "
        "in `process` and syncs each in `fsync`, the others write and sync once a batch."
    )
    return Table("neighbours", "Appending the same events", _COLUMNS, tuple(lines), note)


def _ratios(took: Race) -> list[Row]:
    found = []
    ours = "tele journal, `process`"
    for against in ("plain JSON lines", "SQLite WAL, NORMAL"):
        ratio = took.ratio(ours, against)
        left, right = (f"{took.spread(side).median * 1e6:.3g} us" for side in (ours, against))
        what = f"append, {ours} beside {against}"
        found.append(Row(f"append-{against.split()[0].lower()}", what, left, f"{against}: {right}", ratio, None))
    return found


def _names(filler: Filler) -> list[str]:
    return sorted({key for number in range(200) for span in filler.trace(number) for key in span})


def _sides() -> tuple[dict[str, _Side], list[str]]:
    sides = {
        "tele journal, `process`": _Side(_tele("process"), _ALL, _SYNCED),
        "tele journal, `buffered`": _Side(_tele("buffered"), "all but the last 250 ms", _SYNCED),
        "tele journal, `fsync`": _Side(_tele("fsync"), _ALL, _ALL, few=True),
        "plain JSON lines": _Side(_plain, f"{_ALL}; damage is not noticed", _SYNCED),
        "SQLite WAL, NORMAL": _Side(_sqlite("NORMAL"), _ALL, "up to the last checkpoint"),
        "SQLite WAL, FULL": _Side(_sqlite("FULL"), _ALL, _ALL),
        "DuckDB, INSERT from Arrow": _Side(_duckdb_arrow, _ALL, _FOLDER),
        "DuckDB, executemany": _Side(_duckdb_rows, _ALL, _FOLDER, few=True),
    }
    if find_spec("deltalake") is None:
        return sides, ["Delta, append"]
    return sides | {"Delta, append": _Side(_delta, _ALL, "not stated")}, []


# ── each side ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _line(event: Event) -> bytes:
    return orjson.dumps({key: value for key, value in event.items() if value is not None})


def _tele(mode: str) -> Callable[[Path, Batches], object]:
    def write(folder: Path, batches: Batches) -> None:
        from tele.store.journal import Journal, durability
        from tele.store.layout import prepare

        journal = Journal(prepare(folder / ".tele"), durability(mode))
        for batch in batches:
            for event in batch:
                journal.append(_line(event)[:-1])
            journal.flush()
        journal.close()

    return write


def _plain(folder: Path, batches: Batches) -> None:
    with (folder / "events.jsonl").open("ab", buffering=0) as file:
        for batch in batches:
            file.write(b"".join(_line(event) + b"\n" for event in batch))


def _values(event: Event) -> list[Any]:
    """Values of a row for SQL: what is nested as JSON text."""
    return [json.dumps(value) if isinstance(value, dict | list) else value for value in event.values()]


def _ddl(batches: Batches) -> str:
    columns = ", ".join(f'"{name}" {_TYPES.get(name, "VARCHAR")}' for name in batches[0][0])
    return f"CREATE TABLE events ({columns})"


def _insert(batches: Batches) -> str:
    return f"INSERT INTO events VALUES ({', '.join('?' * len(batches[0][0]))})"


def _sqlite(synchronous: str) -> Callable[[Path, Batches], object]:
    def write(folder: Path, batches: Batches) -> None:
        con = sqlite3.connect(folder / "events.db", isolation_level=None)
        con.execute("PRAGMA journal_mode = WAL")
        con.execute(f"PRAGMA synchronous = {synchronous}")
        con.execute(_ddl(batches))
        for batch in batches:
            con.execute("BEGIN")
            con.executemany(_insert(batches), map(_values, batch))
            con.execute("COMMIT")
        con.close()

    return write


def _arrow(batch: list[Event]) -> Any:
    import pyarrow as pa

    types = {"BIGINT": pa.int64(), "BOOLEAN": pa.bool_(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}
    schema = pa.schema([(name, types[_TYPES.get(name, "VARCHAR")]) for name in batch[0]])
    columns = zip(*map(_values, batch), strict=True)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _duckdb_arrow(folder: Path, batches: Batches) -> None:
    import duckdb

    with duckdb.connect(str(folder / "events.duckdb")) as con:
        con.execute(_ddl(batches))
        for batch in batches:
            con.register("batch", _arrow(batch))
            con.execute("INSERT INTO events SELECT * FROM batch")


def _duckdb_rows(folder: Path, batches: Batches) -> None:
    import duckdb

    with duckdb.connect(str(folder / "events.duckdb")) as con:
        con.execute(_ddl(batches))
        for batch in batches:
            con.execute("BEGIN")
            con.executemany(_insert(batches), list(map(_values, batch)))
            con.execute("COMMIT")


def _delta(folder: Path, batches: Batches) -> None:
    write = import_module("deltalake").write_deltalake
    for batch in batches:
        write(str(folder / "events"), _arrow(batch), mode="append")
