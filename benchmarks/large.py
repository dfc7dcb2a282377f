"""A large store: `analyze` beside SQL written by hand, percentiles beside pandas and polars, one trace beside its file.

All sides read the same Parquet files. What ours has to open, it opens within the time that counts.
"""

from __future__ import annotations

import math
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Settings, cpu, missing, race, row
from benchmarks.stores import EXPERIMENT, filled
from benchmarks.workload import QUANTILES

__all__ = ["analysis", "one_trace", "percentiles", "rows"]

CONDITIONS = 4


def rows(settings: Settings) -> list[Row]:
    """Fill one large store and measure all three on it."""
    with filled(settings.large) as store:
        return [*analysis(store, settings), *percentiles(store, settings), *one_trace(store, settings)]


def _files(store: Path) -> list[str]:
    """Files that the manifest names: those that compaction took out stay beside them for a while."""
    from tele.store.layout import open_layout
    from tele.store.manifest import load

    return sorted(str(store / path) for path in load(open_layout(store)).segments)


# ── analyze ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_SUMMARY = """
    SELECT kind, name, count(*), min(start_ns), max(coalesce(end_ns, start_ns))
    FROM read_parquet($files) WHERE experiment = $experiment GROUP BY ALL"""
_MODELS = """
    SELECT condition, model, sum(cost_usd), count(cost_usd), count(*) FILTER (cost_usd IS NULL),
           sum(input_tokens), sum(output_tokens),
           sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
           count(*), count(*) FILTER (success), count(*) FILTER (NOT success), count(*) FILTER (success IS NULL)
    FROM read_parquet($files) WHERE experiment = $experiment AND kind = 'span' AND operation = 'chat' GROUP BY ALL"""
_ERRORS = """
    SELECT condition, error_type, count(*)
    FROM read_parquet($files) WHERE experiment = $experiment AND operation = 'chat' AND NOT success GROUP BY ALL"""
_LATENCY = """
    SELECT condition, count(*), avg(duration_ms), stddev_samp(duration_ms), min(duration_ms), max(duration_ms),
           quantile_cont(duration_ms, [0.5, 0.9, 0.95, 0.99]), quantile_disc(duration_ms, $bounds::DOUBLE[])
    FROM read_parquet($files)
    WHERE experiment = $experiment AND kind = 'span' AND operation = 'chat'
          AND success IS NOT FALSE AND duration_ms IS NOT NULL
    GROUP BY ALL"""


def analysis(store: Path, settings: Settings) -> list[Row]:
    """Compare `analyze`, open included, with the same figures by hand on a fresh connection; first cold, then warm."""
    import duckdb

    from tele.analysis import analyze
    from tele.store.reader import open_store

    files = _files(store)
    # the 95 % bounds of the four percentiles: other ranks of the same list, here near enough to cost the same
    bounds = [
        q + sign * 1.96 * math.sqrt(q * (1 - q) / (settings.large * 0.3 / CONDITIONS))
        for q in QUANTILES
        for sign in (-1, 1)
    ]

    def ours() -> Any:
        with open_store(store) as reader:
            return analyze(reader, EXPERIMENT)

    def by_hand() -> Any:
        with duckdb.connect() as con:
            given = {"files": files, "experiment": EXPERIMENT}
            summary = con.execute(_SUMMARY, given).fetchall()
            models = con.execute(_MODELS, given).fetchall()
            errors = con.execute(_ERRORS, given).fetchall()
            latency = con.execute(_LATENCY, {**given, "bounds": [min(max(b, 0.0), 1.0) for b in bounds]}).fetchall()
            return summary, models, errors, latency

    _same(ours(), by_hand())
    with tempfile.TemporaryDirectory() as cache:
        cold = _elsewhere(Path(cache), lambda: cpu(ours))
    took = race({"tele.analyze": lambda: cpu(ours), "SQL by hand": lambda: cpu(by_hand)}, settings.rounds)
    warm = took.spread("tele.analyze").median
    note = f"open included, segments verified before; with every hash to verify {cold / warm:.2f} times that"
    what = f"analyze, {settings.large:,} spans in {len(files)} files"
    return [row("analyze", what, took, "tele.analyze", "SQL by hand", 1.3, per=1, note=note)]


def _same(found: Any, by_hand: Any) -> None:
    """Raise ValueError where the two sides do not give the same figures."""
    _, models, _, latency = by_hand
    for group in found.groups:
        key = group.key.get("condition")
        (timed,) = (line for line in latency if line[0] == key)
        asked = [line for line in models if line[0] == key]
        theirs = (
            timed[1],
            timed[6][0],
            timed[6][3],
            timed[2],
            math.fsum(line[2] for line in asked),
            sum(line[10] for line in asked),
        )
        mine = group.latency
        ours = (mine.count, mine.p50, mine.p99, mine.mean, group.cost.total, group.reliability.total_requests)
        if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(ours, theirs, strict=True)):
            raise ValueError(f"analyze says {ours}, SQL by hand {theirs}")


def _elsewhere(cache: Path, work: Any) -> float:
    """Run `work` with another cache folder, where no segment is known to be verified."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(cache)
    try:
        return float(work())
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


