"""Many small segments after `compact` beside the same events that were written at once."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.filling import Filler, lifecycle, lines
from benchmarks.measure import Row, Settings, cpu, race, row
from benchmarks.workload import QUANTILES, START_NS, TRACE_SPANS

__all__ = ["rows"]

_TRACES = 5
"""In one small segment."""
_SCOPE = {"experiment": "common", "run_id": "r0"}
_QUESTION = f"""
    SELECT name, quantile_cont(duration_ms, {list(QUANTILES)}), count(*), sum(input_tokens)
    FROM spans GROUP BY name ORDER BY name"""


def rows(settings: Settings) -> list[Row]:
    """Ask one question of both, open included: before and after compaction."""
    from tele.store.compact import compact
    from tele.store.layout import open_layout

    count = min(1000, max(settings.scale // 800, 10))
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        small, whole = Path(folder) / "small", Path(folder) / "whole"
        made = _fill(small, count, seals=count), _fill(whole, count, seals=1)
        if _ask(small) != _ask(whole):
            raise ValueError("the two stores give different answers")
        sides = {name: partial(cpu, partial(_ask, path)) for name, path in (("tele", small), ("at once", whole))}
        before = race(sides, settings.rounds)
        compact(open_layout(small))
        after = race(sides, settings.rounds)
        if _ask(small) != _ask(whole):
            raise ValueError("compaction changed the answer")
    what = f"{made[0]:,} small segments, {count * _TRACES * TRACE_SPANS:,} spans"
    against = f"{made[1]} written at once"
    return [
        row("small-files", f"{what}, not compacted", before, "tele", "at once", None, per=1, note=against),
        row("small-files-compacted", f"{what}, after `compact`", after, "tele", "at once", 1.2, per=1, note=against),
    ]


def _fill(store: Path, count: int, *, seals: int) -> int:
    """Append `count` small batches, sealed one by one or all at once; return the number of segments."""
    from tele.store.journal import Journal
    from tele.store.layout import prepare
    from tele.store.manifest import load
    from tele.store.names import experiment_id
    from tele.store.seal import seal

    layout, filler = prepare(store), Filler()
    scope = _SCOPE | {"experiment_id": experiment_id("common")}
    journal = Journal(layout, "buffered")
    for body in lines(iter([lifecycle(scope, "tele.experiment.started", START_NS)])):
        journal.append(body)
    for number in range(count):
        spans = [span for at in range(_TRACES) for span in filler.trace(number * _TRACES + at)]
        for body in lines(scope | span for span in spans):
            journal.append(body)
        if seals > 1:
            journal.flush()
            seal(layout)
    journal.close()
    seal(layout)
    return len(load(layout).segments)


def _ask(store: Path) -> Any:
    from tele.store.reader import open_store

    with open_store(store) as reader:
        return reader.rows(_QUESTION)
