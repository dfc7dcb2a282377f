"""Plain values as OTLP JSON: the inverse of what `ingest.otlp` reads."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from tele.telemetry.ingest import otlp

__all__ = ["any_value", "camel", "key_values"]

_INT64 = 2**63


def any_value(value: Any) -> dict[str, Any]:
    """Give a plain value as an AnyValue; `{"$bytes": ...}` and `{"$float": ...}` are what they stand for."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if -_INT64 <= value < _INT64 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": otlp.double_text(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return _marked(value) or {"kvlistValue": {"values": key_values(value)}}
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def key_values(attributes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Give attributes as a list of KeyValue."""
    return [{"key": str(key), "value": any_value(value)} for key, value in (attributes or {}).items()]


def _marked(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give what a one-key object of ours stands for, where OTLP has a way to say it."""
    if len(value) != 1:
        return None
    ((mark, content),) = value.items()
    if mark == "$bytes" and isinstance(content, str):
        return {"bytesValue": content}
    if mark == "$float" and isinstance(content, str):
        try:
            return {"doubleValue": otlp.double_text(float(content))}
        except ValueError:
            return None
    return None


def camel(name: str) -> str:
    """Give the name that a field of the protobuf has in JSON: `schemaUrl` of `schema_url`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