# ── percentiles ──────────────────────────────────────────────────────────────────────────────────────────────────────


def percentiles(store: Path, settings: Settings) -> list[Row]:
    """Exact percentiles of the durations by name, of an open store, beside pandas and polars on its files."""
    from tele.store.reader import open_store

    files = _files(store)
    query = f"SELECT name, quantile_cont(duration_ms, {list(QUANTILES)}) FROM spans GROUP BY name"
    found: list[Row] = []
    what = f"exact percentiles by name, {settings.large:,} spans (the budget is for 10 M)"
    with open_store(store) as reader:
        truth = dict(reader.rows(query))
        for library, build, hold in (("pandas", _pandas, 0.4), ("polars", _polars, 0.7)):
            try:
                theirs = build(files)
            except ImportError as error:
                found.append(missing(f"percentiles-{library}", what, library, hold, error))
                continue
            for name, values in theirs().items():
                if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(truth[name], values, strict=True)):
                    raise ValueError(f"{library} finds other percentiles for {name}: {values}, ours {truth[name]}")
            sides = {"tele SQL": partial(cpu, partial(reader.rows, query)), library: partial(cpu, theirs)}
            took = race(sides, settings.rounds)
            found.append(row(f"percentiles-{library}", what, took, "tele SQL", library, hold, per=1))
    return found


def _pandas(files: list[str]) -> Any:
    import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own

    def work() -> dict[str, list[float]]:
        frame = pd.read_parquet(files, columns=["kind", "name", "duration_ms"])
        spans = frame[frame["kind"] == "span"]
        asked = spans.groupby("name")["duration_ms"].quantile(list(QUANTILES))
        found: dict[str, list[float]] = {}
        for (name, _), value in asked.items():
            found.setdefault(name, []).append(value)
        return found

    return work


def _polars(files: list[str]) -> Any:
    import polars as pl

    def work() -> dict[str, list[float]]:
        asked = [pl.col("duration_ms").quantile(q, interpolation="linear").alias(str(q)) for q in QUANTILES]
        frame = pl.scan_parquet(files).filter(pl.col("kind") == "span").group_by("name").agg(asked).collect()
        return {line[0]: list(line[1:]) for line in frame.rows()}

    return work


# ── one trace ────────────────────────────────────────────────────────────────────────────────────────────────────────


def one_trace(store: Path, settings: Settings) -> list[Row]:
    """One trace, every column, out of an open store, beside reading it from the file that is known to hold it.

    Both sides keep the footers that they have read: the store because it is open, the file because DuckDB is told to.
    """
    import duckdb

    from tele.store.reader import open_store

    files = _files(store)
    with open_store(store) as reader, duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")  # as ours, so that the rows can be compared
        con.execute("SET parquet_metadata_cache = true")
        query = "SELECT trace_id FROM spans WHERE parent_id IS NULL ORDER BY start_ns LIMIT 1 OFFSET ?"
        ((trace,),) = reader.rows(query, [settings.large // 40])
        known = [
            f
            for f in files
            if con.execute("SELECT 1 FROM read_parquet(?) WHERE trace_id = ? LIMIT 1", [f, trace]).fetchone()
        ]

        def ours() -> list[Any]:
            return reader.rows("SELECT * FROM spans WHERE trace_id = ?", [trace])

        def theirs() -> list[Any]:
            return con.execute(
                "SELECT * FROM read_parquet(?) WHERE kind = 'span' AND trace_id = ?", [known, trace]
            ).fetchall()

        if sorted(map(str, ours())) != sorted(map(str, theirs())):
            raise ValueError("the two sides read another trace")
        took = race({"tele": lambda: cpu(ours), "the known file": lambda: cpu(theirs)}, settings.rounds)
    what = f"one trace of {settings.large:,} spans, {len(files)} files (the budget is for 10 M)"
    return [
        row("one-trace", what, took, "tele", "the known file", 2.5, per=1, note=f"it stands in {len(known)} file(s)")
    ]
