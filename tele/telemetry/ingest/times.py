"""Instants as text: ISO 8601 with up to nine digits of a second, with or without a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tele.telemetry.ingest.record import RecordError, instant, shown

__all__ = ["has_zone", "iso", "time_ns"]

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE | re.ASCII,
)
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
_ZONE_LETTER = 1


def time_ns(value: object, what: str, unit_ns: int = 1) -> int | None:
    """Give nanoseconds since the epoch from ISO 8601 text or a count of units of `unit_ns`; None for nothing.

    Text without a zone is taken as UTC. Raises RecordError for anything else.
    """
    if isinstance(value, str) and "-" in value[1:]:
        return iso(value, what)
    return instant(value, what, unit_ns)


def iso(value: str, what: str) -> int:
    """Give nanoseconds since the epoch from ISO 8601 text; raises RecordError for other text."""
    match = _ISO.fullmatch(value.strip())
    if match is None:
        raise RecordError(f"{what} {shown(value)} is not a time")
    *parts, fraction, zone = match.groups()
    try:
        whole = datetime(*(int(part or 0) for part in parts), tzinfo=UTC)  # type: ignore[misc,arg-type]  # six parts
    except ValueError as error:
        raise RecordError(f"{what} {shown(value)} is not a time") from error
    return (int(whole.timestamp()) - _offset_seconds(zone)) * 10**9 + int((fraction or "0").ljust(9, "0"))


def has_zone(value: object) -> bool:
    """Say whether a time names its zone; a number counts from the epoch, so it does."""
    return not isinstance(value, str) or _ZONE.search(value.strip()) is not None


def _offset_seconds(zone: str | None) -> int:
    if zone is None or len(zone) == _ZONE_LETTER:
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds
