"""What OTLP carries of our own columns: attributes `tele.*`, put there by our exporter or copied from our baggage.

The experiment itself is not among them: whoever brings records in says where they belong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tele.telemetry.families import WRITTEN
from tele.telemetry.ingest.record import Record

__all__ = ["CARRIED", "EXPERIMENT", "PREFIX", "RESERVED", "SOURCE", "UNKNOWN", "lifted", "own"]

PREFIX = "tele."
EXPERIMENT = "tele.experiment"
"""Attribute with the name of the experiment."""
UNKNOWN = "unknown"
"""`tele.success` of a span of which nobody knows."""
_INT64 = 2**63


RESERVED = frozenset(
    {
        *(f"otel.{name}" for name in ("kind", "trace_state", "flags", "status_description", "schema_url", "source")),
        *(f"otel.dropped_{what}_count" for what in ("attributes", "events", "links")),
        *(f"otel.scope.{name}" for name in ("name", "version", "attributes", "dropped_attributes_count", "schema_url")),
        *(f"otel.resource.{name}" for name in ("dropped_attributes_count", "entity_refs")),
        *(f"otel.{name}" for name in ("event_name", "body", "severity_number", "severity_text", "metric", "point")),
        "otel.observed_time_unix_nano",
        "tele.flags",
        WRITTEN,
    }
)
"""Attributes that stand for OTLP's own fields (`ingest.record` says which)."""
SOURCE = "source."
"""What stands before a source's own attribute that bears one of these names."""


def own(attributes: dict[str, Any]) -> dict[str, Any]:
    """Give a source's attributes with those set apart that bear a name that stands for something else here."""
    if RESERVED.isdisjoint(attributes):
        return attributes
    return {SOURCE + key if key in RESERVED else key: value for key, value in attributes.items()}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value):  # baggage has no numbers
        value = int(value)
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _tags(value: object) -> list[str] | None:
    return value if isinstance(value, list) and value and all(isinstance(tag, str) for tag in value) else None


_TAKE: dict[str, Callable[[object], Any]] = {
    "run_id": _text,
    "condition": _text,
    "replicate": _integer,
    "item_id": _text,
    "seed": _integer,
    "cluster": _text,
    "conversation_id": _text,
    "tags": _tags,
    "price_ref": _text,
    "step": _integer,
}
CARRIED = frozenset({*_TAKE, "success"})
"""Columns that have an attribute of ours."""
_KEYS = frozenset(PREFIX + name for name in CARRIED)


def lifted(record: Record) -> Record:
    """Fill the columns of `record` that its attributes `tele.*` speak of; those stay beside them."""
    attributes = record.get("attributes")
    if not attributes or _KEYS.isdisjoint(attributes):
        return record
    for name, take in _TAKE.items():
        value = take(attributes.get(PREFIX + name))
        if value is not None:
            record[name] = value
    success = attributes.get(PREFIX + "success")
    if success == UNKNOWN:
        record.pop("success", None)
    elif isinstance(success, bool):
        record["success"] = success
    return record
