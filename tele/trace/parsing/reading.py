"""The reading of events: one pass over the text, which may come in pieces, to drafts of events and notes on repairs.

It recovers as a browser does: what a tag means follows from the tags that are open, nothing is read twice, and what is
mended is noted with its place. A draft holds the text of its fields as it stands; `settling` makes events of drafts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tele.trace.parsing.tags import (
    END,
    INSIDE,
    NAME,
    OPENER,
    PAIR,
    PLAIN_ATTRIBUTES,
    QUOTED,
    SLASH,
    Hidden,
    attributes,
    tag_pattern,
)
from tele.trace.values import AS_JSON

__all__ = ["FIELDS", "Draft", "Note", "Reading", "note_style"]

FIELDS = (
    "decision",
    "alternatives",
    "reasoning",
    "confidence",
    "code_section",
    "spec_reference",
    "id",
    "parent",
    "parent_id",
    "depends_on",
    "stage",
    "stage_id",
    "experiment",
    "created_at",
    "timestamp",
    "metadata",
    "alternative",
)
_BREAKING = frozenset({"decision", "reasoning", "confidence", "alternatives"})
"""Fields that end another one which was not closed; the others are taken as words of it."""
_TAG = tag_pattern(("event", "code", *FIELDS))
_FIELD = "|".join(FIELDS)
_EVENT = re.compile(rf"<event({PLAIN_ATTRIBUTES.pattern})>((?:\s*+<({_FIELD})>[^<]*+</\3>)++\s*+)</event>", re.ASCII)
"""A whole event exactly as asked for: attributes, and fields in which no markup stands."""
_ELEMENT = re.compile(rf"<({_FIELD})>([^<]*+)<", re.ASCII)
_EVENT_TAG = re.compile(r"<(/?)event(?=[\s/>])", re.IGNORECASE | re.ASCII)
_WHY_HIDDEN = "code begins in an event and ends behind </event>: what stands between does not count"
_STYLES = {
    "upper_case": "a name is in upper case",
    "spaced_attribute": "space stands around =",
    "no_value": "an attribute has no value",
    "single_quotes": "a value is in single quotes",
    "unquoted_value": "a value is not in quotes",
    "gt_in_attribute": "> stands in a value",
    "odd_attributes": "the attributes are not as asked for",
}


class Note(NamedTuple):
    """Something that was mended or is wrong, and where: characters from the start of the text."""

    at: int
    code: str
    message: str


def note_style(notes: list[Note], at: int, codes: tuple[str, ...]) -> None:
    """Add to `notes` what in the writing of a tag is not as asked for."""
    notes += [Note(at, code, f"the tag is read, but {_STYLES[code]}") for code in codes]


class Draft:
    """An event while it is read."""

    __slots__ = ("as_json", "attributes", "closed", "decoded", "end", "fields", "items", "outer", "start")

    def __init__(self, start: int, end: int, said: dict[str, str], outer: Draft | None) -> None:
        self.start = start
        self.end = end
        """Behind its last tag so far."""
        self.attributes = said
        self.outer = outer
        self.fields: dict[str, str] = {}
        self.items: list[str] = []
        """Texts of `<alternative>` elements that stand in no list."""
        self.as_json: frozenset[str] = frozenset()
        """Fields whose tag has `json="true"`: what XML cannot hold stands there as JSON."""
        self.closed = False
        self.decoded = False
        """Whether the fields are plain text already."""


class Reading:
    """Where the reading stands: drafts met, those still open, and the field that is being read."""

    __slots__ = ("_begun", "_field", "_from", "_parts", "closes", "drafts", "hidden", "notes", "stack")

    def __init__(self, *, in_code: bool) -> None:
        self.hidden = Hidden(in_code=in_code)
        self.drafts: list[Draft] = []
        self.stack: list[Draft] = []
        self.notes: list[Note] = []
        self.closes = 0
        """Number of `</event>`, strays included."""
        self._field: str | None = None
        self._begun = 0  # where its tag begins
        self._parts: list[str] = []  # text of it from earlier pieces
        self._from = 0  # where it goes on in this piece

    def read(self, text: str, at: int, base: int, *, final: bool) -> int:
        """Read `text` from `at` on; `base` is the place of its first character in the whole.

        Returns where the reading stops: at the end, or, where more text must come before it can go on, before that.
        """
        search, end = _TAG.search, len(text)
        self._from = at
        while (match := search(text, at)) is not None:
            at = match.end()
            kind = match.lastindex
            if kind == END and match[END]:
                if match[NAME] == "event" and (whole := self._event(text, match.start(), base)):
                    at = whole
                    continue
                at = self._tag(text, match, base, final=final)
            elif kind == END:
                if self._broken(text, match, base):
                    self._tag(text, match, base, final=final)
            else:
                at = self._hide(text, match, base, final=final)
            if at < 0:
                return self._pause(text, match.start())
        if final:
            self._end(text, base)
        return self._pause(text, end)

    def _event(self, text: str, start: int, base: int) -> int:
        """Take an event that is exactly as asked for in one piece; returns where it ends, 0 where it is none such."""
        match = _EVENT.match(text, start)
        if match is None:
            return 0
        inside, body = match[1], match[2]
        pairs = _ELEMENT.findall(body)
        fields, said = dict(pairs), dict(PAIR.findall(inside))
        if len(fields) != len(pairs) or len(said) != inside.count("=") or "alternative" in fields:
            return 0
        if "```" in body or "~~~" in body:
            return 0
        if self._field is not None:
            self._close_field(text, start, base, closed=False)
        draft = Draft(start + base, match.end() + base, said, self.stack[-1] if self.stack else None)
        draft.fields = fields
        draft.decoded = "&" not in body and "\r" not in body
        draft.closed = True
        self.drafts.append(draft)
        self.closes += 1
        return match.end()

    def _pause(self, text: str, at: int) -> int:
        if self._field is not None and at > self._from:
            self._parts.append(text[self._from : at])
        return at

    def _end(self, text: str, base: int) -> None:
        if self._field is not None:
            self._close_field(text, len(text), base, closed=False)
        for draft in self.stack:
            self.notes.append(Note(draft.start, "unclosed_event", "the event is not closed"))

    # ── tags ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tag(self, text: str, match: re.Match[str], base: int, *, final: bool) -> int:
        slash, name, inside = match.group(SLASH, NAME, INSIDE)
        lower = name.lower()
        at = match.end()
        empty = inside != "" and inside.rstrip().endswith("/")
        if lower == "code":
            return at if slash or empty else self._hide(text, match, base, final=final)
        if lower != "event" and not self.stack:
            return at
        if lower == "event":
            if self._field is not None:
                self._close_field(text, match.start(), base, closed=False)
            if slash:
                self._close_event(match.start() + base, at + base)
            else:
                self._note_case(match, base)
                self._open_event(match.start() + base, at + base, inside, empty=empty)
        elif slash:
            self._closing_tag(text, match, base, lower)
        else:
            return self._opening_tag(text, match, base, lower, empty=empty)
        return at

    def _hide(self, text: str, match: re.Match[str], base: int, *, final: bool) -> int:
        """Return where what is hidden ends, as `Hidden.past`; note where code hides the end of the event it is in."""
        at = self.hidden.past(text, match, base, final=final)
        if self.stack and at > match.end() and match.lastindex not in (OPENER, QUOTED):
            tag = _EVENT_TAG.search(text, match.end(), at)
            if tag is not None and tag[1]:
                self.notes.append(Note(match.start() + base, "hidden_event", _WHY_HIDDEN))
        return at

    def _broken(self, text: str, match: re.Match[str], base: int) -> bool:
        """Note that a tag has no end; returns whether it lacks nothing but the `>` before the next tag."""
        name, slash, inside = match[NAME].lower(), match[SLASH], match[INSIDE]
        meant = name == self._field if slash else self._field is None and bool(self.stack)
        if name == "code" or not (name == "event" or meant):
            return False  # words of a field, or of the prose
        self.notes.append(Note(match.start() + base, "broken_tag", f"<{slash}{match[NAME]} has no end"))
        whole = not inside.strip() if slash else name == "event" and "type=" in inside
        return whole and text.startswith("<", match.end())

    def _note_case(self, match: re.Match[str], base: int) -> None:
        if not match[NAME].islower():
            note_style(self.notes, match.start() + base, ("upper_case",))

    def _open_event(self, start: int, end: int, inside: str, *, empty: bool) -> None:
        said, style = attributes(inside)
        if style:
            note_style(self.notes, start, style)
        draft = Draft(start, end, said, self.stack[-1] if self.stack else None)
        draft.closed = empty
        self.drafts.append(draft)
        if not empty:
            self.stack.append(draft)

    def _close_event(self, start: int, end: int) -> None:
        self.closes += 1
        if self.stack:
            draft = self.stack.pop()
            draft.closed = True
            draft.end = end
        else:
            self.notes.append(Note(start, "stray_event", "an event is closed that was not opened"))

    # ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _opening_tag(self, text: str, match: re.Match[str], base: int, name: str, *, empty: bool) -> int:
        at = match.end()
        if self._field is not None:
            if not self._breaks(name):
                return at
            self._close_field(text, match.start(), base, closed=False)
        self._note_case(match, base)
        if "json" in match[INSIDE] and AS_JSON.match(match[INSIDE]) and name not in self.stack[-1].fields:
            self.stack[-1].as_json |= {name}
        if not empty:
            end = text.find("<", at)
            closer = f"</{match[NAME]}>"
            if not text.startswith(closer, end) or "```" in (body := text[at:end]) or "~~~" in body:
                self._field, self._begun, self._from = name, match.start() + base, at
                self._parts.clear()
            else:  # nothing but text stands in it
                self._keep(name, body, match.start() + base)
                at = end + len(closer)
        self.stack[-1].end = at + base
        return at

    def _closing_tag(self, text: str, match: re.Match[str], base: int, name: str) -> None:
        if name == self._field:
            self._close_field(text, match.start(), base, closed=True)
            self.stack[-1].end = match.end() + base
        elif self._field is None:
            self.notes.append(Note(match.start() + base, "stray_close", f"<{name}> is closed, but is not open"))

    def _breaks(self, name: str) -> bool:
        """Whether an opening tag of `name` says that the field before it was meant to be closed."""
        return name in _BREAKING and self._field != "metadata"

    def _close_field(self, text: str, end: int, base: int, *, closed: bool) -> None:
        name, self._field = self._field or "", None
        body = text[self._from : end]
        if self._parts:
            body = "".join((*self._parts, body))
            self._parts.clear()
        if not closed:
            self.notes.append(Note(self._begun, "unclosed_field", f"<{name}> is not closed"))
            self.stack[-1].end = base + end
        self._keep(name, body, self._begun)

    def _keep(self, name: str, body: str, at: int) -> None:
        draft = self.stack[-1]
        if name == "alternative":
            draft.items.append(body)
        elif name in draft.fields:
            self.notes.append(Note(at, "repeated_field", f"<{name}> stands twice; the first counts"))
        else:
            draft.fields[name] = body
