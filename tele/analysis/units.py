"""Figures as people write them: `812 ms`, `1.42 s`, `$0.0123`, `98.5 %`."""

from __future__ import annotations

import math

__all__ = ["NOTHING", "duration", "money", "number", "share"]

NOTHING = "-"
"""What stands for a figure that is not known."""
_MICROSECONDS = 0.09995
"""Below, milliseconds of two decimals have less than two digits."""
_SECOND, _MINUTE, _HOUR, _DAYS = 1e3, 60e3, 3600e3, 48 * 3600e3


def duration(ms: float | None) -> str:
    """Return milliseconds as text: `5.00 µs`, `0.42 ms`, `812 ms`, `1.42 s`, `2 min 05 s`, `1 h 03 min`, `3 d 04 h`."""
    if ms is None:
        return NOTHING
    size = abs(ms)
    sign = "-" if ms < 0 else ""
    if 0 < size < _MICROSECONDS:
        return f"{sign}{_three(size * 1000)} µs"
    if size < _SECOND - 0.5:
        return f"{sign}{_three(size)} ms"
    if size < _MINUTE - 50:
        return f"{sign}{_three(size / _SECOND)} s"
    if size < _HOUR - 500:
        minutes, seconds = divmod(round(size / _SECOND), 60)
        return f"{sign}{minutes} min {seconds:02d} s"
    if size >= _DAYS - _MINUTE / 2:
        days, hours = divmod(round(size / _HOUR), 24)
        return f"{sign}{days:,} d" + (f" {hours:02d} h" if hours else "")
    hours, minutes = divmod(round(size / _MINUTE), 60)
    return f"{sign}{hours} h {minutes:02d} min"


def money(usd: float | None) -> str:
    """Return US dollars as text: `$1,234.56`, `$0.0123`, and three digits of what is smaller."""
    if usd is None:
        return NOTHING
    size = abs(usd)
    sign = "-" if usd < 0 else ""
    if size >= 1 or size == 0:
        return f"{sign}${size:,.2f}"
    decimals = max(4, 2 - math.floor(math.log10(size)))
    return f"{sign}${size:.{decimals}f}"


def number(n: float | None) -> str:
    """Return a count as text, with commas between the thousands."""
    return NOTHING if n is None else f"{n:,.0f}"


def share(part: float | None) -> str:
    """Return a share of 1 as per cent; what is not all never reads 100 %."""
    if part is None:
        return NOTHING
    for digits in (1, 2, 3):
        text = f"{part * 100:.{digits}f}"
        if (float(text) < 100 or part >= 1) and (float(text) > 0 or part <= 0):  # noqa: PLR2004 (per cent)
            return f"{text} %"
    return f"{'> 99.999' if part > 0.5 else '< 0.001'} %"  # noqa: PLR2004 (which end it is near)


def _three(value: float) -> str:
    """Return three significant digits, no exponent, at most two decimals."""
    decimals = 2 if value < 10 else 1 if value < 100 else 0  # noqa: PLR2004 (powers of ten)
    return f"{value:.{decimals}f}"
