"""Off-peak hours of LiteLLM's rows: windows in UTC, some of them on certain weekdays of a certain calendar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

__all__ = ["OffPeak", "off_peak"]

_WINDOW = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*")


class OffPeak(NamedTuple):
    """Rates that stand in place of the row's own while a window is open."""

    rates: Mapping[str, Any]
    label: str


def off_peak(block: object, when: datetime) -> OffPeak | None:
    """The block's rates where `when` falls into one of its windows, else None; what it cannot read is no window."""
    if not isinstance(block, Mapping):
        return None
    rules = block.get("windows")
    found = [{"hours_utc": block.get("hours_utc")}, *(rules if isinstance(rules, list) else ())]
    calendar = _calendar(block.get("weekday_timezone"))
    for rule in found:
        if isinstance(rule, Mapping) and _on(rule.get("weekdays"), when.astimezone(calendar)):
            hours = rule.get("hours_utc")
            for window in [hours] if isinstance(hours, str) else hours if isinstance(hours, list) else ():
                if _open(window, when.astimezone(UTC)):
                    return OffPeak(block, f"off-peak {window}")
    return None


def _calendar(name: object) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name) if isinstance(name, str) else UTC
    except (ValueError, OSError, KeyError):  # a name that this machine does not know
        return UTC


def _on(weekdays: object, local: datetime) -> bool:
    return weekdays is None or (isinstance(weekdays, list) and local.isoweekday() in weekdays)


def _open(window: object, when: datetime) -> bool:
    """Whether `when` is in the window: its start belongs to it, its end does not; it may go past midnight."""
    found = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    if found is None:
        return False
    hours = [int(number) for number in found.groups()]
    start, end, now = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3], when.hour * 60 + when.minute
    return start <= now < end if start < end else now >= start or now < end
