"""Types of other tools, derived from the one table of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tele.store.columns import COLUMNS, SCHEMA_VERSION, Column

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = [
    "TEXT_BYTES",
    "arrow_schema",
    "columns_markdown",
    "empty_select",
    "journal_struct",
    "json_schema",
    "polars_schema",
    "quoted",
]

TEXT_BYTES = " + ".join(f"coalesce(strlen({c.name}), 0)" for c in COLUMNS if c.json or c.name == "error_message")
"""SQL: bytes of a row in the columns that may be long."""
_JSON_TYPES: dict[str, Any] = {
    "VARCHAR": {"type": "string"},
    "BIGINT": {"type": "integer"},
    "DOUBLE": {"type": "number"},
    "BOOLEAN": {"type": "boolean"},
    "TIMESTAMPTZ": {"type": "string", "format": "date-time"},
    "VARCHAR[]": {"type": "array", "items": {"type": "string"}},
}
_JSON_VALUES = {"attributes": {"type": "object"}, "resource": {"type": "object"}, "links": {"type": "array"}}


def arrow_schema() -> pa.Schema:
    """Arrow schema of `events`."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
        "VARCHAR[]": pa.list_(pa.string()),
    }
    return pa.schema([(column.name, types[column.type]) for column in COLUMNS])


def polars_schema() -> pl.Schema:
    """Polars schema of `events`; needs the extra `frames`."""
    import polars as pl

    types: dict[str, Any] = {
        "VARCHAR": pl.String(),
        "BIGINT": pl.Int64(),
        "DOUBLE": pl.Float64(),
        "BOOLEAN": pl.Boolean(),
        "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
        "VARCHAR[]": pl.List(pl.String()),
    }
    return pl.Schema({column.name: types[column.type] for column in COLUMNS})


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one journal line."""
    properties = {
        column.name: (_JSON_VALUES.get(column.name, {}) if column.json else _JSON_TYPES[column.type])
        | {"description": column.meaning}
        for column in COLUMNS
        if not column.derived
    }
    properties["blobs"] = {
        "type": "object",
        "properties": {name: {"type": "string", "pattern": "^[0-9a-f]{64}$"} for name in ("input", "output")},
        "description": "SHA-256 of an input or output above 32 KiB, which is a file of blobs/",
    }
    properties["crc"] = {"type": "string", "pattern": "^[0-9a-f]{8}$", "description": "CRC-32 of the line before it"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"tele journal line, schema {SCHEMA_VERSION}",
        "type": "object",
        "properties": properties,
        "required": ["seq", "crc"],
    }


def columns_markdown() -> str:
    """Reference table of the columns, in Markdown."""
    rows = [
        f"| `{column.name}` | {column.type} | {column.meaning} | {'yes' if column.user else ''} |" for column in COLUMNS
    ]
    head = ["| column | type | meaning | a keyword fills it |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def journal_struct(columns: tuple[Column, ...] = COLUMNS) -> str:
    """Structure that DuckDB's `from_json` reads a journal line into."""
    fields = [f'"{c.name}":{_field(c)}' for c in columns if not c.derived]
    return "{" + ",".join([*fields, '"blobs":"JSON"']) + "}"


def _field(column: Column) -> str:
    if column.type.endswith("[]"):
        return f'["{column.type[:-2]}"]'
    return '"JSON"' if column.json else f'"{column.type}"'


def quoted(text: object) -> str:
    """SQL literal of the text of `text`."""
    return "'" + str(text).replace("'", "''") + "'"


def empty_select(columns: tuple[Column, ...] = COLUMNS) -> str:
    """SELECT with every column and no row."""
    return "SELECT " + ", ".join(f'CAST(NULL AS {c.type}) AS "{c.name}"' for c in columns) + " WHERE false"
