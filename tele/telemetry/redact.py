"""Secrets are taken out before anything is cut, hashed or written.

By key: the value of a key such as `api_key` or `authorization` goes, whatever it is, also where the key stands in JSON
text, a URL's query or a header. By value: strings that look like a credential go wherever they stand. Personal data
goes where that was asked for. The patterns run on RE2, whose time is linear in the text.

Best effort, on by default. A secret is found through JSON's escapes at any depth, through percent signs, in base64 of
the usual beginnings, and cut into the pieces of one list; not in hex, in other encodings, or cut in two by attributes
or events of their own.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import orjson

from tele.telemetry.redaction.rules import KEY, Match, Rule
from tele.telemetry.redaction.ruleset import in_use, on_change

__all__ = [
    "FAILED",
    "MARK",
    "MIN_SECRET",
    "in_pieces",
    "named",
    "paired",
    "redact",
    "redacted",
    "secret_key",
]

MIN_SECRET = 7
"""Shorter strings are not searched: `://a:b@` is the shortest that a rule finds."""
MARK = re.compile(r"\[REDACTED:[\w-]+(?::\d+)?\]|__REDACTED__")
"""What stands where something was taken out: ours, and OpenInference's."""
FAILED = "[REDACTED:failed]"
"""Stands for a field that could not be searched."""
_MOST_PIECES = 10_000
_PIECES = ("text", "content", "delta", "arguments", "output")
"""Keys under which the pieces of one text stand in a list of objects."""
_PIECES_SET = frozenset(_PIECES)
_AT_A_CUT = 128
"""Characters on each side of a cut between two pieces that show whether a secret was cut there."""
_LONG_KEY = 256
"""What is remembered of keys is of shorter ones: keys made of data would fill the memory."""
_hits: Counter[str] = Counter()
_keys: dict[str, bool] = {}
on_change.append(_keys.clear)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_hits.clear)


def redacted() -> dict[str, int]:
    """How many values this process took out, by rule; those of a span that was also written as begun count twice."""
    return dict(_hits)


def secret_key(key: str) -> bool:
    """Whether the value under `key` is a secret by its name. Remembers what it has seen."""
    known = _keys.get(key)
    if known is None:
        known = bool(KEY.search(key)) or key.lower() in in_use().keys
        if len(key) <= _LONG_KEY:
            if len(_keys) > 10_000:  # noqa: PLR2004  # keys made of data would fill the memory
                _keys.clear()
            _keys[key] = known
    return known


def named(value: Mapping[str, Any]) -> bool:
    """Whether `value` is one attribute or header as an object, `{"key": ..., "value": ...}`, under a secret's name."""
    if "value" not in value or isinstance(value["value"], (int, float, type(None))):
        return False
    return any(isinstance(name := value.get(said), str) and secret_key(name) for said in ("key", "name"))


def paired(items: list[Any]) -> bool:
    """Whether a list is of pairs of a name and a value, as headers come, with a secret's name among them."""
    pairs = all(isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) for item in items)  # noqa: PLR2004
    return pairs and any(secret_key(item[0]) for item in items)


def in_pieces(items: list[Any]) -> bool:
    """Whether the items of a list, each clean by itself, may hold a secret together; it may find too much."""
    texts = list(_texts_of(items)) if 1 < len(items) <= _MOST_PIECES else ()
    for pieces in texts:
        cuts = [piece if len(piece) <= 2 * _AT_A_CUT else piece[:_AT_A_CUT] + piece[-_AT_A_CUT:] for piece in pieces]
        cuts[0], cuts[-1] = cuts[0][-_AT_A_CUT:], cuts[-1][:_AT_A_CUT]
        if in_use().set.Match("".join(cuts).encode("utf-8", "surrogatepass")):
            return True
    return False


def _texts_of(items: list[Any]) -> Iterator[list[str]]:
    """Give the texts that may be one text in pieces."""
    if isinstance(items[0], str):
        if all(isinstance(item, str) for item in items):
            yield items
        return
    found: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item, dict):
            for key in _PIECES_SET & item.keys():
                if isinstance(text := item[key], str):
                    found.setdefault(key, []).append(text)
    yield from (texts for texts in found.values() if len(texts) > 1)


def redact(value: Any) -> Any:
    """Replace secrets in plain JSON values by `[REDACTED:rule:length]`; the rest stays the same object."""
    if isinstance(value, str):
        return _text(value) if len(value) >= MIN_SECRET else value
    if isinstance(value, dict):
        return _members(value)
    if isinstance(value, list):
        whole = [redact(item) for item in value]
        if paired(value):
            whole = [[item[0], _under(name, held)] for item, (name, held) in zip(whole, value, strict=True)]
        for place in _arguments(value):
            whole[place] = _gone(value[place])
        return _pieces(whole)
    return value


def _arguments(items: list[Any]) -> Iterator[int]:
    """Places in a list of a command's arguments that an option before them names a secret's: `["--api-key", "..."]`."""
    for place, (option, held) in enumerate(pairwise(items), 1):
        texts = isinstance(option, str) and isinstance(held, str)
        if texts and option.startswith("-") and not held.startswith("-") and secret_key(option):
            yield place


