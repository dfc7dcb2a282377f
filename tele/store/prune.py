"""Pruning: whole runs go, the oldest first, and an event for each says what went.

The unit is a run, or what an experiment holds outside any run. A run that is alive is never pruned. Its rows leave the
segments in one manifest entry that also holds the events `tele.experiment.pruned`; the files follow after the grace
period, together with the bodies in blobs/ that nothing refers to any more.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tele.store.compact import merge
from tele.store.files import ours
from tele.store.layout import Layout
from tele.store.lease import changing
from tele.store.manifest import Entry, State, load, publish
from tele.store.names import DEFAULT_EXPERIMENT, experiment_id
from tele.store.reader import Store
from tele.store.references import REFERENCES
from tele.store.remarks import ABOUT_THE_STORE, PRUNED, Remark, remark
from tele.store.schema import quoted
from tele.store.seal import seal
from tele.store.workbench import workbench

if TYPE_CHECKING:
    import duckdb

__all__ = ["YOUNG_SECONDS", "PruneReport", "Unit", "prune"]

YOUNG_SECONDS = 3600
"""A body is written, or touched, before the line that refers to it: for so long nobody takes it for one that is not."""
_BODY = re.compile("[0-9a-f]{64}")
_DEFAULT = experiment_id(DEFAULT_EXPERIMENT)
_KEPT = f"name NOT IN {ABOUT_THE_STORE}"
"""What was pruned or repaired is never pruned itself."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One run, or what an experiment holds outside any run."""

    experiment: str
    experiment_id: str
    run_id: str | None
    condition: str | None
    rows: int
    first_ns: int | None
    last_ns: int | None
    bytes: int
    """Its share of the segments, and of the bodies that it alone refers to."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was pruned, or would be."""

    units: tuple[Unit, ...]
    rows: int
    bytes: int
    blobs: int
    """Bodies that nothing refers to any more."""
    size: int
    """Bytes of segments and bodies that stay."""


def prune(
    layout: Layout,
    *,
    older_than_ns: int | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
    wait: float = 0.0,
) -> PruneReport:
    """Prune runs whose last event is before `older_than_ns`, then the oldest until the store has `max_bytes`.

    With `dry_run` nothing is changed. Raises StoreBusy, DamagedFile, or StoreNotWritable.
    """
    if dry_run:
        return _report(*_plan(layout, older_than_ns, max_bytes))
    seal(layout, wait=wait)
    with changing(layout, wait=wait), workbench(layout) as con:
        chosen, total = _plan(layout, older_than_ns, max_bytes)
        state = load(layout)
        if chosen:
            state = publish(layout, state, _entry(con, layout, state, chosen))
        began = time.time_ns()
        gone = _unreferenced(layout, began)
        if gone:
            publish(layout, state, Entry("prune", began, removed=gone))
    return _report(chosen, total, len(gone))


def _plan(layout: Layout, older_than_ns: int | None, max_bytes: int | None) -> tuple[list[Unit], int]:
    """What goes, and the bytes of all that could."""
    with Store(layout) as store:
        units = _units(store)
    total = sum(unit.bytes for unit in units)
    return _choose(units, total, older_than_ns, max_bytes), total


def _report(chosen: list[Unit], total: int, blobs: int = 0) -> PruneReport:
    freed = sum(unit.bytes for unit in chosen)
    return PruneReport(tuple(chosen), sum(unit.rows for unit in chosen), freed, blobs, total - freed)


def _units(store: Store) -> list[Unit]:
    """Runs that are not alive, oldest first."""
    alive = {run for (run,) in store.rows(_ALIVE)}
    found = store.rows(f"""
        SELECT min(experiment), experiment_id, run_id, min(condition), count(*), min(start_ns),
               max(coalesce(end_ns, start_ns))
        FROM events_raw WHERE {_KEPT} GROUP BY experiment_id, run_id""")
    width: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for segment in store.state.segments.values():
        width[segment.experiment_id][0] += segment.size
        width[segment.experiment_id][1] += segment.rows
    bodies = _bodies(store)
    units = []
    for experiment, id_, run, condition, rows, first, last in found:
        if run is not None and run in alive:
            continue
        size, of = width.get(id_, [0, 1])
        own = bodies.get((id_, run), 0)
        units.append(Unit(experiment, id_, run, condition, rows, first, last, round(size * rows / max(of, 1)) + own))
    return sorted(units, key=lambda unit: (unit.last_ns or 0, unit.run_id or ""))


