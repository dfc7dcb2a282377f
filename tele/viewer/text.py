"""Foreign text as a reader may safely see it; the page's script marks the same characters."""

from __future__ import annotations

import re

__all__ = ["visible"]

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
_CONTROL, _DELETE = 0x20, 0x7F


def visible(text: object) -> str:
    """Return `text` with control and direction characters as marks that can be seen: `␛`, `U+202E` in brackets.

    Tabs, line feeds and the joiners that scripts and emoji need stay.
    """
    return _UNSEEN.sub(_mark, str(text))


def _mark(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < _CONTROL:
        return chr(0x2400 + code)
    return "␡" if code == _DELETE else f"\u2039U+{code:04X}\u203a"
