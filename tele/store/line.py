"""One journal line: a JSON object that ends in its number and a checksum.

    {"kind":"span","name":"chat",…,"seq":17,"crc":"0f3a9c21"}⏎

The checksum is CRC-32 (IEEE 802.3) of every byte before `,"crc":`, as eight lower-case hex digits compared as text, so
that each single flipped bit of a line, also one that only changes the case of a hex digit, is noticed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload
from zlib import crc32

__all__ = ["END", "Damage", "Lines", "Scan", "finish", "scan"]

END = b'{"tele":"end"'
"""Body of the last line of a journal that was closed: nothing is missing behind the line before."""


_DIGITS = 18
"""Of a line's number: it has to fit into 64 bits."""
_TAIL = len(b',"crc":"00000000"}')


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a journal that are not what was written."""

    offset: int
    length: int
    why: str


class Lines(Sequence[bytes]):
    """Lines without their newlines, where they stand in `data`: none of them is copied before it is asked for."""

    __slots__ = ("data", "starts", "stops")

    def __init__(self, data: bytes, starts: array[int], stops: array[int]) -> None:
        """Take `data`, and where in it the lines begin and end, one behind the other (arrays of type q)."""
        self.data, self.starts, self.stops = data, starts, stops

    @classmethod
    def of(cls, lines: Iterable[bytes]) -> Lines:
        """Copy `lines` into one text."""
        known = list(lines)
        starts = array("q", accumulate((len(line) + 1 for line in known), initial=0))[:-1]
        return cls(b"\n".join(known), starts, array("q", (a + len(b) for a, b in zip(starts, known, strict=True))))

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Lines: ...
    def __getitem__(self, place: int | slice) -> bytes | Lines:
        if isinstance(place, slice):
            return Lines(self.data, self.starts[place], self.stops[place])
        return self.data[self.starts[place] : self.stops[place]]

    def __iter__(self) -> Iterator[bytes]:
        return (self.data[start:stop] for start, stop in zip(self.starts, self.stops, strict=True))

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return sum(self.stops) - sum(self.starts)

    def parts(self, first: int, size: int) -> Iterator[Lines]:
        """Give the lines in parts that have `size` bytes or a line more, the first of them `first`, the last less."""
        at, room = 0, first
        while at < len(self):
            end = bisect_left(self.stops, self.starts[at] + room, at) + 1
            yield self[at:end]
            at, room = end, size

    def adjacent(self) -> Lines:
        """Return the same lines with nothing but a newline between one and the next: copied where they are not so."""
        whole = self.stops[-1] - self.starts[0] if self.starts else -1
        return self if self.size + len(self) - 1 == whole else Lines.of(self)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a stretch of a journal holds."""

    lines: Lines
    """Whole, verified lines."""
    first: int
    """Number of the first line, or the number expected next where there is none."""
    next: int
    """Number that the next line should have."""
    end: int
    """Offset behind the last newline: a reader goes on from here."""
    torn: int
    """Bytes behind `end`: a line that was being written, or a torn tail of a dead writer."""
    damage: list[Damage]


def finish(body: bytes, seq: int) -> bytes:
    """Close `body`, a JSON object without its last brace, with its number and checksum."""
    line = b'%b,"seq":%d' % (body, seq)
    return b'%b,"crc":"%08x"}\n' % (line, crc32(line))


def scan(data: bytes, *, offset: int = 0, expected: int = 0) -> Scan:
    """Verify `data`, which begins at `offset` of a journal where line `expected` is due.

    A line that fails is damage, and the lines behind it are still read: only bytes behind the last newline can be a
    torn tail.
    """
    starts, stops = array("q"), array("q")
    damage: list[Damage] = []
    due = first = expected
    start, stop = 0, data.find(b"\n")
    while stop >= 0:
        content = data[start : stop - _TAIL]
        # What nearly every line is: whole, and the one that is due.
        if content.endswith(b',"seq":%d' % due, 1) and data[stop - _TAIL : stop] == b',"crc":"%08x"}' % crc32(content):
            starts.append(start)
            stops.append(stop)
            due += 1
        elif (seq := _verified(data[start:stop])) is None:
            damage.append(Damage(offset + start, stop - start + 1, "the checksum does not match"))
        elif seq < due:
            damage.append(Damage(offset + start, stop - start + 1, f"line {seq} stands again after line {due - 1}"))
        else:
            if not (damage and damage[-1].offset + damage[-1].length == offset + start):
                damage.append(Damage(offset + start, 0, f"lines {due} to {seq - 1} are missing"))
            first = first if starts else seq
            starts.append(start)
            stops.append(stop)
            due = seq + 1
        start, stop = stop + 1, data.find(b"\n", stop + 1)
    return Scan(Lines(data, starts, stops), first, due, offset + start, len(data) - start, damage)


def _verified(line: bytes) -> int | None:
    """Number of the line, or None where its checksum fails."""
    content = line[:-_TAIL]
    if line[-_TAIL:] != b',"crc":"%08x"}' % crc32(content):
        return None
    at = content.rfind(b',"seq":')
    number = content[at + 7 :]
    return int(number) if at > 0 and number.isdigit() and len(number) <= _DIGITS else None
