"""One journal line: a JSON object that ends in its number and a checksum.

    {"kind":"span","name":"chat",…,"seq":17,"crc":"0f3a9c21"}⏎

The checksum is CRC-32 (IEEE 802.3) of every byte before `,"crc":`, as eight lower-case hex digits compared as text, so
that each single flipped bit of a line, also one that only changes the case of a hex digit, is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

__all__ = ["END", "Damage", "Scan", "finish", "scan"]

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


@dataclass(frozen=True, slots=True)
class Scan:
    """What a stretch of a journal holds."""

    lines: list[bytes]
    """Whole, verified lines without their newline."""
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
    lines: list[bytes] = []
    damage: list[Damage] = []
    due = first = expected
    start, stop = 0, data.find(b"\n")
    while stop >= 0:
        line = data[start:stop]
        content = line[:-_TAIL]
        # What nearly every line is: whole, and the one that is due.
        if content.endswith(b',"seq":%d' % due, 1) and line[-_TAIL:] == b',"crc":"%08x"}' % crc32(content):
            lines.append(line)
            due += 1
        elif (seq := _verified(line)) is None:
            damage.append(Damage(offset + start, len(line) + 1, "the checksum does not match"))
        elif seq < due:
            damage.append(Damage(offset + start, len(line) + 1, f"line {seq} stands again after line {due - 1}"))
        else:
            if not (damage and damage[-1].offset + damage[-1].length == offset + start):
                damage.append(Damage(offset + start, 0, f"lines {due} to {seq - 1} are missing"))
            first = first if lines else seq
            lines.append(line)
            due = seq + 1
        start, stop = stop + 1, data.find(b"\n", stop + 1)
    return Scan(lines, first, due, offset + start, len(data) - start, damage)


def _verified(line: bytes) -> int | None:
    """Number of the line, or None where its checksum fails."""
    content = line[:-_TAIL]
    if line[-_TAIL:] != b',"crc":"%08x"}' % crc32(content):
        return None
    at = content.rfind(b',"seq":')
    number = content[at + 7 :]
    return int(number) if at > 0 and number.isdigit() and len(number) <= _DIGITS else None
