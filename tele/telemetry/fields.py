"""Keywords into columns and attributes.

A call site gives the same keywords each time, so what becomes of them is worked out once and kept as a plan.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Any

from tele.store.columns import BY_NAME, USER_COLUMNS
from tele.telemetry.redact import secret_key
from tele.telemetry.redaction.ruleset import on_change
from tele.telemetry.scope import INHERITED

__all__ = ["clean_keys", "fill", "fit", "spoken_of"]

_log = logging.getLogger("tele")
_PYTHON: dict[str, type] = {"VARCHAR": str, "BIGINT": int, "DOUBLE": float, "BOOLEAN": bool, "VARCHAR[]": list}
_TYPES = {name: _PYTHON[BY_NAME[name].type] for name in USER_COLUMNS if not BY_NAME[name].json}
_SCALARS = frozenset({str, int, float, bool})
_GENAI = frozenset({"gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens"})
_MOST_PLANS = 4096
_LARGE_PLAN = 128
"""Keys, of 32 characters on average, above which nothing is remembered: a client may make them of data."""
_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of one set of keywords."""

    columns: tuple[tuple[str, type], ...]
    bodies: tuple[str, ...]
    inherited: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    """Keyword and the attribute that it becomes."""
    clean: bool
    """Whether no attribute's key names a secret."""


_plans: dict[tuple[str, ...], _Plan] = {}
_clean_keys: dict[tuple[Any, ...], bool] = {}
on_change += (_plans.clear, _clean_keys.clear)


def fill(record: dict[str, Any], fields: dict[str, Any], attributes: dict[str, Any] | None) -> bool:
    """Put `fields` into the columns of `record` that bear their names, all others into its attributes.

    A value that does not fit its column's type, and a keyword that is a column of tele's own, become the attribute
    `user.<name>`. Columns that records inherit are the scope's to hold and are passed over. Returns whether the
    attributes are known to be scalars under keys that name no secret.
    """
    if fields:
        plan = _plans.get(tuple(fields)) or _planned(tuple(fields))
        attributes = _columns(record, fields, attributes, plan)
        own = {name: fields[key] for key, name in plan.attributes}
        if attributes:
            own = attributes | own if own else attributes
        known = plan.clean
    else:
        own, known = attributes or {}, True
    if not own:
        return True
    record["attributes"] = own
    known = known and (not attributes or clean_keys(tuple(attributes)))
    return known and _SCALARS.issuperset(map(type, own.values()))


def _columns(
    record: dict[str, Any], fields: dict[str, Any], attributes: dict[str, Any] | None, plan: _Plan
) -> dict[str, Any] | None:
    """Fill the columns that `fields` name; return the attributes with what does not fit among them."""
    for key, kind in plan.columns:
        value = fields[key]
        if type(value) is kind and (kind is str or kind is bool or _holds(kind, value)):
            record[key] = value
        elif value is not None:
            attributes = _coerced(record, attributes, key, value)
    for key in plan.bodies:
        record[key] = fields[key]
    for key in plan.inherited:
        if fields[key] is not None and fit(key, fields[key]) is None:
            attributes = {**(attributes or {}), f"user.{key}": fields[key]}
    return attributes


def clean_keys(keys: tuple[Any, ...]) -> bool:
    """Whether none of `keys` names a secret; remembered, as a call site gives the same ones each time."""
    known = _clean_keys.get(keys)
    if known is None:
        known = all(isinstance(key, str) and not secret_key(key) for key in keys)
        known = known and not ("value" in keys and ("key" in keys or "name" in keys))  # `redact.named` decides
        if len(keys) <= _LARGE_PLAN and sum(map(len, map(str, keys))) <= _LARGE_PLAN * 32:
            if len(_clean_keys) >= _MOST_PLANS:
                _clean_keys.clear()
            _clean_keys[keys] = known
    return known


def _planned(keys: tuple[str, ...]) -> _Plan:
    columns, bodies, inherited, attributes = [], [], [], []
    for key in keys:
        if key in INHERITED:
            inherited.append(key)
        elif key in _TYPES:
            columns.append((key, _TYPES[key]))
        elif key in USER_COLUMNS:
            bodies.append(key)
        elif key in BY_NAME:
            _reserved(key)
            attributes.append((key, f"user.{key}"))
        else:
            attributes.append((key, key))
    clean = not any(secret_key(name) for _, name in attributes)
    plan = _Plan(tuple(columns), tuple(bodies), tuple(inherited), tuple(attributes), clean)
    if len(_plans) >= _MOST_PLANS:  # keywords made of data would fill the memory
        _plans.clear()
    _plans[keys] = plan
    return plan


def spoken_of(record: dict[str, Any]) -> dict[str, Any]:
    """Fill the columns that GenAI attributes speak of and that no keyword filled; return those that are inherited."""
    attributes = record.get("attributes")
    if not attributes or attributes.keys().isdisjoint(_GENAI):
        return {}
    from tele.telemetry.normalise import normalise

    found = {key: value for key, value in normalise(attributes).items() if value is not None and key not in record}
    record |= {key: value for key, value in found.items() if key not in INHERITED}
    return {key: value for key, value in found.items() if key in INHERITED}


def _coerced(record: dict[str, Any], attributes: dict[str, Any] | None, key: str, value: Any) -> dict[str, Any] | None:
    fitted = fit(key, value)
    if fitted is None:
        return {**(attributes or {}), f"user.{key}": value}
    record[key] = fitted
    return attributes


def fit(key: str, value: Any) -> Any:
    """`value` in the type of column `key`, or None where it does not fit without loss."""
    try:
        return _fitted(_TYPES[key], value)
    except Exception:  # noqa: BLE001  # the user's own conversion may raise anything; the value stays as an attribute
        return None


def _fitted(kind: type, value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if kind is str:
        return str.__str__(value) if isinstance(value, str) else str(value)
    if kind is list:
        return [_fitted(str, value)] if isinstance(value, str) else [_fitted(str, item) for item in value]
    if isinstance(value, str):
        return None
    fitted = kind(value)
    exact = kind is float or fitted == value
    return fitted if exact and _holds(kind, fitted) else None


def _holds(kind: type, value: Any) -> bool:
    """Whether a column of this kind can hold `value`: 64 bits, and numbers that are finite."""
    if kind is int:
        return bool(-(2**63) <= value < 2**63)
    return kind is not float or bool(isfinite(value))


def _reserved(key: str) -> None:
    if key not in _warned:
        _warned.add(key)
        _log.warning("tele sets the column %r itself: the keyword is kept as the attribute 'user.%s'.", key, key)
