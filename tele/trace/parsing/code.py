"""The code in an answer, and what is left of the answer without its events."""

from __future__ import annotations

from dataclasses import dataclass

from tele.trace.parsing.reading import Draft, Reading
from tele.trace.parsing.tags import attributes

__all__ = ["CodeBlock", "Parts", "extract_code", "split_events_and_code"]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Code in `<code>` or in a fence."""

    text: str
    """As it stands, without the line ends around it."""
    language: str | None
    """What the fence or the attribute `lang` or `language` says."""
    fenced: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """An answer, taken apart."""

    events: tuple[str, ...]
    """Texts of the outermost events, as they stand."""
    code: tuple[CodeBlock, ...]
    """All code outside of events, in its order."""
    prose: str
    """The rest."""


def extract_code(text: str) -> str:
    """Return `text` without its events, with what stands in `<code>` set free, and without outer space.

    Prose around the code stays, and so do fences; `split_events_and_code` tells them apart.
    """
    reading = _reading(text)
    drop = _events(reading)
    for start, inner, inner_end, end in reading.hidden.code:
        if text[start] == "<":
            drop += [(start, inner), (inner_end, end)]
    return _without(text, drop).strip()


def split_events_and_code(text: str) -> Parts:
    """Return the events, the code blocks and the prose of `text`."""
    reading = _reading(text)
    events = _events(reading)
    merged = _merged(events)
    free, place = [], 0
    for span in reading.hidden.code:
        while place < len(merged) and merged[place][1] <= span[0]:
            place += 1
        if place == len(merged) or span[3] <= merged[place][0]:
            free.append(span)
    prose = _without(text, [*events, *((span[0], span[3]) for span in free)])
    blocks = tuple(_block(text, span) for span in free)
    return Parts(tuple(text[start:end] for start, end in merged), blocks, prose.strip())


def _reading(text: str) -> Reading:
    reading = Reading(in_code=False)
    reading.read(text, 0, 0, final=True)
    return reading


def _events(reading: Reading) -> list[tuple[int, int]]:
    def outermost(draft: Draft) -> bool:
        return draft.outer is None or not draft.outer.closed

    return [(draft.start, draft.end) for draft in reading.drafts if outermost(draft)]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in their order, those that touch or overlap as they are but none inside of another."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _without(text: str, drop: list[tuple[int, int]]) -> str:
    kept, at = [], 0
    for start, end in _merged(drop):
        kept.append(text[at:start])
        at = end
    return "".join((*kept, text[at:]))


def _block(text: str, span: tuple[int, int, int, int]) -> CodeBlock:
    start, inner, inner_end, _ = span
    opening, body = text[start:inner], text[inner:inner_end].strip("\r\n")
    if opening[0] == "<":
        said = attributes(opening[5:-1])[0]
        return CodeBlock(body, said.get("lang") or said.get("language"), fenced=False)
    return CodeBlock(body, opening.strip("`~ \t\r\n").split(" ")[0] or None, fenced=True)
