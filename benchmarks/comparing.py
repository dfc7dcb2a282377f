"""Comparing four conditions in eight metrics, every test and interval, beside reading the same columns into numpy.

The log lies in one Parquet file, as a sealed store's does: one row for each metric, item, replicate and condition over
2,000 items. Ours loads, averages replicates, pairs, tests (10,000 sign flips on item means among the tests), corrects
and words all 24 comparisons. The other side only fetches condition, item, run, replicate, name and value.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Settings, race, row, wall

__all__ = ["rows"]

ITEMS, METRICS, CONDITIONS = 2_000, 8, 4
_COLUMNS = "condition, item_id, run_id, replicate, name, value"


def rows(settings: Settings) -> list[Row]:
    """Measure the comparison at the number of events of the large store."""
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        log = _Log(Path(folder) / "events.parquet", settings.large)
        found = _compared(log)
        if len(found) != METRICS * (CONDITIONS - 1) or {one.test for one in found} != {"paired t"}:
            raise RuntimeError(f"another comparison than was meant: {found[:1]}")
        sides = {
            "tele": lambda: wall(lambda: _compared(log)),
            "columns into numpy": lambda: wall(lambda: log.con.execute(f"SELECT {_COLUMNS} FROM events").fetchnumpy()),
        }
        took = race(sides, settings.rounds)
    what = f"{METRICS} metrics x {CONDITIONS} conditions, {log.count:,} events over {ITEMS:,} items"
    note = "wall; all intervals, tests, 10,000 sign flips of each pair, Holm; text columns arrive as objects"
    return [row("comparing", what, took, "tele", "columns into numpy", 3.0, per=1, note=note)]


class _Log:
    """Metrics in a Parquet file, read as a store reads it."""

    def __init__(self, path: Path, events: int) -> None:
        import duckdb

        from tele.store.columns import COLUMNS
        from tele.store.views import view_sql

        replicates = max(1, events // (ITEMS * METRICS * CONDITIONS))
        self.count = replicates * ITEMS * METRICS * CONDITIONS
        given = {
            "event_id": "hash(n)::VARCHAR",
            "kind": "'metric'",
            "experiment": "'sweep'",
            "name": f"'metric ' || (n % {METRICS})",
            "condition": f"'c' || (n // {METRICS} % {CONDITIONS})",
            "item_id": f"'item ' || (n // {METRICS * CONDITIONS} % {ITEMS})",
            "replicate": f"n // {METRICS * CONDITIONS * ITEMS}",
            "run_id": f"'run ' || (n // {METRICS} % {CONDITIONS}) || '-' || (n // {METRICS * CONDITIONS * ITEMS})",
            "value": f"sin(n // {METRICS * CONDITIONS} % {ITEMS}) + hash(n) / 1.8e19 + n // {METRICS} % 4 / 99",
            "start_ns": "n",
            "seq": "n",
        }
        listed = ", ".join(f'({given.get(c.name, "NULL")})::{c.type} AS "{c.name}"' for c in COLUMNS)
        self.con = duckdb.connect(config={"memory_limit": "800MB"})
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute(f"COPY (SELECT {listed} FROM range({self.count}) AS r(n)) TO '{path}' (COMPRESSION zstd)")
        self.con.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{path}')")
        self.con.execute("CREATE TABLE liveness (writer VARCHAR, process VARCHAR, state VARCHAR)")
        for statement in view_sql().values():
            self.con.execute(statement)

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query, as a store does."""
        return self.con.execute(query, list(params) or None).fetchall()


def _compared(log: _Log) -> Sequence[Any]:
    from tele.analysis.compare import Options, compared
    from tele.analysis.compare.sides import conditions
    from tele.analysis.scope import census, requests

    seen = census(log, "sweep")
    pair = conditions(log, seen, requests(log, seen, None), (), "c0")
    if pair is None:
        raise RuntimeError("no baseline")
    return compared(log, pair, Options(metrics=[f"metric {n}" for n in range(METRICS)])).comparisons
