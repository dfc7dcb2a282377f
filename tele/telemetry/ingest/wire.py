"""Protocol Buffers' wire format, as far as files need it: the fields of a message, one after another.

Formats whose messages no light library has (TensorBoard's events), and what tells one OTLP request from another, are
read with it (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "FIXED32",
    "FIXED64",
    "LENGTH",
    "VARINT",
    "Field",
    "WireError",
    "double",
    "fields",
    "first",
    "signed",
    "varint",
]

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_MOST_BYTES = 10
"""Bytes of the longest varint."""


class WireError(ValueError):
    """Bytes that are no message."""


class Field(NamedTuple):
    """One field as it stands: its value is an integer, or the bytes of a string, a message or a packed list."""

    number: int
    kind: int
    value: int | bytes


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Give the integer that begins at `at`, and where the next thing begins. Raises WireError where it is cut off."""
    value = shift = 0
    for end in range(at, min(at + _MOST_BYTES, len(data))):
        byte = data[end]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the bit that says that more follows
            return value, end + 1
        shift += 7
    raise WireError("a number is cut off")


def fields(data: bytes) -> Iterator[Field]:
    """Give the fields of a message. Raises WireError behind the last that is whole."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError("a field has the number 0")
        value: int | bytes
        if kind == VARINT:
            value, at = varint(data, at)
        elif kind in {FIXED64, FIXED32, LENGTH}:
            size, at = varint(data, at) if kind == LENGTH else ((8 if kind == FIXED64 else 4), at)
            if at + size > end:
                raise WireError(f"field {number} is cut off")
            value = data[at : at + size]
            at += size
        else:
            raise WireError(f"field {number} is of the unknown kind {kind}")
        yield Field(number, kind, value)


def first(data: bytes, number: int) -> int | bytes | None:
    """Give the first value of one field of a message, or None."""
    return next((field.value for field in fields(data) if field.number == number), None)


def signed(value: int | bytes) -> int:
    """Give an integer that was written as a varint of 64 bits in two's complement."""
    if isinstance(value, bytes):
        raise WireError("a number was written as bytes")
    return value - (1 << 64) if value >> 63 else value


def double(value: int | bytes) -> float:
    """Give a float of 32 or 64 bits."""
    if isinstance(value, int) or len(value) not in {4, 8}:
        raise WireError("a float was written as something else")
    (number,) = struct.unpack("<f" if len(value) == 4 else "<d", value)  # noqa: PLR2004  # bytes of a float
    return float(number)
