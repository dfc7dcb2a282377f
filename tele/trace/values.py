"""Values as models write them: confidences (`.85`, `85 %`, `0.9/1.0`, `8 out of 10`) and lists (`a, b (c, d); e`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["AS_JSON", "ITEM", "Confidence", "bare", "confidence", "items", "json_text", "says_nothing"]

_NUMBER = re.compile(
    r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(%|per\s?cent|(?:/|out\s+of)\s*(\d+(?:\.\d+)?))?",
    re.IGNORECASE,
)
_SIGNS = str.maketrans("\u066a\uff05\u066b\uff0e\uff0c\u2212\uff0d\uff0f", "%%...--/")
_COMMA = re.compile(r"(\d),(?=\d)")
_BULLET = re.compile(r"(?:[-*•·–]|\d{1,3}[.)])\s+")
_MARKS = "-*•·–0123456789"
ITEM = re.compile(r"</?(?:alternative|item|li|option)(?=[\s/>])[^<>]*+>", re.IGNORECASE)
AS_JSON = re.compile(r"""(?:[^"']|"[^"]*"|'[^']*')*?\sjson\s*=\s*(?:"true"|'true')""")
"""Matches, from its beginning, a tag that has `json="true"`; in the value of another attribute it says nothing."""
_LIST = re.compile(r"</?(?:ul|ol|list)\s*>", re.IGNORECASE)
_COMMAS = re.compile(r"[,;，；、،؛]")
_BRACKET = re.compile(r"[(\[{（［｛「『【《]")
_STOPS = re.compile(r"[,;，；、،؛()\[\]{}（）［］｛｝「」『』【】《》]")
_OPEN, _CLOSE = "([{（［｛「『【《", ")]}）］｝」』】》"
_NOTHING = re.compile(
    r"[-–—]+|[(\[]?(?:n/a|n\.a\.?|not applicable|(?:none|no (?:other )?(?:alternatives?|options?))"
    r"(?: (?:were |was )?(?:applicable|considered|identified|needed|required|given|stated|found))?)\.?[)\]]?\.?",
    re.IGNORECASE,
)
_LONGEST_NOTHING, _BEGINS_NOTHING = 40, frozenset("-–—([nN")
_ALL = 100


class Confidence(NamedTuple):
    """A confidence from 0 to 1, or None, and what is doubtful about how it was read."""

    value: float | None
    doubt: str = ""


def confidence(text: str | None) -> Confidence:
    """Return the confidence that `text` states. Numbers from 2 to 100 are taken as per cent; other text is None."""
    if text is None:
        return Confidence(None)
    match = _NUMBER.match(_written(text[:200]))
    if match is None:
        return Confidence(None, f"{text[:40]!r} is no number")
    number, of = float(match.group(1)), match.group(3)
    if of is not None:
        value, doubt = (number / float(of) if float(of) else -1.0), ""
    elif match.group(2) or 2 <= number <= _ALL:  # noqa: PLR2004 (between 1 and 2 nobody means per cent)
        value, doubt = number / _ALL, f"{text[:40]!r} read as per cent"
    else:
        value, doubt = number, ""
    if not 0 <= value <= 1:
        return Confidence(None, f"{text[:40]!r} is not between 0 and 1")
    if not doubt and text[match.end() :].strip(" .\t\n"):
        doubt = f"{text[:40]!r} read as {value:g}, without what stands behind it"
    return Confidence(value, doubt)


def _written(text: str) -> str:
    """Return a number as Python writes it: signs of other scripts, and the comma that many have for a point."""
    return _COMMA.sub(r"\1.", text.translate(_SIGNS)) if not text.isascii() or "," in text else text


def items(text: str | None, read: Callable[[str], str] = str.strip, *, tags: bool = True) -> tuple[str, ...]:
    """Return the entries of a list: one for each item tag or line, else between commas and semicolons outside brackets.

    Brackets around the whole list are none of its entries; a JSON array is read as such. `read` makes plain text of
    what stands between tags; without `tags`, there are none.
    """
    if text is None:
        return ()
    tagged = tags and "<" in text and ITEM.search(text) is not None
    parts = _tagged(_LIST.sub("", text), read) if tagged else _entries(read(text))
    return tuple(item for part in parts if (item := bare(part)))


def _tagged(text: str, read: Callable[[str], str]) -> list[str]:
    """Return what stands between the tags of items, and before and behind them."""
    parts, at, tag = [], 0, ""
    for match in ITEM.finditer(text):
        parts.append(json_text(read(text[at : match.start()]), tag))
        at, tag = match.end(), match[0]
    return [*parts, json_text(read(text[at:]), tag)]


def json_text(text: str, inside: str) -> str:
    """Return the text that JSON stands for where the opening tag has `json="true"`, as in our XML; else as it is."""
    if "json" not in inside or not AS_JSON.match(inside):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, str) else text


def says_nothing(text: str) -> bool:
    """Whether a text is what people write for nothing: `None`, `N/A`, `none considered`, a dash."""
    return text[:1] in _BEGINS_NOTHING and len(text) <= _LONGEST_NOTHING and _NOTHING.fullmatch(text) is not None


def _entries(text: str) -> list[str]:
    text = text.strip()
    if text[:1] == "[" and text[-1] == "]":
        listed = _array(text)
        if listed is not None:
            return listed
        if _is_one_bracket(text):
            text = text[1:-1]
    lines = [line for line in text.splitlines() if line and not line.isspace()]
    return lines if len(lines) > 1 else [part for line in lines for part in _split(line)]


def _array(text: str) -> list[str] | None:
    """Return the entries of a JSON array of texts and numbers; None where the text is none."""
    try:
        found: list[Any] = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if all(isinstance(each, str) for each in found) else None


def _is_one_bracket(text: str) -> bool:
    """Whether the bracket that begins the text is closed at its end, and not before."""
    depth = 0
    for match in _STOPS.finditer(text):
        depth += (match[0] in _OPEN) - (match[0] in _CLOSE)
        if depth <= 0:
            return match.end() == len(text)
    return False


def bare(part: str) -> str:
    """Return an entry without the mark before it and the stop behind it."""
    part = part.strip()
    if part and part[0] in _MARKS and (match := _BULLET.match(part)):
        part = part[match.end() :]
    return part.rstrip(",;").strip() if part and part[-1] in ",;" else part


def _split(line: str) -> list[str]:
    """Return the parts of a line between commas and semicolons that stand in no bracket."""
    if not _BRACKET.search(line):
        return _COMMAS.split(line)
    parts: list[str] = []
    start = depth = 0
    for match in _STOPS.finditer(line):
        mark = match[0]
        if mark in _OPEN:
            depth += 1
        elif mark in _CLOSE:
            depth = max(0, depth - 1)
        elif depth == 0:
            parts.append(line[start : match.start()])
            start = match.end()
    return [*parts, line[start:]]
