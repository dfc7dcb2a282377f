"""The way of a record: plain values → redact → cap, blob → JSON.

Most records are plain and clean already. They take the short way: one walk over their keys, one `orjson.dumps`, one
linear search for secrets. Whatever is not takes the long way; both give the same bytes for what can take both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tele.store.columns import BY_NAME
from tele.telemetry.limits import BODY_BYTES, cap
from tele.telemetry.plain import plain
from tele.telemetry.redact import FAILED, in_pieces, named, paired, redact, secret_key
from tele.telemetry.redaction.ruleset import clean

__all__ = ["encode"]

_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_SHORT_VALUES = 2_000
_LEAVES = frozenset({str, int, float, bool, type(None)})
_NESTED = ("attributes", "input", "output", "links", "resource")
_OURS = frozenset({"event_id", "kind", "trace_id", "span_id", "parent_id", "experiment_id", "status"})


def encode(record: dict[str, Any], put: Callable[[bytes], str], key: bytes, *, flat: bool = False) -> bytes:
    """JSON object of `record`, secrets out and large bodies in blobs.

    `put` keeps a blob and returns its SHA-256; `key` keys the hashes of what is cut; `flat` says that the caller
    knows of no nested value and no secret key in it. Raises only what `put` raises.
    """
    try:
        if flat or all(_short(record[name], [_SHORT_VALUES]) for name in _NESTED if name in record):
            body = orjson.dumps(record, None, _STRICT)
            if len(body) <= BODY_BYTES and clean(body):
                return body
    except Exception:  # noqa: BLE001, S110  # not plain, or changed under us by another thread: the long way takes anything
        pass
    return _long_way(record, put, key)


def _short(value: Any, left: list[int]) -> bool:
    """Whether `value` is plain, without a key that names a secret, and small enough to look at twice."""
    left[0] -= 1
    if left[0] < 0:
        return False
    kind = type(value)
    if kind is dict:
        plain_keys = all(type(key) is str and not secret_key(key) and _short(item, left) for key, item in value.items())
        return plain_keys and not named(value)
    if kind is list:
        return all(_short(item, left) for item in value) and not in_pieces(value) and not paired(value)
    return kind in _LEAVES


def _long_way(record: dict[str, Any], put: Callable[[bytes], str], key: bytes) -> bytes:
    found = {}
    for name, value in record.items():
        converted = plain(value) if name in _OURS else _redacted(plain(value))
        if converted is not None:
            found[name] = converted if name in _NESTED else _fit(name, converted)
    return orjson.dumps(cap(found, put, key))


def _redacted(value: Any) -> Any:
    """`value` without its secrets; a field whose secrets cannot be looked for goes, and no other with it."""
    try:
        return redact(value)
    except Exception:  # noqa: BLE001  # nested deeper than Python goes, or a rule that fails: it fails closed
        return FAILED


def _fit(name: str, value: Any) -> Any:
    """A plain value in the type of its column: text columns take JSON text of what is not text."""
    if BY_NAME[name].type == "VARCHAR" and not isinstance(value, str):
        return orjson.dumps(value).decode()
    return value
