"""Secrets are taken out before anything is cut, hashed or written.

By key: the value of a key such as `api_key` or `authorization` goes, whatever it is. By value: strings that look like a
credential go wherever they stand. The patterns run on RE2, whose time is linear in the text. Best effort, on by
default: it does not see through base64, encryption or a secret cut in two.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

import re2

__all__ = ["MIN_SECRET", "clean", "redact", "secret_key"]

MIN_SECRET = 7
"""Shorter strings are not searched: `://a:b@` is the shortest that a rule finds."""

# Formats as the vendors publish them; name first, it stands in the marker.
RULES: tuple[tuple[str, str], ...] = (
    ("anthropic", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("openai", r"\bsk-(?:proj-|svcacct-|admin-|or-v1-|lf-)?[A-Za-z0-9_-]{20,}"),
    ("aws", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    ("google", r"AIza[A-Za-z0-9_-]{35}"),
    ("github", r"gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{22,}"),
    ("gitlab", r"glpat-[A-Za-z0-9_-]{20}"),
    ("huggingface", r"\bhf_[A-Za-z0-9]{34}"),
    ("perplexity", r"pplx-[A-Za-z0-9]{40,}"),
    ("stripe", r"\b[sr]k_(?:test|live|prod)_[A-Za-z0-9]{10,}"),
    ("slack", r"xox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("sendgrid", r"SG\.[A-Za-z0-9_.=-]{60,}"),
    ("databricks", r"\bdapi[a-f0-9]{32}"),
    ("pypi", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20,}"),
    ("npm", r"\bnpm_[A-Za-z0-9]{36}"),
    ("groq", r"\bgsk_[A-Za-z0-9]{20,}"),
    ("xai", r"\bxai-[A-Za-z0-9]{20,}"),
    ("langfuse", r"\bpk-lf-[A-Za-z0-9-]{20,}"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
    (
        "private-key",
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    ("bearer", r"(?i:\bbearer\s+[A-Za-z0-9._~+/=-]{8,})"),
    ("url-password", r"://[^/\s:@\"]{1,256}:[^/\s@\"]{1,256}@"),
    ("sas", r"[?&]sig=[A-Za-z0-9%+/=]{20,}"),
)

_KEY = re.compile(
    r"passw(?:or)?d|pwd\b|secret(?!ar)|\bauth(?!or|ent)|authorization|credential"
    r"|private[._ -]?key|api[._ -]?key|access[._ -]?key"
    r"|access[._ -]?token|refresh[._ -]?token|(?<![a-z])id[._ -]?token\b|bearer|\bcookies?\b|set-cookie|csrf|xsrf"
    r"|\bjwt\b|\bssn\b"
    r"|social[._ -]?security|credit[._ -]?card|session[._ -]?(?:key|token|secret)",
    re.IGNORECASE,
)


class _Rules:
    """The compiled rules: one set that finds which apply, and each by itself to replace with."""

    def __init__(self) -> None:
        self.set = _search_set(pattern for _, pattern in RULES)
        # What the short way of `encode` cannot take: a secret, a `null` (it may have been a NaN), an integer that may
        # be beyond 64 bits.
        self.screen = _search_set([*(_in_json(pattern) for _, pattern in RULES), r"[:,\[](?:null|9\d{18}|\d{20})"])
        self.patterns = [(name, re2.compile(pattern)) for name, pattern in RULES]


def _in_json(pattern: str) -> str:
    """A rule as it finds a secret in JSON text, where a newline is a backslash and an n: it may find too much."""
    return pattern.replace(r"\b", "").replace(r"\s+", r"(?:\s|\\[nrt])+")


def _search_set(patterns: Iterable[str]) -> Any:
    found = re2.Set.SearchSet()
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


_rules: list[_Rules] = []
"""The last one is in use, compiled on first use. RE2 works without the GIL and under locks of its own, which a fork may
copy while another thread holds them: a child compiles its own rules, and keeps the parent's, since a lock that is held
cannot be destroyed.
"""


def _compiled() -> _Rules:
    if not _rules:
        _rules.append(_Rules())
    return _rules[-1]


def _after_in_child() -> None:
    if _rules:
        _rules.append(_Rules())


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)
_keys: dict[str, bool] = {}


def secret_key(key: str) -> bool:
    """Whether the value under `key` is a secret by its name. Remembers what it has seen."""
    known = _keys.get(key)
    if known is None:
        if len(_keys) > 10_000:  # noqa: PLR2004  # keys made of data would fill the memory
            _keys.clear()
        known = _keys[key] = bool(_KEY.search(key))
    return known


def clean(encoded: bytes) -> bool:
    """Whether `encoded`, a JSON text, holds nothing that looks like a secret and no `null`: one linear pass."""
    return not (_rules[-1] if _rules else _compiled()).screen.Match(encoded)


def redact(value: Any) -> Any:
    """Replace secrets in plain JSON values by `[REDACTED:rule:length]`; the rest stays the same object."""
    if isinstance(value, str):
        return _redact_text(value) if len(value) >= MIN_SECRET else value
    if isinstance(value, dict):
        return _redact_members(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value


def _redact_members(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = shown = _redact_text(key)
        while name in found:  # two secrets of one length: both values stay
            name = f"{shown} ({len(found)})"
        found[name] = _under(key, item)
    return found


def _under(key: str, item: Any) -> Any:
    if item is None or isinstance(item, bool) or not secret_key(key):
        return redact(item)
    if isinstance(item, (int, float)) and "token" in key.lower():
        return item  # a count of tokens, not a token
    return f"[REDACTED:key:{len(item) if isinstance(item, (str, list, dict)) else len(str(item))}]"


def _redact_text(text: str) -> str:
    if len(text) < MIN_SECRET:
        return text
    rules = _compiled()
    for index in rules.set.Match(text.encode("utf-8", "surrogatepass")) or ():
        name, pattern = rules.patterns[index]
        text = pattern.sub(lambda match, name=name: f"[REDACTED:{name}:{len(match.group())}]", text)
    return text
