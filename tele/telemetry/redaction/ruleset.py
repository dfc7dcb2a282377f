"""The rules that this process applies: the ones that are always on, and what a user adds to them."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import re2

from tele.errors import BadInput
from tele.telemetry.redaction.rules import NAME, PERSONAL, SECRETS, Rule, in_json

__all__ = ["RuleSet", "clean", "forbid", "in_use", "on_change", "set_up", "suspicious"]

_KEY_LENGTH, _MOST_KNOWN = 16, 32
"""Of keys that are taken out as they are."""


class RuleSet:
    """The compiled rules: one set that finds which apply, and each by itself to replace with."""

    def __init__(
        self,
        personal: tuple[Rule, ...] = (),
        own: tuple[Rule, ...] = (),
        keys: frozenset[str] = frozenset(),
        known: tuple[str, ...] = (),
    ) -> None:
        self.personal, self.own, self.keys, self.known = personal, own, keys, known
        self.rules = (*SECRETS, *personal, *own, *(Rule("key", re2.escape(text)) for text in known))
        self.set = _search_set(rule.pattern for rule in self.rules)
        # What the short way of `encode` cannot take: a secret, a `null` (it may have been a NaN), an integer that may
        # be beyond 64 bits.
        self.screen = _search_set([*map(in_json, self.rules), r"[:,\[](?:null|9\d{18}|\d{20})"])
        self.patterns = [re2.compile(rule.pattern) for rule in self.rules]

    @functools.cached_property
    def anywhere(self) -> Any:
        """Whatever may be one, in JSON or in a text: only `suspicious` asks it."""
        return _search_set(
            [
                *(rule.pattern for rule in self.rules),
                *map(in_json, self.rules),
                rf"{NAME}\\*[\"']\s*:",
                rf"(?:key|name)\\*[\"']\s*:\s*\\*[\"']{NAME}\\*[\"']",
                rf"\[\s*\\*[\"']{NAME}\\*[\"']\s*,",
                *(rf"(?i:{re.escape(key)})\\*[\"']" for key in self.keys),
            ]
        )


def _search_set(patterns: Iterable[str]) -> Any:
    found = re2.Set.SearchSet()
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


_rules: list[RuleSet] = []
"""The last one is in use, compiled on first use. RE2 works without the GIL and under locks of its own, which a fork may
copy while another thread holds them: a child compiles its own rules, and keeps the parent's, since a lock that is held
cannot be destroyed.
"""
on_change: list[Callable[[], None]] = []
"""What is called when the rules change, to forget what is remembered of keys."""


def in_use() -> RuleSet:
    """Give the rules that apply now."""
    if not _rules:
        _rules.append(RuleSet(_from_environment()))
    return _rules[-1]


def _from_environment() -> tuple[Rule, ...]:
    """Rules for personal data that `$TELE_PII` names: `all`, or names with commas between."""
    asked = {name.strip().lower() for name in os.environ.get("TELE_PII", "").split(",")}
    return PERSONAL if asked & {"1", "all", "true", "yes"} else tuple(r for r in PERSONAL if r.name in asked)


def _after_in_child() -> None:
    if _rules:
        _rules.append(RuleSet(_rules[-1].personal, _rules[-1].own, _rules[-1].keys, _rules[-1].known))


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)


def set_up(
    *,
    personal: bool | Iterable[str] | None = None,
    keys: Iterable[str] | None = None,
    patterns: Mapping[str, str] | None = None,
) -> None:
    """Say what is taken out besides secrets; what is None stays as it was.

    `personal` names rules of `PERSONAL`, or is True for all; `keys` are names whose values go (case does not matter);
    `patterns` are rules of the user's own, name to pattern in RE2's syntax. Raises BadInput.
    """
    now = in_use()
    _rules.append(
        RuleSet(
            now.personal if personal is None else _personal(personal),
            now.own if patterns is None else tuple(_own(name, pattern) for name, pattern in patterns.items()),
            now.keys if keys is None else frozenset(map(str.lower, keys)),
            now.known,
        )
    )
    for forget in on_change:
        forget()


def forbid(*secrets: object) -> None:
    """Take these very texts out of all that is recorded from now on: the keys that a watched client asks with.

    A server may repeat them in what it refuses with, and that stands in every span around the call. What is short may
    be a word that stands for no key (`EMPTY`, `not-needed`); of very many the first count.
    """
    now = in_use()
    new = [text for text in secrets if isinstance(text, str) and len(text) >= _KEY_LENGTH and text not in now.known]
    if new and len(now.known) < _MOST_KNOWN:
        _rules[-1] = RuleSet(now.personal, now.own, now.keys, (*now.known, *dict.fromkeys(new))[:_MOST_KNOWN])


def _personal(chosen: bool | Iterable[str]) -> tuple[Rule, ...]:
    known = {rule.name: rule for rule in PERSONAL}
    names = list(known) if chosen is True else list(chosen or ())
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"There is no rule {unknown[0]!r} for personal data; there are {', '.join(known)}.")
    return tuple(known[name] for name in names)


def _own(name: str, pattern: str) -> Rule:
    if not re.fullmatch(r"[\w-]{1,40}", name):
        raise BadInput(f"A rule's name has letters, digits, - and _ only, not {name!r}.")
    try:
        re2.compile(pattern)
    except re2.error as error:
        raise BadInput(f"The pattern {name!r} is none of RE2's: {error}.") from None
    return Rule(name, pattern)


def clean(encoded: bytes) -> bool:
    """Whether `encoded`, a JSON text, holds nothing that looks like a secret and no `null`: one linear pass."""
    return not (_rules[-1] if _rules else in_use()).screen.Match(encoded)


def suspicious(text: bytes) -> bool:
    """Whether `text`, JSON or not, may hold what would be taken out: one linear pass, which may find too much."""
    rules = in_use()
    return bool(rules.anywhere.Match(text))
