"""Stores of unusual shapes: many runs, one long run, very many experiments, one huge trace."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Settings, Table
from benchmarks.steps import Done, step
from benchmarks.workload import TRACE_SPANS

__all__ = ["rows"]

_MIB = 1024**2
_COLUMNS = (
    "shape",
    "events",
    "append us/event",
    "seal us/event",
    "compact s",
    "segments before, after",
    "open ms",
    "list experiments ms",
    "analyze one ms",
    "one trace ms",
    "largest process MiB",
)


def rows(settings: Settings) -> list[Row | Table]:
    """Make each shape of at most `settings.scale` events and ask it the same questions."""
    events = settings.scale
    runs = min(1000, max(events // 1000, 2))
    experiments = min(10_000, max(events // 100, 2))
    huge = min(100_000, events)
    shapes: list[tuple[str, dict[str, Any]]] = [
        (f"{runs:,} runs of 1,000", {"traces": runs * 50, "runs": runs}),
        (f"one run of {events:,}", {"traces": events // TRACE_SPANS}),
        (f"{experiments:,} experiments of 100", {"traces": experiments * 5, "experiments": experiments}),
        (f"a trace of {huge:,} spans", {"traces": 1, "spans": huge}),
    ]
    lines = tuple(_line(title, given) for title, given in shapes)
    note = "CPU of all threads; questions are asked after compaction, open included except for the one trace."
    return [Table("shapes", "Stores of other shapes", _COLUMNS, lines, note)]


def _line(title: str, given: dict[str, Any]) -> tuple[str | float | int | None, ...]:
    experiment = "common" if given.get("experiments", 1) == 1 else "common-1"
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        store = Path(folder) / ".tele"
        append = step("append", store, first=0, **given)
        seal = step("seal", store)
        compact = step("compact", store)
        asked = [
            step("opening", store),
            step("listing", store),
            step("analysis", store, experiment=experiment),
            step("trace", store, number=given["traces"] // 2),
        ]
    events = append.facts["events"]
    segments = seal.facts["segments"]
    left = segments - compact.facts["before"] + compact.facts["after"]
    if asked[0].facts["events"] != events:
        raise ValueError(f"{title}: {events} events were appended and {asked[0].facts['events']} are there")
    return (
        title,
        events,
        append.cpu / events * 1e6,
        seal.cpu / events * 1e6,
        compact.cpu,
        f"{segments:,}, {left:,}",
        *(done.cpu * 1e3 for done in asked),
        _largest([append, seal, compact, *asked]),
    )


def _largest(done: list[Done]) -> int:
    return round(max(one.peak for one in done) / _MIB)
