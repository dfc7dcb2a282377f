"""Whether a text is as it was asked for, and what its comments say of where it comes from."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from tele.trace.chain import ParseWarning
from tele.trace.parsing.reading import Reading
from tele.trace.parsing.settling import Settling, located

__all__ = ["TextCheck", "extract_metadata", "validate_text"]

_KEY = re.compile(r"[^\W\d][\w .-]*")


@dataclass(frozen=True, slots=True)
class TextCheck:
    """What the text holds, and everything that is not as asked for."""

    events: int
    """Events that were read."""
    opened: int
    """Tags `<event>` that want a closing one."""
    closed: int
    """Tags `</event>`."""
    problems: tuple[ParseWarning, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def validate_text(text: str, *, in_code: bool = False, types: Collection[str] = ()) -> TextCheck:
    """Return how many events `text` holds and every problem of it, in its order; options as `parse_chain`.

    Problems are the warnings of `parse_chain`, and one more, `tag_count`, at the start where the numbers of opening and
    closing tags of events differ.
    """
    reading = Reading(in_code=in_code)
    reading.read(text, 0, 0, final=True)
    found = Settling("check", types).events(reading.drafts, reading.notes)
    problems = located(reading.notes, lambda: [match.start() for match in re.finditer("\n", text)])
    opened = reading.closes + len(reading.stack) - sum(note.code == "stray_event" for note in reading.notes)
    if opened != reading.closes:
        said = f"{opened} opening and {reading.closes} closing tags of events"
        problems = (ParseWarning("tag_count", said, 1, 1), *problems)
    return TextCheck(len(found), opened, reading.closes, problems)


def extract_metadata(text: str) -> dict[str, str]:
    """Return what comments of the form `<!-- key: value -->` say, such as `model` and `timestamp`.

    A comment may hold several lines of that form. Keys are in lower case; of two of one key, the first counts.
    """
    found: dict[str, str] = {}
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        for line in text[start + 4 : end].splitlines():
            key, colon, value = line.partition(":")
            if colon and value.strip() and _KEY.fullmatch(key.strip()):
                found.setdefault(key.strip().lower(), value.strip())
        at = end + 3
    return found
