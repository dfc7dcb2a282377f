"""Anything a user has, as plain JSON values: total, deterministic, and honest about what was lost.

Plain values are dict with str keys, list, str, int within 64 bits, finite float, bool and None. What JSON cannot hold
becomes a one-key object whose key begins with `$` (`$float`, `$int`, `$bytes`, `$text`, `$decimal`, `$set`, `$array`,
`$repr`, `$cycle`, `$deep`, `$more`), so that a reader sees that it was converted and from what.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import math
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "MAX_REPR", "plain"]

MAX_DEPTH = 64
MAX_ITEMS = 10_000
MAX_REPR = 2_000
MAX_KEY = 1_000
MAX_VALUES = 100_000
_MAX_INT, _MIN_INT = 2**63 - 1, -(2**63)


def plain(value: object) -> Any:
    """Convert `value` to plain JSON values. Never raises; a value that cannot be read becomes `{"$repr": ...}`.

    At most 100,000 values are kept: a list that holds itself twice over, forty deep, would have no end.
    """
    return _convert(value, _Above((), [MAX_VALUES]))


@dataclasses.dataclass(frozen=True, slots=True)
class _Above:
    """Where a value stands: the containers around it, and how many values may still be kept."""

    ids: tuple[int, ...]
    left: list[int]

    def and_(self, value: object) -> _Above:
        return _Above((*self.ids, id(value)), self.left)


def _convert(value: object, above: _Above) -> Any:
    above.left[0] -= 1
    if above.left[0] < 0:
        return {"$more": 1}
    try:
        return _scalar(value, above)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # the user's own methods may raise anything; what they hide is marked
        return {"$repr": f"<{_type_name(value)} that cannot be read>"}


def _scalar(value: object, above: _Above) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, enum.Enum):
        return _convert(value.value, above.and_(value))
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        return _integer(int.__int__(value))
    if isinstance(value, float):
        number = float.__float__(value)
        return number if math.isfinite(number) else {"$float": repr(number)}
    for types, convert in _OTHERS:
        if isinstance(value, types):
            return convert(value)
    return _container(value, above)


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$text": value.encode("utf-8", "backslashreplace").decode()}
    return value


def _integer(value: int) -> Any:
    if _MIN_INT <= value <= _MAX_INT:
        return value
    return {"$int": hex(value) if value.bit_length() > 10_000 else str(value)}  # noqa: PLR2004  # str() stops at 4300 digits


def _bytes(value: bytes | bytearray | memoryview) -> Any:
    return {"$bytes": base64.b64encode(bytes(value)).decode()}


_OTHERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((bytes, bytearray, memoryview), _bytes),
    ((dt.datetime, dt.date, dt.time), lambda value: _text(str(value.isoformat()))),
    (dt.timedelta, lambda value: {"$seconds": value.total_seconds()}),
    (decimal.Decimal, lambda value: {"$decimal": str(value)}),
    (uuid.UUID, str),
    (os.PathLike, lambda value: _text(os.fsdecode(value))),
    (BaseException, lambda value: {"$repr": _text(repr(value)[:MAX_REPR])}),
)


def _container(value: object, above: _Above) -> Any:
    if id(value) in above.ids:
        return {"$cycle": len(above.ids) - above.ids.index(id(value))}
    if len(above.ids) >= MAX_DEPTH:
        return {"$deep": _type_name(value)}
    inside = above.and_(value)
    if isinstance(value, Mapping):
        return _mapping(value.items(), len(value), inside)
    if isinstance(value, (list, tuple)) or (isinstance(value, Sequence) and not hasattr(value, "dtype")):
        return _items(value, len(value), inside)
    if isinstance(value, AbstractSet):
        return {"$set": _items(sorted(value, key=repr), len(value), inside)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        return _mapping(pairs, len(pairs), inside)
    return _foreign(value, inside)


def _mapping(pairs: Any, count: int, inside: _Above) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in islice(pairs, min(MAX_ITEMS, max(inside.left[0], 0))):
        name = _key(key)
        if name in found:  # 1 and "1": both stay
            name = f"{name} ({_type_name(key)})"
        found[name] = _convert(item, inside)
    if count > len(found):
        found["$more"] = count - len(found)
    return found


def _items(values: Any, count: int, inside: _Above) -> list[Any]:
    found = [_convert(item, inside) for item in islice(values, min(MAX_ITEMS, max(inside.left[0], 0)))]
    if count > len(found):
        found.append({"$more": count - len(found)})
    return found


def _key(key: object) -> str:
    if isinstance(key, str):
        text = str.__str__(key)
    elif key is None or key is True or key is False:
        text = {None: "null", True: "true", False: "false"}[key]
    else:
        text = repr(key)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_KEY else f"{text[:MAX_KEY]}… ({len(text)} characters)"


def _foreign(value: object, inside: _Above) -> Any:
    """Scalars and arrays of numpy and torch, pydantic models, and at last the repr; known by shape, imported never."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and callable(getattr(value, "tolist", None)):
        return _array(value, str(dtype), inside)
    dump = getattr(value, "model_dump", None)
    if callable(dump) and hasattr(type(value), "model_fields"):
        return _convert(dump(), inside)
    return {"$repr": _text(repr(value)[:MAX_REPR])}


def _array(value: Any, dtype: str, inside: _Above) -> Any:
    shape = [int(side) for side in value.shape]
    count = math.prod(shape)
    if not shape:
        return _convert(value.item(), inside)
    facts = {"shape": shape, "dtype": dtype}
    if count > MAX_ITEMS:
        return {"$array": facts, "$more": count}
    return {"$array": facts | {"values": _convert(value.tolist(), inside)}}


def _type_name(value: object) -> str:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name.encode("utf-8", "backslashreplace").decode()
