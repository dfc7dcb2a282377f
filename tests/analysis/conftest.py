"""A log for the analysis to read: records in an in-memory DuckDB under the views that the store itself uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pytest

from tele.store.columns import COLUMNS
from tele.store.views import view_sql


class Log:
    """Records, readable as a store is."""

    def __init__(self) -> None:
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f'"{column.name}" {column.type}' for column in COLUMNS)
        self.con.execute(f"CREATE TABLE events ({columns})")
        self.con.execute("CREATE TABLE liveness (writer VARCHAR, process VARCHAR, state VARCHAR)")
        for statement in view_sql().values():
            self.con.execute(statement)

    def add(self, records: Iterable[Mapping[str, Any]]) -> Log:
        rows = []
        for number, record in enumerate(records):
            row = {"event_id": f"{number:032x}", "kind": "span", "experiment": "trial", "name": "work", "seq": number}
            rows.append(row | {"status": "ok", "success": True} | record)
            if isinstance(rows[-1].get("attributes"), dict):
                rows[-1]["attributes"] = json.dumps(rows[-1]["attributes"])
        shape = json.dumps([{column.name: column.type for column in COLUMNS}])
        self.con.execute(
            "INSERT INTO events BY NAME SELECT unnest(r) FROM (SELECT unnest(from_json(?::JSON, ?)) AS r)",
            [json.dumps(rows), shape],
        )
        return self

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.con.execute(query, list(params) or None).fetchall()


@pytest.fixture
def log() -> Log:
    """An empty log of the experiment `trial`."""
    return Log()