def _members(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    secret = named(value)
    for key, item in value.items():
        name = shown = _text(key)
        while name in found:  # two secrets of one length: both values stay
            name = f"{shown} ({len(found)})"
        found[name] = _gone(item) if secret and key == "value" else _under(key, item)
    return found


def _under(key: str, item: Any) -> Any:
    if item is None or isinstance(item, bool) or not secret_key(key):
        return redact(item)
    if isinstance(item, (int, float)) and "token" in key.lower():
        return item  # a count of tokens, not a token
    return _gone(item)


def _gone(item: Any) -> Any:
    """What stands in place of a value that its key says is a secret."""
    if isinstance(item, str) and MARK.fullmatch(item):
        return item
    return _mark("key", len(item) if isinstance(item, (str, list, dict)) else len(str(item)))


def _mark(rule: str, length: int) -> str:
    _hits[rule] += 1
    return f"[REDACTED:{rule}:{length}]"


# ── texts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(text: str) -> str:
    if len(text) < MIN_SECRET:
        return text
    rules = in_use()
    found = rules.set.Match(text.encode("utf-8", "surrogatepass")) or ()
    if found and (whole := _as_json(text)) is not None:
        return whole
    for index in found:
        rule = rules.rules[index]
        text = rules.patterns[index].sub(lambda match, rule=rule: _replaced(rule, match), text)
    return text


def _replaced(rule: Rule, match: Match) -> str:
    whole = match.group()
    if rule.key and not secret_key(match.group(rule.key)):
        return whole
    kept = match.group(rule.keep) if rule.keep else ""
    gone = whole[len(kept) :]
    if rule.name == "assigned" and gone[-1] in "\"'":  # what says of which sort a literal is stays: b"..."
        kept, gone = kept + gone[: len(gone) - len(gone.lstrip("bfru"))], gone.lstrip("bfru")
    if MARK.fullmatch(gone.strip("\\\"' ")) or (rule.check is not None and not rule.check(whole)):
        return whole
    if rule.name in ("pair", "assigned"):  # the quotes that the value stood in stay, so that JSON stays JSON
        quote = gone[: len(gone) - len(gone.lstrip("\\\"'"))] or ('"' if rule.name == "pair" else "")
        end = quote if gone.endswith(quote) or gone[0] not in "\\\"'" else ""
        return f"{kept}{quote}{_mark('key', len(gone) - len(quote) - len(end))}{end}"
    return kept + _mark(rule.name, len(gone))


def _as_json(text: str) -> str | None:
    """A text that is JSON, redacted as what it says; None where it is no JSON, or holds nothing to take out."""
    if text[:1] not in ("{", "[", '"'):
        return None
    try:
        value = orjson.loads(text)
        cleaned = redact(value)
        # Of a key that stands twice only the last is seen: where nothing went, the text is searched as well.
        return None if cleaned == value else orjson.dumps(cleaned).decode()
    except (ValueError, RecursionError, TypeError):
        return None


# ── pieces: a text that came in chunks ───────────────────────────────────────────────────────────────────────────────


def _pieces(items: list[Any]) -> list[Any]:
    """Take out secrets that the items of a list, texts or objects with a text each, hold together."""
    if not 1 < len(items) <= _MOST_PIECES:
        return items
    if all(isinstance(item, str) for item in items):
        return _joined(items)
    for key in _PIECES:
        places = [n for n, item in enumerate(items) if isinstance(item, dict) and isinstance(item.get(key), str)]
        if len(places) > 1:
            for n, text in zip(places, _joined([items[n][key] for n in places]), strict=True):
                if text != items[n][key]:
                    items[n] = {**items[n], key: text}
    return items


def _joined(texts: list[str]) -> list[str]:
    whole = "".join(texts)
    rules = in_use()
    for index in rules.set.Match(whole.encode("utf-8", "surrogatepass")) or ():
        rule = rules.rules[index]
        if rule.keep:  # what a name says is a secret does not come in pieces
            continue
        for start, end in list(_spans(rules.patterns[index], rule, whole)):
            texts = list(_without(texts, start, end, rule.name))
        whole = "".join(texts)
    return texts


def _spans(pattern: Any, rule: Rule, whole: str) -> Iterator[tuple[int, int]]:
    """Where a rule's matches stand, the last one first, so that places before it stay where they are."""
    found = [m.span() for m in pattern.finditer(whole) if rule.check is None or rule.check(m.group())]
    yield from reversed(found)


def _without(texts: list[str], start: int, end: int, rule: str) -> Iterator[str]:
    at = 0
    marked = False
    for text in texts:
        first, last = max(start - at, 0), min(end - at, len(text))
        at += len(text)
        if first >= last:
            yield text
            continue
        yield text[:first] + ("" if marked else _mark(rule, end - start)) + text[last:]
        marked = True
