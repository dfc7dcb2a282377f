"""The rules as data: what a secret looks like, and what personal data looks like.

A rule is a pattern in RE2's syntax, whose time is linear in the text. Where a pattern alone would take too much, a
check decides about each match, or an answer says what stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from tele.telemetry.redaction import checks, encoded

__all__ = ["KEY", "NAME", "PERSONAL", "SECRETS", "Match", "Rule", "in_json"]


class Match(Protocol):
    """What RE2 gives for a match."""

    def group(self, number: int = 0, /) -> str:
        """Text of a group."""


class Rule(NamedTuple):
    """One sort of text that is taken out."""

    name: str
    """Stands in the marker."""
    pattern: str
    check: Callable[[str], bool] | None = None
    """Whether a match is one; None takes each."""
    keep: int = 0
    """The group of a match that stays before the marker; 0 where nothing does. The rest of the match goes."""
    key: int = 0
    """The group that names what follows; where it is no secret's name, nothing goes."""
    screen: str = ""
    """The pattern as it finds the same in JSON text, where that is not `in_json(pattern)`."""


_WORDS = (
    r"passw(?:or)?d|pwd|secret|auth|credential|bearer|cookie|csrf|xsrf|jwt|ssn|social[._ -]?security|credit[._ -]?card"
    r"|(?:private|api|access|account|session)[._ -]?key|passphrase"
    r"|(?:access|refresh|id|session|api|bot|git(?:hub|lab)|hf|npm|oauth|pypi|slack)[._ -]?token"
)
"""Parts of keys that may name a secret; `KEY` decides."""

KEY = re.compile(
    r"passw(?:or)?d|pwd\b|secret(?!ar)|\bauth(?!or|ent)|authorization|credential"
    r"|private[._ -]?key|api[._ -]?key|access[._ -]?key|account[._ -]?key|passphrase"
    r"|(?<![a-z])(?:api|bot|git(?:hub|lab)|hf|npm|oauth|pypi|slack)[._ -]?token\b"
    r"|access[._ -]?token|refresh[._ -]?token|(?<![a-z])id[._ -]?token\b|bearer|\bcookies?\b|set-cookie|csrf|xsrf"
    r"|\bjwt\b|\bssn\b"
    r"|social[._ -]?security|credit[._ -]?card|session[._ -]?(?:key|token|secret)",
    re.IGNORECASE,
)
"""Keys whose value goes, whatever it is."""

NAME = rf"[\w.-]*(?i:{_WORDS})[\w.-]*"
"""A name that may be a secret's, within a text."""
_HEADERS = r"(?i:(?:proxy-)?authorization|(?:x-)?(?:goog-)?api-key|x-auth-token|set-cookie)"

_TEXT = r"\"(?:[^\"\\]|\\.)*\"?|\\+\"[^\"]*\"?|'(?:[^'\\]|\\.)*'?|\\+'[^']*'?"
"""A text within a text: in quotes, or in quotes that are escaped."""

_LITERAL = r"\"(?:[^\"\\\n]|\\.)+\"|'(?:[^'\\\n]|\\.)+'|\\+\"[^\"\\\n]+\\+\"|\\+'[^'\\\n]+\\+'"
"""A text within code that is not empty, in quotes, or in quotes that are escaped."""

_BARE = r"[^\s\"'`,;&<>)}\]\\$=][^\s\"'`,;&<>)}\]\\$]"
"""A value without quotes: its first letter, which makes no comparison of what stands before it, and the next."""

