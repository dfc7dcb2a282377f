"""Narrowing an analysis down: to the last hours, and to the rows for which an expression of SQL holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson

from tele.analysis.scope import Reader, Scope, group_columns
from tele.errors import BadInput
from tele.store.columns import BY_NAME

__all__ = ["duration_of", "expression", "narrowed"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*")
_BEFORE = "SELECT 1 FROM events WHERE "
_TYPES = {"INTEGER": "DOUBLE", "NUMERIC": "DOUBLE", "BOOLEAN": "BOOLEAN"}
_TRUE = {"class": "CONSTANT", "literal": {"kind": "BOOLEAN"}}
_REFUSED = {"SUBQUERY": "a query", "WINDOW": "a window function", "PARAMETER": "a parameter", "STAR": "a star"}


def narrowed(reader: Reader, scope: Scope, *, last: str | timedelta | None, where: str | None) -> str:
    """Return SQL that holds for the rows of `scope` that are asked for, empty where all are; raises BadInput.

    `last` is a length of time before now, by the start of a row: what has no time is left out. `where` is an expression
    over columns of `events` and keys of `attributes`.
    """
    from tele.telemetry.ambient import ambient

    parts = []
    if last is not None:
        length = duration_of(last) if isinstance(last, str) else last
        parts.append(f"start_ns >= {ambient.now() - length // timedelta(microseconds=1) * 1000}")
    if where is not None:
        parts.append(expression(reader, scope, where))
    return " AND ".join(parts)


def duration_of(text: str) -> timedelta:
    """Return the length that `24h`, `90m`, `7d`, `30s` or `2w` says. Raises BadInput."""
    found = _LENGTH.fullmatch(text)
    if found is None or not (length := timedelta(**{_UNITS[found[2]]: float(found[1])})):
        raise BadInput(f"{text!r} is no length of time; give one such as 24h, 90m, 7d or 30s.")
    return length


def expression(reader: Reader, scope: Scope, text: str) -> str:
    """Return `text` as DuckDB understands it, in parentheses, with keys of `attributes` in place of unknown columns.

    It is parsed by itself, so that it can say which rows are wanted and nothing else. Raises BadInput.
    """
    tree = _parsed(reader, text)
    [statement] = tree["statements"]
    node = statement["node"]
    plain = node["type"] == "SELECT_NODE" and node["where_clause"] is not None
    extra = plain and (node["modifiers"] or node["group_expressions"] or node["having"] or node["qualify"])
    if not plain or extra or node["sample"] or node["from_table"]["type"] != "BASE_TABLE":
        raise BadInput(f"--where takes one expression, such as \"model = 'gpt-4o'\", not {text!r}.")
    for found in list(_nodes(node["where_clause"])):
        if (kind := found.get("class")) in _REFUSED:
            raise BadInput(f"--where takes an expression over the columns of a row; {_REFUSED[kind]} is none.")
        _read_attributes(reader, scope, found)
    if node["where_clause"]["class"] == "COLUMN_REF":
        _read_attributes(reader, scope, {"left": node["where_clause"], "right": _TRUE})
    said = reader.rows("SELECT json_deserialize_sql($1::JSON)", [orjson.dumps(tree).decode()])[0][0]
    return f"({said.removeprefix(_BEFORE)})"


def _read_attributes(reader: Reader, scope: Scope, node: dict[str, Any]) -> None:
    """Put the reading of an attribute where an operand of `node` names no column, as the type it is compared with."""
    operands = [one for value in node.values() for one in (value if isinstance(value, list) else [value])]
    operands = [one for one in operands if isinstance(one, dict)]
    kinds = {one["literal"]["kind"] for one in operands if one.get("class") == "CONSTANT"}
    for found in operands:
        if found.get("class") == "COLUMN_REF" and (name := ".".join(found["column_names"])) not in BY_NAME:
            read = group_columns(reader, scope, [name])[0]
            types = [_TYPES[kind] for kind in kinds & _TYPES.keys()]
            typed = f"TRY_CAST({read} AS {types[0]})" if types else read
            made = _parsed(reader, typed)["statements"][0]["node"]["where_clause"]
            found.clear()
            found.update(made)


def _parsed(reader: Reader, text: str) -> dict[str, Any]:
    tree: dict[str, Any] = orjson.loads(reader.rows("SELECT json_serialize_sql($1)", [_BEFORE + text])[0][0])
    if tree["error"]:
        raise BadInput(f"--where {text!r} is no expression of SQL: {tree['error_message']}.")
    if len(tree["statements"]) != 1:
        raise BadInput(f"--where takes one expression, not {text!r}.")
    return tree


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Give every node of a parse tree, those above before those below."""
    if isinstance(value, dict):
        yield value
        for below in list(value.values()):
            yield from _nodes(below)
    elif isinstance(value, list):
        for below in value:
            yield from _nodes(below)
