"""Files of OTLP protobuf: one export request, or many with their length before each.

The OpenTelemetry Collector's file exporter writes four bytes of length, most significant first; Java's and Go's
delimited writers write a varint. Which signal a request carries is not said anywhere in it: the first span, log record
or metric tells by its own first field. A request is read group by group, so a large one needs the memory of its
largest group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tele.errors import BadInput
from tele.telemetry.ingest import protobuf
from tele.telemetry.ingest.opening import opened
from tele.telemetry.ingest.record import Place, Problem, Record
from tele.telemetry.ingest.wire import FIXED64, LENGTH, VARINT, WireError, fields, varint

__all__ = ["NAME", "read", "sniff"]

NAME = "otlp-protobuf"

MAX_GROUP = 256 << 20
"""Bytes of the largest request, or group of one, that is read."""
_GROUP = 0x0A
"""Tag of a request's groups: field 1, by length."""
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_KIND = 6
"""Number of a span's kind."""


def sniff(head: bytes) -> bool:
    """Say whether a file begins as a request in protobuf."""
    return _framing(head) is not None


def read(path: Path, place: Place) -> Iterator[Record | Problem]:
    """Give the records of a file; what is cut off or damaged becomes a Problem."""
    with opened(path) as stream:
        framing = _framing(stream.read(1 << 16))
    if framing is None:
        yield place.problem("is no OTLP in protobuf")
        return
    with opened(path) as stream:
        groups = _groups_of_one(stream, place) if framing == "bare" else _messages(stream, framing, place)
        for number, item in enumerate(groups):
            if isinstance(item, Problem):
                yield item
            else:
                yield from _records(item, place.at(f"{'group' if framing == 'bare' else 'message'} {number + 1}"))


def _records(body: bytes, place: Place) -> Iterator[Record | Problem]:
    signal = _signal(body)
    if signal is None:
        if body:
            yield place.problem("holds no span, log record or metric")
        return
    try:
        yield from protobuf.records(body, signal, place)
    except BadInput as error:
        yield place.problem(str(error))


# What stands in the file


def _framing(head: bytes) -> str | None:
    """Tell how requests follow each other: `bare` (one alone), `collector` or `varint`; None for no request."""
    if _is_request(head):
        return "bare"
    size = int.from_bytes(head[:4], "big")
    if 0 < size <= MAX_GROUP and _is_request(head[4 : 4 + size]):
        return "collector"
    try:
        size, at = varint(head, 0)
    except WireError:
        return None
    return "varint" if 0 < size <= MAX_GROUP and _is_request(head[at : at + size]) else None


def _is_request(head: bytes) -> bool:
    return head[:1] == bytes([_GROUP]) and _signal(head) is not None


def _signal(body: bytes) -> protobuf.Signal | None:
    """Tell the signal of a request by the first item in it; `body` may be cut off behind that."""
    for scope in _inner(body, 1):
        for item in _inner(scope, 2):
            for one in _inner(item, 2):
                found = _of_item(one)
                if found is not None:
                    return found
    return None


def _inner(data: bytes, number: int) -> Iterator[bytes]:
    """Give a message's messages under one number, the last of which may be cut off."""
    at = 0
    try:
        while at < len(data):
            tag, at = varint(data, at)
            if tag & 7 != LENGTH or tag >> 3 == 0:
                return
            size, at = varint(data, at)
            if tag >> 3 == number:
                yield data[at : at + size]
            at += size
    except WireError:
        return


def _of_item(item: bytes) -> protobuf.Signal | None:
    """Tell a span, a log record and a metric apart by the fields that only one of them has."""
    seen: dict[int, int | bytes] = {}
    try:
        for number, kind, value in fields(item):
            if not seen and (kind == FIXED64 or number > 1):  # a log's time comes first, and it may have none
                return "logs"
            if (number == _KIND and kind == VARINT) or (number in {7, 8} and kind == FIXED64):
                return "traces"
            if number in {7, 9, 10, 11} and kind == LENGTH:
                return "metrics"
            seen[number] = value
    except WireError:
        pass
    one, two = seen.get(1), seen.get(2)
    if not isinstance(one, bytes):
        return None
    ids = len(one) == _TRACE_ID_BYTES and isinstance(two, bytes) and len(two) == _SPAN_ID_BYTES
    # a metric may have a name and a description of just these lengths, and those are text
    return "traces" if ids and not (one.isascii() and one.decode().isprintable()) else "metrics"


# Requests, one after another


def _messages(stream: IO[bytes], framing: str, place: Place) -> Iterator[bytes | Problem]:
    number = 0
    while (size := _length(stream, framing)) is not None:
        number += 1
        here = place.at(f"message {number}")
        if size < 0:
            yield here.problem("the file ends within a length: it is cut off")
            return
        if size > MAX_GROUP:
            yield here.problem(f"is above {MAX_GROUP >> 20} MiB, or its length is damaged")
            return
        body = stream.read(size)
        if len(body) < size:
            yield here.problem("the file ends within a message: it is cut off")
            return
        yield body


def _length(stream: IO[bytes], framing: str) -> int | None:
    """Give the next length; None at the end, -1 where it is cut off."""
    if framing == "collector":
        head = stream.read(4)
        return None if not head else (int.from_bytes(head, "big") if len(head) == 4 else -1)  # noqa: PLR2004
    data = b""
    while byte := stream.read(1):
        data += byte
        if byte[0] < 0x80 or len(data) > 9:  # noqa: PLR2004  # the bit that says that more follows
            return varint(data, 0)[0] if byte[0] < 0x80 else -1  # noqa: PLR2004
    return -1 if data else None


def _groups_of_one(stream: IO[bytes], place: Place) -> Iterator[bytes | Problem]:
    """Give each group of one bare request as a request of its own."""
    number = 0
    while tag := stream.read(1):
        number += 1
        here = place.at(f"group {number}")
        size = _length(stream, "varint")
        if tag[0] != _GROUP or size is None or size < 0 or size > MAX_GROUP:
            yield here.problem("is no group of a request, or the file is cut off")
            return
        body = stream.read(size)
        if len(body) < size:
            yield here.problem("the file ends within a group: it is cut off")
            return
        yield tag + _varint_bytes(size) + body


def _varint_bytes(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004  # seven bits in each byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
