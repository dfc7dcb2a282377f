"""Events about the store itself: what was pruned, purged, set aside, saved or lost.

They become a segment of the very manifest entry that does it, so that neither can be there without the other.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tele.store.columns import SCHEMA_VERSION
from tele.store.decode import fill
from tele.store.layout import Layout
from tele.store.line import Lines, finish
from tele.store.manifest import Segment
from tele.store.names import DEFAULT_EXPERIMENT, experiment_id
from tele.store.schema import quoted
from tele.store.segments import ORDER, write

if TYPE_CHECKING:
    import duckdb

__all__ = ["ABOUT_THE_STORE", "PRUNED", "PURGED", "REPAIRED", "Remark", "printable", "remark"]

PRUNED, REPAIRED, PURGED = "tele.experiment.pruned", "tele.repaired", "tele.purged"
ABOUT_THE_STORE = (PRUNED, REPAIRED, PURGED)
"""Names of these events, as SQL takes them too."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One event about the store."""

    name: str
    attributes: dict[str, Any]
    experiment: str = DEFAULT_EXPERIMENT
    experiment_id: str = experiment_id(DEFAULT_EXPERIMENT)
    run_id: str | None = None
    others: dict[str, Any] = field(default_factory=dict)
    """Further columns."""


def remark(con: duckdb.DuckDBPyConnection, layout: Layout, remarks: list[Remark]) -> list[Segment]:
    """Write one segment for each experiment that `remarks` concern."""
    now = time.time_ns()
    writer = f"w{now // 1_000_000:012x}{secrets.token_hex(4)}"
    con.execute("DROP TABLE IF EXISTS remarks")
    lines = Lines.of(_line(one, now + number, number) for number, one in enumerate(remarks))
    fill(con, "remarks", [(writer, lines)], version=SCHEMA_VERSION)
    made = []
    for experiment in sorted({one.experiment_id for one in remarks}):
        mine = [n for n, one in enumerate(remarks) if one.experiment_id == experiment]
        rows = f"SELECT * FROM remarks WHERE experiment_id = {quoted(experiment)} ORDER BY {ORDER}"
        made.append(write(con, layout, rows, experiment, {writer: [[n, n] for n in mine]}))
    return made


def _line(one: Remark, now: int, seq: int) -> bytes:
    facts = {
        "event_id": f"{now // 1_000_000:012x}7{secrets.token_hex(2)[:3]}8{secrets.token_hex(8)[:15]}",
        "kind": "event",
        "name": one.name,
        "start_ns": now,
        "experiment": one.experiment,
        "experiment_id": one.experiment_id,
        "attributes": one.attributes,
    }
    run = {} if one.run_id is None else {"run_id": one.run_id}
    return finish(orjson.dumps({**facts, **run, **one.others})[:-1], seq)[:-1]


def printable(name: str) -> str:
    """A file's name as text that JSON can hold: it may be no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
