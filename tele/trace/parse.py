"""Text of a model to a chain of reasoning: total, linear in the length of the text, and open about what it mended.

The format is `<event type="...">` around `<decision>`, `<alternatives>`, `<reasoning>`, `<confidence>`,
`<code_section>`, `<spec_reference>`, and, as tags or attributes, `id`, `parent`, `depends_on`, `stage`. Tags may be
upper-case, quotes single, events nested (the outer one is the parent) or never closed. Events inside code fences,
`<code>` elements and comments are examples, not reasoning, and do not count.
"""

from __future__ import annotations

import hashlib
import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tele.trace.chain import TYPES, Chain, ParseWarning, ReasoningEvent
from tele.trace.values import confidence, items

__all__ = ["parse_chain"]

_FIELDS = (
    "decision",
    "alternatives",
    "reasoning",
    "confidence",
    "code_section",
    "spec_reference",
    "id",
    "parent",
    "depends_on",
    "stage",
)
_TAG = re.compile(rf"<(/?)(event|code|{'|'.join(_FIELDS)})(?=[\s/>])|<!--|<!\[CDATA\[|```", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)\s*(?:=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_LONGEST_TAG = 8192
_OPAQUE = {"<!--": "-->", "<![cdata[": "]]>", "```": "```", "<code": "</code>"}


class _Tag(NamedTuple):
    name: str
    closes: bool
    empty: bool
    attributes: dict[str, str]
    start: int
    end: int


@dataclass(slots=True)
class _Draft:
    """An event while it is read."""

    start: int
    attributes: dict[str, str]
    outer: _Draft | None
    fields: dict[str, str] = field(default_factory=dict)
    closed: bool = False


@dataclass(slots=True)
class _Reading:
    """Where the reading stands: the text, the events met, the ones still open, and the field that is being read."""

    text: str
    events: list[_Draft] = field(default_factory=list)
    stack: list[_Draft] = field(default_factory=list)
    current: _Tag | None = None
    warned: list[tuple[int, str, str]] = field(default_factory=list)

    def warn(self, at: int, code: str, message: str) -> None:
        self.warned.append((at, code, message))


def parse_chain(text: str, name: str = "chain", *, chain_id: str | None = None, in_code: bool = False) -> Chain:
    """Return the chain of reasoning in `text`; never raises, whatever the text is.

    What is not as asked for (an unknown type, a missing decision, an event that is not closed) is kept as far as it can
    be read and said in `Chain.warnings`. `chain_id` defaults to a hash of name and text, so that the same text read
    twice is the same chain. With `in_code`, events inside fences and `<code>` count too.
    """
    reading = _Reading(text)
    for tag in _tags(text, in_code=in_code):
        _step(reading, tag)
    if reading.current is not None:
        _end_field(reading, len(text), closed=False)
    for draft in reading.stack:
        reading.warn(draft.start, "unclosed_event", "the event is not closed")
    id_ = chain_id or hashlib.sha256(f"{name}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    events = _events(reading, id_)
    return Chain(id=id_, name=name, events=events, warnings=_located(reading))


# ── tags ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tags(text: str, *, in_code: bool) -> Iterator[_Tag]:
    """Yield the tags that matter, in order; what stands in comments, CDATA, fences and code is passed over."""
    # An opener that is in here hides nothing.
    at, unending = 0, {"```", "<code"} if in_code else set()
    while match := _TAG.search(text, at):
        at = match.end()
        mark = match.group().lower()
        if (closer := _OPAQUE.get(mark)) is not None:
            end = -1 if mark in unending else _find(text, closer, at)
            if end < 0:
                unending.add(mark)  # none will be found further on either: the whole stays linear
            else:
                at = end + len(closer)
            continue
        tag = _tag(text, match)
        if tag is not None and tag.name != "code":
            at = tag.end
            yield tag


def _find(text: str, closer: str, at: int) -> int:
    if closer != "</code>":
        return text.find(closer, at)
    match = re.compile(re.escape(closer), re.IGNORECASE).search(text, at)
    return match.start() if match else -1


def _tag(text: str, match: re.Match[str]) -> _Tag | None:
    """Return the tag that begins at `match`, or None where no `>` ends it before another `<`."""
    at, quote, before = match.end(), "", ""
    limit = min(len(text), at + _LONGEST_TAG)
    while at < limit and (quote or text[at] not in "<>"):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and before == "=":
            quote = char
        before = before if char.isspace() else char
        at += 1
    if at >= limit or text[at] == "<":
        return None
    inside = text[match.end() : at]
    attributes = {key.lower(): html.unescape(value.strip("\"'")) for key, value in _ATTRIBUTE.findall(inside)}
    empty = inside.rstrip().endswith("/")
    return _Tag(match.group(2).lower(), bool(match.group(1)), empty, attributes, match.start(), at + 1)


# ── events and fields ────────────────────────────────────────────────────────────────────────────────────────────────


def _step(reading: _Reading, tag: _Tag) -> None:
    if tag.name == "event":
        if reading.current is not None:
            _end_field(reading, tag.start, closed=False)
        if tag.closes:
            _end_event(reading, tag)
        else:
            _begin_event(reading, tag)
    elif not reading.stack:
        return
    elif reading.current is None:
        if not tag.closes and not tag.empty:
            reading.current = tag
    elif tag.closes and tag.name == reading.current.name:
        _end_field(reading, tag.start, closed=True)
    elif not tag.closes and tag.name in ("decision", "reasoning", "confidence", "alternatives"):
        _end_field(reading, tag.start, closed=False)
        reading.current = None if tag.empty else tag


def _begin_event(reading: _Reading, tag: _Tag) -> None:
    outer = reading.stack[-1] if reading.stack else None
    draft = _Draft(tag.start, tag.attributes, outer, closed=tag.empty)
    reading.events.append(draft)
    if not tag.empty:
        reading.stack.append(draft)


def _end_event(reading: _Reading, tag: _Tag) -> None:
    if reading.stack:
        reading.stack.pop().closed = True
    else:
        reading.warn(tag.start, "stray_close", "an event is closed that was not opened")


def _end_field(reading: _Reading, end: int, *, closed: bool) -> None:
    tag, draft = reading.current, reading.stack[-1]
    reading.current = None
    if tag is None:
        return
    if not closed:
        reading.warn(tag.start, "unclosed_field", f"<{tag.name}> is not closed")
    if tag.name in draft.fields:
        reading.warn(tag.start, "repeated_field", f"<{tag.name}> stands twice; the first counts")
        return
    draft.fields[tag.name] = _plain(reading.text[tag.end : end])


def _plain(raw: str) -> str:
    """Return the text of a field: entities decoded, except in CDATA, and space around it taken off."""
    parts = _CDATA.split(raw)  # every second part is the inside of a CDATA section
    return "".join(part if place % 2 else html.unescape(part) for place, part in enumerate(parts)).strip()


def _events(reading: _Reading, chain_id: str) -> tuple[ReasoningEvent, ...]:
    ids: dict[int, str] = {}
    taken: set[str] = set()
    for n, draft in enumerate(reading.events, 1):
        said = _said(draft, "id")
        if said in taken:
            reading.warn(draft.start, "repeated_id", f"{said!r} is the id of an earlier event")
        ids[id(draft)] = f"{chain_id[:8]}.{n}" if said is None or said in taken else said
        taken.add(ids[id(draft)])
    return tuple(_event(reading, draft, ids) for draft in reading.events)


def _event(reading: _Reading, draft: _Draft, ids: dict[int, str]) -> ReasoningEvent:
    type_ = draft.attributes.get("type", "").strip()
    if not type_:
        reading.warn(draft.start, "no_type", "the event has no type")
    elif type_ not in TYPES:
        reading.warn(draft.start, "unknown_type", f"{type_!r} is none of the known types; kept as it is")
    for name in ("decision", "reasoning"):
        if not draft.fields.get(name):
            reading.warn(draft.start, f"no_{name}", f"the event has no <{name}>")
    sure = confidence(_said(draft, "confidence"))
    if sure.doubt:
        reading.warn(draft.start, "confidence", sure.doubt)
    # An event that was never closed holds nothing: what follows it stands beside it.
    outer = draft.outer if draft.outer is not None and draft.outer.closed else None
    return ReasoningEvent(
        type=type_ or "unknown",
        decision=draft.fields.get("decision", ""),
        reasoning=draft.fields.get("reasoning", ""),
        id=ids[id(draft)],
        alternatives=items(_said(draft, "alternatives")),
        confidence=sure.value,
        code_section=_said(draft, "code_section"),
        spec_reference=_said(draft, "spec_reference"),
        parent=_said(draft, "parent") or draft.attributes.get("parent_id") or (ids[id(outer)] if outer else None),
        depends_on=items(_said(draft, "depends_on")),
        stage=_said(draft, "stage"),
    )


def _said(draft: _Draft, name: str) -> str | None:
    """Return what a sub-tag, else an attribute, says; None where neither does or what it says is empty."""
    return draft.fields.get(name) or draft.attributes.get(name, "").strip() or None


def _located(reading: _Reading) -> tuple[ParseWarning, ...]:
    """Return the warnings in the order of the text, with line and column."""
    starts = [0, *(match.end() for match in re.finditer(r"\n", reading.text))]
    found = []
    for at, code, message in sorted(reading.warned):
        line = bisect_right(starts, at)
        found.append(ParseWarning(code, message, line, at - starts[line - 1] + 1))
    return tuple(found)
