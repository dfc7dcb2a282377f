"""OTLP's enums by name, as protobuf's own JSON writes them."""

from __future__ import annotations

__all__ = ["numbered"]

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_NUMBERS = {
    **{f"STATUS_CODE_{name}": number for number, name in enumerate(("UNSET", "OK", "ERROR"))},
    **{f"SPAN_KIND_{name}": number for number, name in enumerate(_KINDS)},
    **{
        f"SEVERITY_NUMBER_{name}{step or ''}": 4 * level + (step or 1)
        for level, name in enumerate(_LEVELS)
        for step in (0, 2, 3, 4)
    },
}


def numbered(value: object) -> object:
    """Give the number of an enum's name; anything else stands."""
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
