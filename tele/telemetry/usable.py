"""What counts as a usable value of a foreign attribute: each takes anything and gives None for what does not fit."""

from __future__ import annotations

import math
import re

__all__ = ["INT64_MAX", "amount", "as_milliseconds", "code", "count", "milliseconds", "number", "text", "whole"]

INT64_MAX = 2**63 - 1
_LONGEST_NUMBER = 40


def text(value: object) -> str | None:
    """Take a text that is not empty."""
    return value if isinstance(value, str) and value else None


def code(value: object) -> str | None:
    """Take a text, or a number that names an error."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def number(value: object) -> int | float | None:
    """Take a finite number, also one that was written as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            value = float(value) if re.search("[.eE]", value) else int(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) and abs(value) <= INT64_MAX else None


def whole(value: object) -> int | None:
    """Take a whole number of 64 bits."""
    found = number(value)
    return None if found is None or found != int(found) or abs(found) > INT64_MAX else int(found)


def count(value: object) -> int | None:
    """Take a whole number that is not negative."""
    found = whole(value)
    return found if found is not None and found >= 0 else None


def amount(value: object) -> float | None:
    """Take a number that is not negative."""
    found = number(value)
    return float(found) if found is not None and found >= 0 else None


def milliseconds(seconds: object) -> float | None:
    """Take an amount of seconds."""
    found = amount(seconds)
    return None if found is None or math.isinf(found * 1e3) else found * 1e3


def as_milliseconds(value: object) -> float | None:
    """Take an amount of milliseconds: the few emitters that count so say it in the key."""
    return amount(value)
