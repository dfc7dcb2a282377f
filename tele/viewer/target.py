"""What a page is of: an experiment, a run, a trace or a chain."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tele.analysis import Reader as AnalysisReader
from tele.errors import BadInput, UnknownTarget

__all__ = ["Reader", "Target", "resolve"]

_PREFIX = re.compile(r"[0-9a-f]{4,32}")
_SHOWN = 5


class Reader(AnalysisReader, Protocol):
    """What the page needs of an open store."""

    @property
    def path(self) -> Path:
        """Folder of the store."""
        ...

    def blob(self, reference: str) -> bytes:
        """Return the bytes behind a `blob:SHA256` reference."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to show, and the SQL condition that selects its rows in every view."""

    kind: Literal["experiment", "run", "trace", "chain"]
    name: str
    experiment: str | None
    where: str
    params: tuple[object, ...]


def resolve(reader: Reader, name: str) -> Target:
    """Return what `name` stands for: an experiment, a run id, a chain id, or a trace id or its unique beginning.

    Raises `UnknownTarget` with the nearest names, and `BadInput` where a beginning fits several traces.
    """
    for find in (_experiment, _run, _chain, _trace):
        found = find(reader, name)
        if found is not None:
            return found
    raise UnknownTarget(name, _nearest(reader, name))


def _experiment(reader: Reader, name: str) -> Target | None:
    if not reader.rows("SELECT 1 FROM experiments WHERE experiment = ? LIMIT 1", [name]):
        return None
    return Target("experiment", name, name, "experiment = ?", (name,))


def _run(reader: Reader, name: str) -> Target | None:
    found = reader.rows("SELECT experiment FROM runs WHERE run_id = ? LIMIT 1", [name])
    return Target("run", name, found[0][0], "run_id = ?", (name,)) if found else None


def _chain(reader: Reader, name: str) -> Target | None:
    found = reader.rows("SELECT experiment FROM chains WHERE chain_id = ? LIMIT 1", [name])
    if not found:
        return None
    where = "trace_id IN (SELECT trace_id FROM chains WHERE chain_id = ?)"
    return Target("chain", name, found[0][0], where, (name,))


def _trace(reader: Reader, name: str) -> Target | None:
    if not _PREFIX.fullmatch(name.lower()):
        return None
    sql = (
        "SELECT trace_id, min(experiment) FROM events WHERE starts_with(trace_id, ?) "
        f"GROUP BY trace_id ORDER BY trace_id LIMIT {_SHOWN + 1}"
    )
    found = reader.rows(sql, [name.lower()])
    if len(found) > 1:
        some = ", ".join(row[0] for row in found[:_SHOWN])
        more = "" if len(found) <= _SHOWN else " and others"
        message = f"{name!r} begins several traces: {some}{more}. Give more of its digits."
        raise BadInput(message)
    return Target("trace", found[0][0], found[0][1], "trace_id = ?", (found[0][0],)) if found else None


def _nearest(reader: Reader, name: str) -> list[str]:
    known = reader.rows(
        "SELECT experiment FROM experiments UNION SELECT run_id FROM runs UNION SELECT chain_id FROM chains"
    )
    return difflib.get_close_matches(name, sorted(str(row[0]) for row in known if row[0] is not None), n=3)