# Formats as the vendors publish them.
SECRETS: tuple[Rule, ...] = (
    Rule("anthropic", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    Rule("openai", r"\bsk-(?:proj-|svcacct-|admin-|or-v1-|lf-)?[A-Za-z0-9_-]{20,}"),
    Rule("aws", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    Rule("google", r"AIza[A-Za-z0-9_-]{35}"),
    Rule("github", r"gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{22,}"),
    Rule("gitlab", r"glpat-[A-Za-z0-9_-]{20}"),
    Rule("huggingface", r"\bhf_[A-Za-z0-9]{34}"),
    Rule("perplexity", r"pplx-[A-Za-z0-9]{40,}"),
    Rule("stripe", r"\b[sr]k_(?:test|live|prod)_[A-Za-z0-9]{10,}"),
    Rule("slack", r"xox[abeprs]-[A-Za-z0-9-]{10,}"),
    Rule("sendgrid", r"SG\.[A-Za-z0-9_.=-]{60,}"),
    Rule("databricks", r"\bdapi[a-f0-9]{32}"),
    Rule("pypi", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20,}"),
    Rule("npm", r"\bnpm_[A-Za-z0-9]{36}"),
    Rule("groq", r"\bgsk_[A-Za-z0-9]{20,}"),
    Rule("xai", r"\bxai-[A-Za-z0-9]{20,}"),
    Rule("langfuse", r"\bpk-lf-[A-Za-z0-9-]{20,}"),
    Rule("jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
    Rule(
        "private-key",
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    Rule("bearer", r"(?i:\bbearer(?:\s|%20|\+)+[A-Za-z0-9._~+/=-]{8,})"),
    Rule("basic", r"(?i:\bbasic(?:\s|%20|\+)+[A-Za-z0-9+/_-]{8,}={0,2})", check=checks.user_and_password),
    Rule("url-password", r"(?i:://|%3a%2f%2f)[^/\s:@\"%\[]{0,256}(?i::|%3a)[^/\s\"]{1,256}(?i:@|%40)"),
    Rule("sas", r"(?i:[?&]|%3f|%26)sig(?i:=|%3d)[A-Za-z0-9%+/=]{20,}"),
    # What a name says is a secret, in a text: a URL's query, a header, JSON or a Python dict at any depth of escapes.
    Rule("query", rf"([?&#]({NAME})=)[^&\s\"'#\\]+", keep=1, key=2),
    Rule(
        "header",
        rf"((?:(?m:^)|\\[nr])[ \t]*({_HEADERS})[ \t]*:[ \t]*)[^\r\n\\\"\[][^\r\n\\\"]*",
        keep=1,
        screen=rf"{_HEADERS}[ \t]*:[ \t]*[^\r\n\\\"\[]",
    ),
    Rule(
        "pair",
        rf"(\\*[\"'](_*{NAME})\\*[\"']\s*:\s*[bu]?)"
        rf"(?:{_TEXT}|-?\d[\d.eE+-]*)",
        keep=1,
        key=2,
        screen=rf"{NAME}(?:\\+[\"']|')(?:\s|\\+[nrt])*:",
    ),
    # The same as an object: {"key": NAME, "value": ...}, and as OTLP's JSON has it.
    Rule(
        "pair",
        rf"(\\*[\"'](?:key|name)\\*[\"']\s*:\s*\\*[\"'](_*{NAME})\\*[\"']\s*,\s*\\*[\"']value\\*[\"']\s*:\s*"
        rf"(?:\{{\s*\\*[\"']stringValue\\*[\"']\s*:\s*)?)(?:{_TEXT})",
        keep=1,
        key=2,
        screen=rf"(?:key|name)(?:\\+[\"']|')(?:\s|\\+[nrt])*:(?:\s|\\+[nrt])*(?:\\+[\"']|'){NAME}(?:\\+[\"']|')",
    ),
    # The same in code, in a configuration, in a command: a literal, or what is too odd for a word or a variable.
    Rule(
        "assigned",
        rf"(({NAME})[ \t]*(?::=|[=:])[ \t]*)(?:[bfru]{{0,2}}(?:{_LITERAL})|{_BARE}{{3,}})",
        check=checks.given,
        keep=1,
        key=2,
        screen=rf"{NAME}(?: |\\+t)*[=:]",
    ),
    # The same as an option of a command: in its line, and in a list of its arguments.
    Rule(
        "assigned",
        rf"(--({NAME})[ \t]+)(?:{_LITERAL}|{_BARE}{{2,}})",
        check=checks.option,
        keep=1,
        key=2,
        screen=rf"--{NAME}(?: |\\+t)",
    ),
    Rule(
        "pair",
        rf"(\\*[\"'](--?{NAME})\\*[\"']\s*,\s*)(?:{_TEXT})",
        check=checks.argument,
        keep=1,
        key=2,
        screen=rf"-{NAME}\\*[\"'](?:\s|\\+[nrt])*,",
    ),
    Rule("base64", encoded.PATTERN, check=encoded.hides(r"sk-|xox|gh[pousr]_|AKIA|ASIA|AIza|hf_|glpat|BEGIN|eyJ")),
)
"""On by default."""

PERSONAL: tuple[Rule, ...] = (
    Rule("email", r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b"),
    Rule(
        "phone",
        r"\+\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ ./-]?\d){6,13}\b|\(\d{3}\) ?\d{3}[ .-]\d{4}\b|\b\d{3}-\d{3}-\d{4}\b",
        check=checks.phone,
    ),
    Rule("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", check=checks.iban),
    Rule("card", r"\b[2-6]\d{3}(?:[ -]?\d){8,15}\b", check=checks.card),
    Rule(
        "ip",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}",
        check=checks.ip,
    ),
)
"""Off until asked for."""


def in_json(rule: Rule) -> str:
    """A rule as it finds its like in JSON text, where a newline is a backslash and an n: it may find too much."""
    pattern = rule.screen or rule.pattern
    spaces = r"(?:\s|\\+[nrt])"
    return pattern.replace(r"\b", "").replace(r"(?:\s|%20|\+)+", rf"(?:{spaces}|%20|\+)+")
