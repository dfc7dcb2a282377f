"""A chain while it is written: text comes in pieces, events come out as they close.

The text is cut behind each `</event>`. No tag reaches over such a cut, so that a piece is read once and forgotten;
only where code or a comment was opened and has not ended is the text kept until it does. Any cutting gives the events
that the whole text gives.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator

from tele.errors import Malformed
from tele.telemetry.ambient import ambient
from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.parsing.reading import Note, Reading
from tele.trace.parsing.settling import Settling, located

__all__ = ["ChainStream", "stream_events"]

_CUT = re.compile(r"</event\s{0,16}>", re.IGNORECASE | re.ASCII)
_REACH = 24
"""Characters of the longest such tag."""


class ChainStream:
    """Reads a chain from text that arrives in pieces of any size.

    `feed` returns the events that are certain by then, in the order of the text: one that stands inside of another
    comes with it. What `close` returns equals `parse_chain` of the whole text with the same `chain_id`. The cost is
    linear in the text, whatever the pieces.
    """

    def __init__(
        self,
        name: str = "chain",
        *,
        chain_id: str | None = None,
        in_code: bool = False,
        strict: bool = False,
        types: Collection[str] = (),
    ) -> None:
        self.name = name
        self.chain_id = chain_id or _fresh_id()
        self._strict = strict
        self._reading = Reading(in_code=in_code)
        self._settling = Settling(self.chain_id, types)
        self._events: list[ReasoningEvent] = []
        self._notes: list[Note] = []
        self._breaks: list[int] = []
        self._length = 0  # of all that was fed
        self._new: list[str] = []  # fed, and not cut yet
        self._end = ""  # of what was fed last, in which a tag that ends a piece may have begun
        self._kept: list[str] = []  # cut, and waiting for the end of what hides it
        self._text, self._base = "", 0  # last character read, or where the reading waits, and its place
        self._at = 0
        self._chain: Chain | None = None

    @property
    def events(self) -> tuple[ReasoningEvent, ...]:
        """Events that have come out so far."""
        return tuple(self._events)

    def feed(self, text: str) -> list[ReasoningEvent]:
        """Take more text; return the events that it completes."""
        if self._chain is not None:
            raise ValueError("The stream is closed; a new one reads more text.")
        if "\n" in text:
            self._breaks += [self._length + match.start() for match in re.finditer("\n", text)]
        self._length += len(text)
        self._new.append(text)
        before, self._end = self._end, (self._end + text)[-_REACH:]
        if ">" not in text:
            return []
        cut = max((match.end() for match in _CUT.finditer(before + text)), default=0)
        if cut <= len(before):
            return []
        left = len(before) + len(text) - cut
        whole = "".join(self._new)
        self._new = [whole[len(whole) - left :]] if left else []
        return self._read(whole[: len(whole) - left], final=False)

    def close(self) -> Chain:
        """Return the whole chain; raises Malformed if it is strict and something is not as asked for."""
        if self._chain is None:
            self._read("".join(self._new), final=True)
            warnings = located(self._notes, lambda: self._breaks)
            self._chain = Chain(self.chain_id, self.name, tuple(self._events), warnings=warnings)
        if self._strict and self._chain.warnings:
            raise Malformed([(w.line, w.column, w.message) for w in self._chain.warnings])
        return self._chain

    def _read(self, piece: str, *, final: bool) -> list[ReasoningEvent]:
        reading = self._reading
        self._kept.append(piece)
        if len(self._kept) > 1 and not final and not reading.hidden.closer.search(piece):
            return []  # what waits, waits on: nothing of it is looked at again
        text = self._text + "".join(self._kept)
        stop = reading.read(text, self._at, self._base, final=final)
        keep = max(stop - 1, 0)  # what stands before a mark tells what it is
        self._text, self._at = text[keep:], stop - keep
        self._base += keep
        self._kept = [""] if stop < len(text) else []
        return self._settle() if final or not reading.stack else []

    def _settle(self) -> list[ReasoningEvent]:
        reading = self._reading
        found = self._settling.events(reading.drafts, reading.notes)
        self._notes += reading.notes
        reading.drafts, reading.notes = [], []
        self._events += found
        return found


def _fresh_id() -> str:
    """Return an id whose first digits differ too: those of the events begin with them."""
    return hashlib.sha256(ambient.ids.trace(ambient.now()).encode()).hexdigest()[:32]


def stream_events(
    pieces: Iterable[str], *, chain_id: str | None = None, in_code: bool = False, types: Collection[str] = ()
) -> Iterator[ReasoningEvent]:
    """Yield the events of a text that arrives in `pieces`, each as soon as it is certain; options as `ChainStream`."""
    stream = ChainStream(chain_id=chain_id, in_code=in_code, types=types)
    for piece in pieces:
        yield from stream.feed(piece)
    count = len(stream.events)
    yield from stream.close().events[count:]
