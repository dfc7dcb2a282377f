"""A large protobuf request as small ones: what is parsed at once stays small whatever a client sends.

A message of protobuf is a list of fields, so a request is cut between its spans (log records, metrics) without being
parsed; each piece repeats the resource and scope. What cannot be cut is counted before it is parsed: two bytes can say
an empty attribute, which takes a hundred in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tele.telemetry.collect.answer import Refused, varint
from tele.telemetry.ingest.protobuf import Signal, message

__all__ = ["Piece", "pieces"]

PIECE_BYTES = 256 * 1024
ITEM_BYTES = 8 * 1024 * 1024
"""A larger item, and each item of a larger resource or scope, is not taken: it would need several times as much."""
FIELDS = 250_000
"""Messages within a piece that could not be cut smaller."""

_GROUPS, _SCOPES, _ITEMS = 1, 2, 2
"""Numbers of the repeated fields: resources of a request, scopes of a resource, items of a scope."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BITS = 63
_DEPTH = 100


class Piece(NamedTuple):
    """A request by itself."""

    body: bytes | None
    """None where it is more than `ITEM_BYTES`."""
    items: int
    """Spans, log records or metrics in it."""


class _Malformed(ValueError):
    """The bytes are no protobuf."""


def pieces(body: bytes | bytearray, signal: Signal, most: int) -> Iterator[Piece]:
    """Cut an export request of up to `most` items; raises Refused where it is none, or a piece is too much to parse."""
    descriptor = message(signal).DESCRIPTOR
    try:
        for piece in _cut(memoryview(body), (_GROUPS, _SCOPES, _ITEMS)):
            if piece.body is not None and len(piece.body) > PIECE_BYTES:
                _count(memoryview(piece.body), descriptor, FIELDS)
            most -= piece.items
            if most < 0:
                raise Refused(413, "The request has too many items; send smaller batches.")
            yield piece
    except _Malformed as error:
        raise Refused(400, f"The body is no protobuf message: {error}.") from None


def _cut(view: memoryview, levels: tuple[int, ...]) -> Iterator[Piece]:
    """Give messages that together have the repeated fields of `view`, and each all its other fields."""
    if not levels:
        yield Piece(bytes(view) if len(view) <= ITEM_BYTES else None, 1)
        return
    head, parts = bytearray(), []
    for field in _fields(view):
        if field.number == levels[0] and field.kind == _LENGTH:
            parts.append(field)
        else:
            head += view[field.start : field.end]
    tag = varint(levels[0] << 3 | _LENGTH)
    room = max(PIECE_BYTES, len(head))  # a large head is not repeated more often than it must be
    group, items = bytearray(head), 0
    for part in parts:
        for inner in _cut(view[part.content : part.end], levels[1:]):
            if inner.body is None or len(head) > ITEM_BYTES:
                yield Piece(None, inner.items)
                continue
            framed = tag + varint(len(inner.body)) + inner.body
            if items and len(group) - len(head) + len(framed) > room:
                yield Piece(bytes(group), items)
                group, items = bytearray(head), 0
            group += framed
            items += inner.items
    if items:
        yield Piece(bytes(group), items)


class _Field(NamedTuple):
    number: int
    kind: int
    start: int
    content: int
    end: int


def _fields(view: memoryview) -> Iterator[_Field]:
    """Walk the fields of a message."""
    at, size = 0, len(view)
    while at < size:
        start = at
        tag, at = _varint(view, at)
        number, kind = tag >> 3, tag & 7
        content = at
        if kind == _LENGTH:
            length, content = _varint(view, at)
            at = content + length
        elif kind == _VARINT:
            _, at = _varint(view, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise _Malformed(f"field {number} is of the unknown wire type {kind}")
        if at > size or not number:
            raise _Malformed(f"field {number} is longer than what holds it" if number else "a field has the number 0")
        yield _Field(number, kind, start, content, at)


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    try:
        while True:
            byte = view[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  # the last byte of a number has its upper bit clear
                return value, at
            shift += 7
            if shift > _MOST_VARINT_BITS:
                raise _Malformed("a number has more than ten bytes")
    except IndexError:
        raise _Malformed("it ends within a number") from None


def _count(view: memoryview, descriptor: Any, left: int, depth: int = 0) -> int:
    """Count the messages within a message; give what is left of `left`, and raise Refused below 0."""
    if depth > _DEPTH:
        raise _Malformed(f"it is nested deeper than {_DEPTH} levels")
    known = descriptor.fields_by_number
    for field in _fields(view):
        left -= 1
        if left < 0:
            raise Refused(413, f"One item has more than {FIELDS:,} fields.")
        inner = known[field.number].message_type if field.kind == _LENGTH and field.number in known else None
        if inner is not None:
            left = _count(view[field.content : field.end], inner, left, depth + 1)
    return left
