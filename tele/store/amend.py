"""Corrections: later `tele.amended` events change what `events` shows, never what was written.

The latest amendment of a target and column wins, by time, then writer and number. A target is an event id or a span
id; a column that `events` does not have is a key of `attributes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tele.store.columns import BY_NAME, COLUMNS, Column

if TYPE_CHECKING:
    import duckdb

__all__ = ["AMENDED", "amended_view"]

AMENDED = "tele.amended"

_WRITTEN = f"""
    SELECT attributes->>'$.target' AS target, attributes->>'$.column' AS "column", attributes->'$.value' AS value,
           (start_ns, writer, seq) AS at
    FROM events_raw WHERE name = '{AMENDED}' AND kind = 'event'"""

_RESOLVED = """
    SELECT e.event_id, w."column", arg_max(w.value, w.at) AS value FROM written w
    JOIN (SELECT event_id, event_id AS target FROM events_raw WHERE event_id IN (SELECT target FROM written)
          UNION ALL
          SELECT event_id, span_id FROM events_raw WHERE kind = 'span' AND span_id IN (SELECT target FROM written)) e
      USING (target)
    WHERE w."column" IS NOT NULL GROUP BY ALL"""


def amended_view(con: duckdb.DuckDBPyConnection) -> str:
    """Read the amendments into table `amendments` and return the SELECT that makes `events` of `events_raw`."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE written AS {_WRITTEN}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE resolved AS {_RESOLVED}")
    con.execute("DROP TABLE written")
    names = [name for (name,) in con.execute('SELECT DISTINCT "column" FROM resolved ORDER BY 1').fetchall()]
    columns = [BY_NAME[name] for name in names if name in BY_NAME and name != "attributes"]
    others = ", ".join(f"'{c.name}'" for c in columns) or "''"
    picks = [f"""any_value(value) FILTER ("column" = '{c.name}') AS "{c.name}" """ for c in columns]
    con.execute(f"""
        CREATE OR REPLACE TABLE amendments AS
        SELECT * FROM (SELECT {", ".join(["event_id", *picks])} FROM resolved GROUP BY event_id)
        LEFT JOIN (SELECT event_id, json_group_object("column", value) AS keys FROM resolved
                   WHERE "column" NOT IN ({others}) GROUP BY event_id) USING (event_id)""")
    con.execute("DROP TABLE resolved")
    amended = {column.name for column in columns}
    selected = ", ".join(_selected(column, amended) for column in COLUMNS)
    return f"SELECT {selected} FROM events_raw e LEFT JOIN amendments a ON a.event_id = e.event_id"


def _selected(column: Column, amended: set[str]) -> str:
    name = column.name
    if name == "attributes":
        merged = "json_merge_patch(coalesce(e.attributes, '{}')::JSON, a.keys::JSON)::VARCHAR"
        return f"CASE WHEN a.keys IS NULL THEN e.attributes ELSE {merged} END AS attributes"
    if name not in amended:
        return f'e."{name}"'
    value = f'a."{name}"::VARCHAR' if column.json else _typed(column)
    # A value that does not fit its column corrects nothing; a JSON null takes the value away.
    kept = f"""CASE WHEN a."{name}"::VARCHAR = 'null' THEN NULL ELSE coalesce({value}, e."{name}") END"""
    return f'CASE WHEN a."{name}" IS NULL THEN e."{name}" ELSE {kept} END AS "{name}"'


def _typed(column: Column) -> str:
    if column.type.endswith("[]"):
        return f"""try_cast(from_json(a."{column.name}", '["{column.type[:-2]}"]') AS {column.type})"""
    return f"""try_cast(a."{column.name}"->>'$' AS {column.type})"""
