"""One step of a large benchmark in a process of its own: `python -m benchmarks.steps NAME STORE FACTS`.

What a step is measured by is measured inside it, so that starting Python does not count; the largest resident set is
the process's own, and beside it that of the processes which it started.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Done", "step"]

_ROUNDS = 3
_QUANTILES = [0.5, 0.9, 0.95, 0.99]


@dataclass(frozen=True, slots=True)
class Done:
    """What one step took."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, with those of the processes that it started."""
    peak: int
    """Largest resident set of the process, bytes."""
    peak_below: int
    """Largest resident set of a process that it started, bytes; 0 where there was none."""
    facts: dict[str, Any]
    """What the step says besides."""


def step(name: str, store: Path, **facts: Any) -> Done:
    """Run one step; raises CalledProcessError where it fails."""
    command = [sys.executable, "-m", "benchmarks.steps", name, str(store), json.dumps(facts)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return Done(**json.loads(said.splitlines()[-1]))


# ── filling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def append(
    store: Path,
    first: int,
    traces: int,
    *,
    experiments: int = 1,
    runs: int = 1,
    spans: int = 20,
) -> dict[str, Any]:
    """Append traces to one journal in mode `buffered`; what is timed is appending lines that are there already.

    They are divided among `experiments` and each of those among `runs`, one after the other.
    """
    from benchmarks.filling import Filler, lines
    from tele.store.journal import Journal
    from tele.store.layout import prepare

    journal = Journal(prepare(store), "buffered")
    filler = Filler()
    took = cpu = 0.0
    written = 0
    for number, (low, high) in _shares(first, traces, experiments * runs):
        experiment = "common" if experiments == 1 else f"common-{number // runs}"
        bodies = lines(_run_records(filler, experiment, f"{number:x}", low, high, spans))
        while batch := list(islice(bodies, 10_000)):
            start, start_cpu = time.perf_counter(), time.process_time()
            for line in batch:
                journal.append(line)
            took += time.perf_counter() - start
            cpu += time.process_time() - start_cpu
            written += len(batch)
    start = time.perf_counter()
    journal.close()
    if journal.dropped:
        raise RuntimeError(f"records were lost: {journal.dropped}")
    return {"wall": took + time.perf_counter() - start, "cpu": cpu, "events": written}


