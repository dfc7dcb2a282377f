"""The same rules over what is stored already: a row's columns, a journal's record, a body."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from tele.store.columns import BY_NAME, COLUMNS
from tele.telemetry.redact import FAILED, MARK, redact

__all__ = ["TEXTS", "body", "difference", "record", "row"]

_OURS = frozenset({"event_id", "kind", "trace_id", "span_id", "parent_id", "experiment_id", "status", "writer"})
TEXTS = tuple(c.name for c in COLUMNS if c.type in ("VARCHAR", "VARCHAR[]") and c.name not in _OURS)
"""Columns that can hold what a user, or a model, wrote."""


def row(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of `events` as they come out of SQL, without their secrets; the columns that stay are not given."""
    found = {}
    for name, value in columns.items():
        if name in TEXTS and value is not None:
            cleaned = body(value) if BY_NAME[name].json else _sure(value)
            if cleaned != value:
                found[name] = cleaned
    return found


def record(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a journal's record that change without their secrets; the fields that stay are not given."""
    cleaned = {name: _sure(value) for name, value in facts.items() if name in TEXTS or name == "blobs"}
    return {name: value for name, value in cleaned.items() if value != facts[name]}


def body(text: str) -> str:
    """A text without its secrets; JSON is taken for what it says, and stays as it is written where nothing goes."""
    try:
        value = orjson.loads(text)
    except (ValueError, RecursionError):
        return str(_sure(text))
    cleaned = _sure(value)
    return text if cleaned == value else orjson.dumps(cleaned).decode()


def difference(before: object, after: object) -> Counter[str]:
    """How many marks of each rule came in."""
    return _marks(after) - _marks(before)


def _marks(value: object) -> Counter[str]:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return Counter(mark.group().split(":")[1].rstrip("]") for mark in MARK.finditer(text) if ":" in mark.group())


def _sure(value: Any) -> Any:
    try:
        return redact(value)
    except Exception:  # noqa: BLE001  # what cannot be searched goes: it fails closed, as at recording
        return FAILED
