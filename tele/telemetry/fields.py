"""Keywords into columns and attributes."""

from __future__ import annotations

import logging
from typing import Any

from tele.store.columns import BY_NAME, USER_COLUMNS
from tele.telemetry.normalise import normalise
from tele.telemetry.scope import INHERITED

__all__ = ["fill"]

_log = logging.getLogger("tele")
_PYTHON: dict[str, type] = {"VARCHAR": str, "BIGINT": int, "DOUBLE": float, "BOOLEAN": bool, "VARCHAR[]": list}
_TYPES = {name: _PYTHON[BY_NAME[name].type] for name in USER_COLUMNS if not BY_NAME[name].json}
_warned: set[str] = set()


def fill(record: dict[str, Any], fields: dict[str, Any], attributes: dict[str, Any] | None) -> dict[str, Any] | None:
    """Put `fields` into the columns of `record` that bear their names, all others into its attributes.

    A value that does not fit its column's type, and a keyword that is a column of tele's own, become the attribute
    `user.<name>`. Inherited columns are the scope's to hold and are passed over; those that the attributes speak of
    in the keys of the GenAI conventions are returned.
    """
    others = dict(attributes) if attributes else {}
    for key, value in fields.items():
        kind = _TYPES.get(key)
        if kind is None:
            if key in USER_COLUMNS:
                record[key] = value
            elif key in BY_NAME:
                _reserved(key)
                others[f"user.{key}"] = value
            else:
                others[key] = value
        elif key in INHERITED or value is None:
            continue
        elif type(value) is kind:
            record[key] = value
        else:
            _coerced(record, others, key, value)
    if not others:
        return None
    record["attributes"] = others
    if "gen_ai.operation.name" in others or "gen_ai.request.model" in others or "gen_ai.usage.input_tokens" in others:
        return _spoken_of(record, others)
    return None


def _spoken_of(record: dict[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
    """Fill the columns that GenAI attributes speak of and that no keyword filled."""
    found = {key: value for key, value in normalise(attributes).items() if value is not None and key not in record}
    record |= {key: value for key, value in found.items() if key not in INHERITED}
    return {key: value for key, value in found.items() if key in INHERITED}


def _coerced(record: dict[str, Any], others: dict[str, Any], key: str, value: Any) -> None:
    fitted = fit(key, value)
    if fitted is None:
        others[f"user.{key}"] = value
    else:
        record[key] = fitted


def fit(key: str, value: Any) -> Any:
    """`value` in the type of column `key`, or None where it does not fit without loss."""
    kind = _TYPES[key]
    try:
        if kind is str:
            return str(value)
        if kind is list:
            return [value] if isinstance(value, str) else [str(item) for item in value]
        if isinstance(value, str):
            return None
        fitted = kind(value)
    except Exception:  # noqa: BLE001  # the user's own conversion may raise anything; the value stays as an attribute
        return None
    within = kind is not int or -(2**63) <= fitted < 2**63
    return fitted if fitted == value and within else None


def _reserved(key: str) -> None:
    if key not in _warned:
        _warned.add(key)
        _log.warning("tele sets the column %r itself: the keyword is kept as the attribute 'user.%s'.", key, key)
