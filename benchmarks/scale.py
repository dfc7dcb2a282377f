"""The growth curve: one store that doubles, and what each step costs for one event at each size.

At each size the new events come in two ways: most are appended as ready lines to a journal in mode `buffered` (what is
timed is the appending; making the lines is not) and sealed, and a quarter, at most 500,000, comes through
`tele ingest` from a Parquet table (reading, numbering, redaction, pricing, journal and sealing are all timed). Both go
into the same experiment. Then all is compacted, and questions are asked. Every step is a process of its own; each size
is printed when it is done, and a question that finds no answer in its memory leaves an empty cell.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Ratio, Row, Settings, Table
from benchmarks.steps import Done, step
from benchmarks.workload import TRACE_SPANS

__all__ = ["rows"]

FIRST = 100_000
INGESTED = 500_000
_MIB, _GIB = 1024**2, 1024**3
_EXPERIMENT = "common"
_COSTS = (
    "events",
    "append us/event",
    "ingest us/event",
    "ingest, by the clock",
    "seal us/event",
    "compact us/row written",
    "rows written by compact",
    "analyze ms",
    "percentiles ms",
    "one trace ms",
    "open ms",
    "bytes/event",
    "segments",
)
_STEPS = ("append", "ingest", "seal", "compact", "analysis", "percentiles", "trace")


def rows(settings: Settings) -> list[Row | Table]:
    """Grow one store to `settings.scale` events."""
    costs: list[tuple[float | int | None, ...]] = []
    peaks: list[tuple[float | int | None, ...]] = []
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        store, before = Path(folder) / ".tele", 0
        for size in sizes(settings.scale):
            done = _grow(store, Path(folder) / "calls.parquet", before, size)
            costs.append(_costs(size, done, store))
            peaks.append((size, *(_peak(done.get(name)) for name in _STEPS), round(done["ingest"].peak_below / _MIB)))
            print(json.dumps({"costs": costs[-1], "peaks": peaks[-1]}), file=sys.stderr, flush=True)
            before = size
    columns = ("events", *(f"{name} MiB" for name in _STEPS), "ingest's sealer MiB")
    note = (
        "CPU of all threads and of the processes that a step starts, except where it says otherwise. Appended in mode "
        "`buffered`; ingested: a quarter of the new events, at most 500,000. Opening is part of analyze."
    )
    return [
        Table("scale", "What a step costs as one store grows", _COSTS, tuple(costs), note),
        Table("scale-memory", "Largest resident set of each step as the store grows", columns, tuple(peaks)),
        *_growth(costs),
        *_memory(done, before),
    ]


def sizes(last: int) -> list[int]:
    """Sizes that double from 100,000 and end at `last`; of a small run the quarter, the half and the whole."""
    if last < 4 * FIRST:
        return [last // 4, last // 2, last]
    found = [FIRST]
    while found[-1] * 2 < last:
        found.append(found[-1] * 2)
    return [*found, last]


def _grow(store: Path, table: Path, before: int, size: int) -> dict[str, Done]:
    first, traces = before // TRACE_SPANS, (size - before) // TRACE_SPANS
    ingested = min(traces // 4, INGESTED // TRACE_SPANS)
    done = {"append": step("append", store, first=first, traces=traces - ingested)}
    done["seal"] = step("seal", store)
    step("table", store, path=str(table), first=first + traces - ingested, traces=ingested)
    done["ingest"] = step("ingest", store, path=str(table), experiment=_EXPERIMENT)
    done["compact"] = step("compact", store)
    done["opening"] = step("opening", store)
    done["analysis"] = step("analysis", store, experiment=_EXPERIMENT)
    try:
        done["percentiles"] = step("percentiles", store)
    except subprocess.CalledProcessError:  # the step has printed why: a whole column may not fit in the memory
        pass
    done["trace"] = step("trace", store, number=size // TRACE_SPANS // 2)
    if (found := done["trace"].facts["spans"]) != TRACE_SPANS:
        raise ValueError(f"one trace has {found} spans, not {TRACE_SPANS}")
    return done


def _costs(size: int, done: Mapping[str, Done], store: Path) -> tuple[float | int | None, ...]:
    return (
        size,
        _each(done["append"].cpu, done["append"]),
        _each(done["ingest"].cpu, done["ingest"]),
        _each(done["ingest"].wall, done["ingest"]),
        _each(done["seal"].cpu, done["seal"]),
        _each(done["compact"].cpu, done["compact"]),
        done["compact"].facts["events"],
        *(done[name].cpu * 1e3 if name in done else None for name in ("analysis", "percentiles", "trace", "opening")),
        *_size(store, size),
    )


def _each(seconds: float, done: Done) -> float | None:
    """Microseconds for each event that the step handled."""
    events = done.facts["events"]
    return seconds / events * 1e6 if events else None


def _size(store: Path, events: int) -> tuple[float, int]:
    """Bytes of an event in the files that the manifest names and in the manifest, and the number of those files."""
    from tele.store.layout import open_layout
    from tele.store.manifest import load

    layout = open_layout(store)
    segments = load(layout).segments.values()
    whole = sum(segment.size for segment in segments) + sum(f.stat().st_size for f in layout.manifest.iterdir())
    return whole / events, len(segments)


def _peak(done: Done | None) -> int | None:
    return round(done.peak / _MIB) if done else None


def _growth(costs: list[tuple[float | int | None, ...]]) -> list[Row]:
    """Cost of an event at the largest size over that at the first one."""
    found = []
    first, last = costs[0], costs[-1]
    for name in ("append", "ingest", "seal"):
        at = next(number for number, column in enumerate(_COSTS) if column.startswith(name))
        small, large = first[at], last[at]
        if small and large:
            ratio = large / small
            what = f"{name}, cost of an event at {last[0]:,} events"
            against = f"at {first[0]:,}: {small:.3g} us"
            found.append(Row(f"growth-{name}", what, f"{large:.3g} us", against, Ratio(ratio, ratio, ratio), None))
    return found


def _memory(done: Mapping[str, Done], events: int) -> list[Row]:
    found = []
    for name in (name for name in _STEPS if name in done):
        peak = max(done[name].peak, done[name].peak_below) / _GIB
        what = f"{name} in a store of {events:,} events, largest process"
        found.append(Row(f"peak-{name}", what, f"{peak:.2f} GiB", "", Ratio(peak, peak, peak), 1.0, "GiB"))
    return found
