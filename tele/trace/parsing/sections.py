"""Sections in tags of any vocabulary: `<think>`, `<answer>`, `<thought>` and `<action>`, or what a prompt asks for.

The rules are those of the regular expressions that evaluations use: a section goes from its opening tag to the first
closing tag of that name, whatever stands between, and another tag of it inside is text. `greedy` goes from the first
opening tag to the last closing one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tele.errors import BadInput
from tele.trace.parsing.tags import END, INSIDE, NAME, SLASH, Hidden, attributes, tag_pattern

__all__ = ["VOCABULARIES", "Section", "read_section", "read_sections"]

VOCABULARIES: Mapping[str, tuple[str, ...]] = {
    "thinking": ("think", "thinking", "answer"),
    "react": ("thought", "action", "action_input", "observation", "final_answer"),
}
"""Names of tags that go together."""

Rule = Literal["first", "last", "greedy"]


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between two tags."""

    name: str
    """In lower case."""
    text: str
    """As it stands, without the space around it."""
    line: int
    """Of its opening tag, from 1."""
    column: int
    closed: bool = True
    """False where no closing tag was found: it goes on to the end, or to the next section."""
    attributes: Mapping[str, str] | None = None
    """Of the opening tag; None where it has none."""


class _Tag(NamedTuple):
    name: str
    closes: bool
    empty: bool
    inside: str
    start: int
    end: int


def read_sections(text: str, *names: str, in_code: bool = True, implied: bool = False) -> tuple[Section, ...]:
    """Return the sections of `text` in their order; never raises for any text.

    `names` are tags, or names of VOCABULARIES; a name that cannot be a tag raises BadInput. Without `in_code`, tags in
    code, comments and CDATA do not count. With `implied`, a closing tag without an opening one ends a section that
    began with the text, as where a prompt ended in `<think>`.
    """
    tags = list(_tags(text, _vocabulary(names), in_code=in_code))
    last_close = {tag.name: place for place, tag in enumerate(tags) if tag.closes}
    found: list[Section] = []
    places = _Places(text)
    if implied and tags and tags[0].closes:
        found.append(Section(tags[0].name, text[: tags[0].start].strip(), 1, 1))
    place = 0
    while place < len(tags):
        tag = tags[place]
        place += 1
        if tag.closes:
            continue
        if tag.empty:
            found.append(places.section(tag, tag.end))
        elif last_close.get(tag.name, -1) < place:
            openers = (tags[later].start for later in range(place, len(tags)) if not tags[later].closes)
            end = next(openers, len(text))
            found.append(places.section(tag, end, closed=False))
        else:
            while not (tags[place].closes and tags[place].name == tag.name):
                place += 1
            found.append(places.section(tag, tags[place].start))
            place += 1
    return tuple(found)


def read_section(
    text: str, name: str, rule: Rule = "last", *, in_code: bool = True, implied: bool = False, unclosed: bool = False
) -> Section | None:
    """Return the first or the last section `name` that is closed, or the one from the first tag to the last (`greedy`).

    None where there is none; with `unclosed`, one that is not closed then stands for it. Options as `read_sections`.
    """
    found = read_sections(text, name, in_code=in_code, implied=implied)
    closed = [section for section in found if section.closed]
    if not closed:
        return found[0 if rule == "first" else -1] if found and unclosed else None
    if rule == "greedy":
        tags = list(_tags(text, _vocabulary((name,)), in_code=in_code))
        start = 0 if implied and tags[0].closes else next(tag.end for tag in tags if not tag.closes)
        end = next(tag.start for tag in reversed(tags) if tag.closes)
        return replace(closed[0], text=text[start:end].strip())
    return closed[0 if rule == "first" else -1]


def _vocabulary(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise BadInput("Name the tags to read, for example `think` and `answer`.")
    known = (found for name in names for found in VOCABULARIES.get(name, (name,)))
    return tuple(dict.fromkeys(name.lower() if name.isascii() else name for name in known))


def _tags(text: str, names: tuple[str, ...], *, in_code: bool) -> Iterator[_Tag]:
    """Yield the tags of `names`; with `in_code`, nothing hides them."""
    pattern, hidden = tag_pattern(names if in_code else (*names, "code")), Hidden(in_code=in_code)
    at = 0
    while (match := pattern.search(text, at)) is not None:
        at, name = match.end(), (match[NAME] or "").lower()
        if match.lastindex != END or (name == "code" and "code" not in names):
            opens = match.lastindex != END or not (match[SLASH] or match[INSIDE].rstrip().endswith("/"))
            if in_code:
                at = match.start() + 1
            elif opens:
                at = hidden.past(text, match, 0, final=True)
        elif match[END]:
            inside = match[INSIDE]
            yield _Tag(name, bool(match[SLASH]), inside.rstrip().endswith("/"), inside, match.start(), at)


class _Places:
    """Lines and columns of a text, worked out once something needs them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] = []

    def section(self, tag: _Tag, end: int, *, closed: bool = True) -> Section:
        if not self._starts:
            self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect_right(self._starts, tag.start)
        column = tag.start - self._starts[line - 1] + 1
        said = attributes(tag.inside)[0] if tag.inside.strip(" /") else None
        return Section(tag.name, self._text[tag.end : end].strip(), line, column, closed, said)