_ALIVE = """
    SELECT run_id FROM runs WHERE status IN ('running', 'paused', 'silent')
    UNION SELECT run_id FROM events_raw JOIN liveness USING (writer) WHERE run_id IS NOT NULL AND state <> 'dead'
    GROUP BY run_id HAVING NOT bool_or(name IN ('tele.experiment.stopped', 'tele.experiment.failed'))"""
"""Runs that may go on; one that was archived or superseded may as well."""


def _bodies(store: Store) -> dict[tuple[str, str | None], int]:
    """Bytes in blobs/ by the unit that refers to them last."""
    query = f"SELECT blob, max_by((experiment_id, run_id), start_ns) FROM ({REFERENCES}) GROUP BY blob"
    found: dict[tuple[str, str | None], int] = defaultdict(int)
    for blob, unit in store.rows(query):
        path = store.layout.blobs / blob[:2] / blob
        if path.is_file():
            found[unit] += path.stat().st_size
    return found


def _choose(units: list[Unit], total: int, older_than_ns: int | None, max_bytes: int | None) -> list[Unit]:
    chosen = []
    for unit in units:
        old = older_than_ns is not None and unit.last_ns is not None and unit.last_ns < older_than_ns
        large = max_bytes is not None and total > max_bytes
        if old or large:
            chosen.append(unit)
            total -= unit.bytes
    return chosen


def _entry(con: duckdb.DuckDBPyConnection, layout: Layout, state: State, chosen: list[Unit]) -> Entry:
    """Take the rows of `chosen` out of the segments that hold them, and say so in events."""
    removed, added = [], []
    by_experiment: dict[str, list[str | None]] = defaultdict(list)
    for unit in chosen:
        by_experiment[unit.experiment_id].append(unit.run_id)
    for segment in state.segments.values():
        if runs := by_experiment.get(segment.experiment_id):
            goes = _condition(runs)
            path = quoted(layout.root / segment.path)
            [(count,)] = con.execute(f"SELECT count(*) FROM read_parquet({path}) WHERE {goes}").fetchall()
            if count:
                removed.append(segment.path)
            if 0 < count < segment.rows:
                added.append(merge(con, layout, [segment], f"NOT ({goes})"))
    remarks = remark(con, layout, [_remark(unit) for unit in chosen])
    return Entry("prune", time.time_ns(), [*added, *remarks], removed, ended=_carried(state, by_experiment))


def _carried(state: State, chosen: dict[str, list[str | None]]) -> list[str]:
    """Event ids of the starts that are carried and go too."""
    gone = []
    for event, (_, line, _) in state.opened.items():
        facts = orjson.loads(line)
        if facts.get("run_id") in chosen.get(facts.get("experiment_id", _DEFAULT), ()):
            gone.append(event)
    return gone


def _condition(runs: list[str | None]) -> str:
    named = ", ".join(quoted(run) for run in runs if run is not None) or "''"
    outside = " OR run_id IS NULL" if None in runs else ""
    return f"{_KEPT} AND (coalesce(run_id, '') IN ({named}){outside})"


def _remark(unit: Unit) -> Remark:
    facts = {"rows": unit.rows, "bytes": unit.bytes, "first_ns": unit.first_ns, "last_ns": unit.last_ns}
    others = {"condition": unit.condition} if unit.condition is not None else {}
    return Remark(PRUNED, facts, unit.experiment, unit.experiment_id, unit.run_id, others)


def _unreferenced(layout: Layout, began_ns: int) -> list[str]:
    """Paths of the bodies that no row refers to; a young one may be about to be referred to."""
    with Store(layout) as store:
        used = {blob for (blob,) in store.rows(f"SELECT DISTINCT blob FROM ({REFERENCES})")}
        known = store.state.retired
    found = (
        path
        for path in layout.blobs.glob("??/*")
        if _BODY.fullmatch(path.name)
        and ours(path)
        and path.parent.name == path.name[:2]
        and path.name not in used
        and began_ns - path.stat().st_mtime_ns > YOUNG_SECONDS * 1_000_000_000
    )
    return sorted(p for path in found if (p := str(path.relative_to(layout.root))) not in known)
