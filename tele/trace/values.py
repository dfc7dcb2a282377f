"""Values as models write them: confidences (`.85`, `85 %`, `0.9/1.0`) and lists (`a, b (c, d); e`)."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Confidence", "confidence", "items"]

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(%|/\s*(\d+(?:\.\d+)?))?")
_BULLET = re.compile(r"^(?:[-*•]|\d{1,3}[.)])\s+")
_ITEM = re.compile(r"</?(?:alternative|item|li|option)\b[^<>]*>", re.IGNORECASE)
_OPEN, _CLOSE = "([{", ")]}"
_ALL = 100


class Confidence(NamedTuple):
    """A confidence from 0 to 1, or None, and what is doubtful about how it was read."""

    value: float | None
    doubt: str = ""


def confidence(text: str | None) -> Confidence:
    """Return the confidence that `text` states. Numbers from 2 to 100 are taken as per cent; other text is None."""
    if text is None:
        return Confidence(None)
    match = _NUMBER.match(text)
    if match is None:
        return Confidence(None, f"{text[:40]!r} is no number")
    number, of = float(match.group(1)), match.group(3)
    if of is not None and float(of) > 0:
        value, doubt = number / float(of), ""
    elif match.group(2) == "%" or 2 <= number <= _ALL:  # noqa: PLR2004 (between 1 and 2 nobody means per cent)
        value, doubt = number / _ALL, f"{text[:40]!r} read as per cent"
    else:
        value, doubt = number, ""
    if not 0 <= value <= 1:
        return Confidence(None, f"{text[:40]!r} is not between 0 and 1")
    return Confidence(value, doubt)


def items(text: str | None) -> tuple[str, ...]:
    """Return the entries of a list: one for each item tag or line, else between `,` and `;` outside brackets."""
    if text is None:
        return ()
    text = _ITEM.sub("\n", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else [part for line in lines for part in _split(line)]
    return tuple(item for part in parts if (item := _BULLET.sub("", part.strip()).rstrip(",;").strip()))


def _split(line: str) -> list[str]:
    """Return the parts of a line between commas and semicolons that stand in no bracket."""
    parts, start, depth = [], 0, 0
    for at, char in enumerate(line):
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth = max(0, depth - 1)
        elif char in ",;" and depth == 0:
            parts.append(line[start:at])
            start = at + 1
    return [*parts, line[start:]]
