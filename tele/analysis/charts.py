"""Small charts of block characters for a terminal: bars of a histogram, and a line of marks on a scale."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["bar", "span", "spark"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PARTS = " ▏▎▍▌▋▊▉█"


def spark(values: Sequence[float | None]) -> str:
    """Return one block for each value, the tallest for the largest; what is above 0 is never blank, None is a dot."""
    most = max((value for value in values if value is not None), default=0.0)
    return "".join("·" if value is None else _BLOCKS[_level(value, most)] for value in values)


def _level(value: float, most: float) -> int:
    return 0 if value <= 0 or most <= 0 else max(1, round(8 * value / most))


def bar(share: float, width: int) -> str:
    """Return a bar of `share`, 0 to 1, of `width` characters, to an eighth of one."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_PARTS[rest] if rest else "")).ljust(width)


def span(low: float, middle: float, high: float, most: float, width: int) -> str:
    """Return a line from `low` to `high` with a mark at `middle`, on a scale from 0 to `most`: `   ├──┼─────┤`."""
    if most <= 0:
        return " " * width
    a, b, c = (min(width - 1, int(value / most * (width - 1) + 0.5)) for value in (low, middle, high))
    cells = [" "] * width
    for at in range(a, c + 1):
        cells[at] = "─"
    cells[a], cells[c] = "├", "┤"
    cells[b] = "┼"
    return "".join(cells)
