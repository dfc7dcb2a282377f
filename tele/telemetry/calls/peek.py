"""Looking into objects of libraries that are not imported: attributes or keys, and nothing that raises."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

__all__ = ["count", "either", "get", "items", "text"]

_LARGEST = 2**63 - 1


def get(value: object, *path: str) -> Any:
    """Follow `path` through mappings by key and through other objects by attribute; None where it leads nowhere."""
    for name in path:
        if value is None:
            return None
        try:
            if type(value) is dict:  # looked at first: asking for the abstract class costs four times as much
                value = value.get(name)
            else:
                value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # a property of the user's may raise anything: it says nothing then
            return None
    return value


def either(*values: Any) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def text(value: object) -> str | None:
    """`value` where it is text that says something; of an enum its value."""
    if isinstance(value, enum.Enum):
        value = value.value
    return str.__str__(value) if isinstance(value, str) and value else None


def count(value: object) -> int | None:
    """`value` where it is a whole number from 0 on within 64 bits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return int(value)
    return None


def items(value: object) -> list[Any] | None:
    """`value` where it is a list or tuple; anything else might have no end."""
    return list(value) if isinstance(value, (list, tuple)) else None