def _shares(first: int, traces: int, parts: int) -> list[tuple[int, tuple[int, int]]]:
    bounds = [first + traces * part // parts for part in range(parts + 1)]
    return list(enumerate(pairwise(bounds)))


def _run_records(filler: Any, experiment: str, run: str, low: int, high: int, spans: int) -> Any:
    from benchmarks.filling import lifecycle
    from benchmarks.workload import GAP_NS, START_NS
    from tele.store.names import experiment_id

    begin, end = START_NS + low * GAP_NS, START_NS + high * GAP_NS
    scope = {"experiment": experiment, "experiment_id": experiment_id(experiment), "run_id": f"r{begin:x}{run}"}
    yield lifecycle(scope, "tele.experiment.started", begin)
    for number in range(low, high):
        for span in filler.trace(number, spans):
            yield scope | span
    yield lifecycle(scope, "tele.experiment.stopped", end)


def table(store: Path, first: int, traces: int, *, path: str) -> dict[str, Any]:
    """Write the table that is to be ingested; nobody times it."""
    del store
    from benchmarks.filling import write_table

    return {"events": write_table(Path(path), first, traces)}


def ingest(store: Path, *, path: str, experiment: str) -> dict[str, Any]:
    """`tele ingest`, its sealing included; libraries and the price table are loaded before."""
    import duckdb  # noqa: F401  # that its import is not timed
    import pyarrow.parquet  # noqa: F401  # the same

    from benchmarks.filling import SELECT
    from tele.store.layout import prepare
    from tele.telemetry import pricing
    from tele.telemetry.ingest.into import ingest_into

    pricing.load()
    layout = prepare(store)
    start, start_cpu = time.perf_counter(), time.process_time()
    report = ingest_into(layout, [path], experiment=experiment, select=SELECT)
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - start_cpu + below.ru_utime + below.ru_stime
    return {"events": report.added, "wall": time.perf_counter() - start, "cpu": cpu}


def seal(store: Path) -> dict[str, Any]:
    """Seal all."""
    from tele.store.layout import open_layout
    from tele.store.seal import seal as run

    report = run(open_layout(store), wait=60.0)
    return {"events": report.rows, "segments": report.segments}


def compact(store: Path) -> dict[str, Any]:
    """Compact all; the events are those that were written again."""
    from tele.store.compact import compact as run
    from tele.store.layout import open_layout

    report = run(open_layout(store), wait=60.0)
    return {"events": report.rows, "before": report.before, "after": report.after}


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def opening(store: Path) -> dict[str, Any]:
    """Open the store and ask how many events there are."""
    from tele.store.reader import open_store

    def work() -> Any:
        with open_store(store) as reader:
            return reader.rows("SELECT count(*) FROM events")

    return _timed(work) | {"events": work()[0][0]}


def listing(store: Path) -> dict[str, Any]:
    """Open the store and list its experiments."""
    from tele.store.reader import open_store

    def work() -> Any:
        with open_store(store) as reader:
            return reader.rows("SELECT * FROM experiments")

    return _timed(work) | {"experiments": len(work())}


def analysis(store: Path, *, experiment: str) -> dict[str, Any]:
    """Open the store for one experiment and analyze it, as `tele analyze` does."""
    from tele.analysis import analyze
    from tele.store.reader import open_store

    def work() -> Any:
        with open_store(store, experiment=experiment) as reader:
            return analyze(reader, experiment)

    return _timed(work)


def percentiles(store: Path) -> dict[str, Any]:
    """Exact percentiles of all durations by name, of a store that is open."""
    from tele.store.reader import open_store

    with open_store(store) as reader:
        query = f"SELECT name, quantile_cont(duration_ms, {_QUANTILES}) FROM spans GROUP BY name"
        return _timed(lambda: reader.rows(query))


def trace(store: Path, *, number: int) -> dict[str, Any]:
    """One trace with every column out of a store that is open."""
    from benchmarks.workload import GAP_NS, START_NS
    from tele.store.reader import open_store

    prefix = f"{(START_NS + number * GAP_NS) // 1_000_000:012x}"
    with open_store(store) as reader:
        ((found,),) = reader.rows(
            "SELECT DISTINCT trace_id FROM spans WHERE trace_id BETWEEN ? AND ?", [prefix, prefix + "g"]
        )
        query = "SELECT * FROM spans WHERE trace_id = ?"
        return _timed(lambda: reader.rows(query, [found])) | {"spans": len(reader.rows(query, [found]))}


def _timed(work: Callable[[], object]) -> dict[str, float]:
    """Medians of a few rounds after one that does not count."""
    work()
    rounds = []
    for _ in range(_ROUNDS):
        start, start_cpu = time.perf_counter(), time.process_time()
        work()
        rounds.append((time.perf_counter() - start, time.process_time() - start_cpu))
    return {"wall": median(wall for wall, _ in rounds), "cpu": median(cpu for _, cpu in rounds)}


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────────

_STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    step.__name__: step
    for step in (append, table, ingest, seal, compact, opening, listing, analysis, percentiles, trace)
}


def main(name: str, store: str, given: str) -> None:
    """Run one step and print what it took as one line of JSON."""
    start, start_cpu = time.perf_counter(), time.process_time()
    facts = _STEPS[name](Path(store), **json.loads(given))
    wall = facts.pop("wall", time.perf_counter() - start)
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = facts.pop("cpu", time.process_time() - start_cpu + below.ru_utime + below.ru_stime)
    peak_below = below.ru_maxrss * _unit() if below.ru_utime > 0 else 0
    done = {"wall": wall, "cpu": cpu, "peak": _peak(), "peak_below": peak_below, "facts": facts}
    print(json.dumps(done))


def _unit() -> int:
    return 1 if sys.platform == "darwin" else 1024


def _peak() -> int:
    """Largest resident set of this program; `ru_maxrss` would begin at that of the process it was forked from."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _unit()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
