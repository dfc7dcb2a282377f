"""Runs as facts: what the log tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tele.errors import NoStore, UnknownTarget
from tele.store.reader import Store, open_store

__all__ = ["RunFacts", "load_run", "runs"]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run, as the view `runs` has it."""

    run_id: str
    experiment: str
    condition: str | None
    run_type: str | None
    status: str
    started: datetime | None
    ended: datetime | None
    hypothesis: str | None
    sample_size: int | None
    tags: tuple[str, ...]
    reason: str | None
    """Why it stopped, where it says so: `sample_size`."""
    pause_count: int
    n_spans: int


_COLUMNS = ", ".join(RunFacts.__dataclass_fields__)


def runs(experiment: str | None = None, *, path: Path | str | None = None) -> list[RunFacts]:
    """Runs of the store, or of one experiment, the newest first; none where there is no store yet."""
    try:
        with open_store(path) as store:
            return _read(store, "($1 IS NULL OR experiment = $1)", [experiment])
    except NoStore:
        return []


def load_run(run_id: str, *, experiment: str | None = None, path: Path | str | None = None) -> RunFacts:
    """What the log tells of run `run_id`; nothing is written. Raises NoStore, or UnknownTarget with the nearest ids."""
    with open_store(path) as store:
        found = _read(store, "run_id = $2 AND ($1 IS NULL OR experiment = $1)", [experiment, run_id])
        if found:
            return found[0]
        known = [id_ for (id_,) in store.rows("SELECT DISTINCT run_id FROM runs")]
    raise UnknownTarget(run_id, get_close_matches(run_id, known, 3))


def _read(store: Store, where: str, params: list[Any]) -> list[RunFacts]:
    query = f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY started DESC NULLS LAST, run_id DESC"
    rows = [dict(zip(RunFacts.__dataclass_fields__, row, strict=True)) for row in store.rows(query, params)]
    return [RunFacts(**(row | {"tags": tuple(row["tags"] or ())})) for row in rows]
