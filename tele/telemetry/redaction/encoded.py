"""Secrets in base64: a text that begins with `sk-ant-` begins, encoded, in one of three ways.

Which letters of base64 a known beginning leaves fixed depends on its place modulo three bytes only. A pattern of those
letters finds the candidates; decoding decides.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

__all__ = ["PATTERN", "hides"]

_BEGINNINGS = (
    "sk-ant-",
    "sk-proj-",
    "sk-svcacct-",
    "ghp_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "hf_",
    "glpat-",
    "-----BEGIN ",
)
_LETTERS = "[A-Za-z0-9+/_-]"
_LEAST_FIXED = 4
"""Fewer letters would be found everywhere; `hf_` in one of its three places has three."""
_LONGEST = 1 << 16
"""Characters that are decoded to look at; what is longer is no credential."""


def _fixed(text: str, before: int) -> str:
    """The letters of base64 that `text` behind `before` bytes leaves no choice about."""
    whole = base64.b64encode(b"\0" * before + text.encode()).decode().rstrip("=")
    first = -(-before * 8 // 6)
    return whole[first : (before + len(text)) * 8 // 6]


_FIXED = sorted({_fixed(text, before) for text in _BEGINNINGS for before in range(3)}, key=len)
_ANY = "|".join(re.escape(fixed) for fixed in _FIXED if len(fixed) >= _LEAST_FIXED)
PATTERN = rf"{_LETTERS}*(?:{_ANY}){_LETTERS}{{12,}}={{0,2}}"


def hides(beginning: str) -> Callable[[str], bool]:
    """Whether a text is base64 of one that has a secret's beginning (a pattern) in it, followed by what may be one."""
    secret = re.compile(rf"(?:{beginning})[A-Za-z0-9_ .-]{{12,}}".encode())

    def check(text: str) -> bool:
        run = text[:_LONGEST].rstrip("=").replace("-", "+").replace("_", "/")
        run = run[: len(run) - (len(run) % 4 == 1)]
        return secret.search(base64.b64decode(run + "=" * (-len(run) % 4))) is not None

    return check
