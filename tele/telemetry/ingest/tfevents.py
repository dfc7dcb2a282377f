"""TensorBoard's event files: TFRecord frames around `Event` messages, read without TensorFlow.

A frame is a length, the masked CRC-32C of it, the data and the masked CRC-32C of that. Scalars become metrics with
their step; the run is the folder that holds the file, as TensorBoard has it. Histograms keep their summary and
buckets, images and audio what describes them and not their bytes. A file that is still written ends within a frame:
what is whole is read (field numbers from tensorboard/compat/proto).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tele.telemetry.ingest.opening import opened
from tele.telemetry.ingest.record import Place, Problem, Record, event_record, without_empty
from tele.telemetry.ingest.wire import FIXED32, LENGTH, VARINT, WireError, double, fields, signed, varint

__all__ = ["NAME", "crc32c", "read", "sniff"]

NAME = "tfevents"

MAX_FRAME = 256 << 20
"""Bytes of the largest event that is read."""
_MASK = 0xA282EAD8
_WALL_TIME, _STEP, _SUMMARY, _LOG, _SESSION = 1, 2, 5, 6, 7
_OTHERS = frozenset({4, _LOG, _SESSION, 8, 9})
"""Besides these: graphs. The file's version (3) and who wrote it (10) say nothing of the run."""
_TAG, _SIMPLE, _IMAGE, _HISTOGRAM, _AUDIO, _TENSOR, _METADATA = 1, 2, 4, 5, 6, 8, 9
_FLOAT, _DOUBLE, _INT32, _STRING, _INT64, _BOOL = 1, 2, 3, 7, 9, 10
_FORMATS = {_FLOAT: "f", _DOUBLE: "d", _INT32: "i", _INT64: "q", _BOOL: "?"}
_VALUES = {5: "f", 6: "d"}
"""Numbers of the tensor's fields of floats and doubles, and how each is packed."""
_INTEGERS = frozenset({7, 10, 11})


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`."""
    crc = 0xFFFFFFFF
    table = _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def sniff(head: bytes) -> bool:
    """Say whether a file begins with a frame whose length is checked."""
    return len(head) >= 12 and _masked(head[:8]) == int.from_bytes(head[8:12], "little")  # noqa: PLR2004


def read(path: Path, place: Place) -> Iterator[Record | Problem]:
    """Give the records of a file; damaged frames become Problems."""
    run = path.resolve().parent.name or None
    with opened(path) as stream:
        number = 0
        for item in _frames(stream, place):
            if isinstance(item, Problem):
                yield item
                continue
            number += 1
            try:
                yield from _event(item, run)
            except WireError as error:
                yield place.at(f"record {number}").problem(f"is no event: {error}")


def _frames(stream: IO[bytes], place: Place) -> Iterator[bytes | Problem]:
    """Give the data of each frame; behind a damaged length nothing can be found any more."""
    number = 0
    while head := stream.read(12):
        number += 1
        here = place.at(f"record {number}")
        size = int.from_bytes(head[:8], "little")
        if len(head) < 12:  # noqa: PLR2004  # length and its checksum
            yield here.problem("the file ends within a record: it is cut off or still written")
            return
        if _masked(head[:8]) != int.from_bytes(head[8:], "little"):
            yield here.problem("its length is damaged: what follows cannot be found")
            return
        if size > MAX_FRAME:
            yield here.problem(f"is above {MAX_FRAME >> 20} MiB")
            return
        data, end = stream.read(size), stream.read(4)
        if len(data) < size or len(end) < 4:  # noqa: PLR2004  # a checksum
            yield here.problem("the file ends within a record: it is cut off or still written")
            return
        if _masked(data) != int.from_bytes(end, "little"):
            yield here.problem("its checksum does not fit: it is left out")
        else:
            yield data


def _event(data: bytes, run: str | None) -> Iterator[Record]:
    about: Record = {"run_id": run, "step": 0}
    parts = []
    for number, kind, value in fields(data):
        if number == _WALL_TIME:
            about["start_ns"] = _nanoseconds(double(value))
        elif number == _STEP and kind == VARINT:
            about["step"] = signed(value)
        elif kind == LENGTH and isinstance(value, bytes):
            parts.append((number, value))
    for number, part in parts:
        if number == _SUMMARY:
            for one, kind, value in fields(part):
                if one == 1 and kind == LENGTH and isinstance(value, bytes):
                    yield without_empty({**_value(value), **about})
        elif number in _OTHERS:
            yield without_empty({**_other(number, part), **about})


def _nanoseconds(seconds: float) -> int | None:
    """Give an instant from seconds, of which a float holds microseconds; None where there is none."""
    known = math.isfinite(seconds) and 0 < seconds < 9e9  # noqa: PLR2004  # what fits 64 bits of nanoseconds
    return round(seconds * 1e6) * 1000 if known else None


def _other(number: int, part: bytes) -> Record:
    """Give what is no summary: a message of the program, or a graph, of which the size alone is kept."""
    if number in {_LOG, _SESSION}:
        texts = {n: v.decode("utf-8", "replace") for n, _, v in fields(part) if isinstance(v, bytes)}
        said = {"tensorboard.message": texts.get(2 if number == _LOG else 3), "tensorboard.checkpoint": texts.get(0)}
        return _point("tensorboard.log" if number == _LOG else "tensorboard.session", said)
    return _point("tensorboard.graph", {"tensorboard.bytes_left_out": len(part)})


def _point(name: str, said: dict[str, Any]) -> Record:
    return event_record(
        name=name, start_ns=0, trace_id=None, span_id=None, attributes=said, otel={"otel.source": "tensorboard"}
    )


def _value(data: bytes) -> Record:
    """Give the row of one tag: a metric, or an event where it is text."""
    said = {number: (kind, value) for number, kind, value in fields(data)}
    tag = _bytes(said, _TAG).decode("utf-8", "replace")
    record: Record = {"kind": "metric", "name": tag or None}
    attributes: dict[str, Any] = _metadata(_bytes(said, _METADATA))
    if _SIMPLE in said and said[_SIMPLE][0] == FIXED32:
        record["value"] = _finite(double(said[_SIMPLE][1]), attributes)
    elif _TENSOR in said:
        _tensor(_bytes(said, _TENSOR), record, attributes)
    elif _HISTOGRAM in said:
        attributes["tensorboard.histogram"] = _histogram(_bytes(said, _HISTOGRAM))
    elif _IMAGE in said or _AUDIO in said:
        media = _bytes(said, _IMAGE if _IMAGE in said else _AUDIO)
        attributes["tensorboard.media"] = _media(media, "image" if _IMAGE in said else "audio")
    record["attributes"] = {**attributes, "otel.source": "tensorboard"}
    return record


def _bytes(said: dict[int, tuple[int, int | bytes]], number: int) -> bytes:
    value = said.get(number, (LENGTH, b""))[1]
    return value if isinstance(value, bytes) else b""


def _finite(value: float, attributes: dict[str, Any]) -> float | None:
    """JSON has no NaN: the row keeps it as text and has no value."""
    if math.isfinite(value):
        return value
    attributes["tensorboard.value"] = str(value)
    return None


def _metadata(data: bytes) -> dict[str, Any]:
    """Give which plugin wrote a tag, its title and what it is about."""
    found: dict[str, Any] = {}
    for number, kind, value in fields(data):
        if kind != LENGTH or not isinstance(value, bytes):
            continue
        if number == 1:
            plugin = next((v for n, _, v in fields(value) if n == 1 and isinstance(v, bytes)), b"")
            found["tensorboard.plugin"] = plugin.decode("utf-8", "replace")
        elif number in {2, 3}:
            text = value.decode("utf-8", "replace")
            found["tensorboard.title" if number == 2 else "tensorboard.description"] = text  # noqa: PLR2004
    return {key: value for key, value in found.items() if value}


def _tensor(data: bytes, record: Record, attributes: dict[str, Any]) -> None:
    """Take a tensor's numbers or texts: one number is the value, texts make the row an event."""
    numbers, texts, type_ = _tensor_items(data)
    if type_ == _STRING:
        record |= {"kind": "event", "output": texts[0] if len(texts) == 1 else texts}
    elif len(numbers) == 1:
        record["value"] = _finite(float(numbers[0]), attributes)
    else:
        attributes["tensorboard.tensor"] = [n if math.isfinite(n) else str(n) for n in numbers[:1000]]
        if len(numbers) > 1000:  # noqa: PLR2004
            attributes["tensorboard.tensor_length"] = len(numbers)


def _tensor_items(data: bytes) -> tuple[list[float], list[str], int]:
    type_, numbers, texts = 0, [], []
    for number, kind, value in fields(data):
        if number == 1 and isinstance(value, int):
            type_ = value
        elif number == 4 and isinstance(value, bytes):  # noqa: PLR2004  # tensor_content
            numbers += _unpacked(value, _FORMATS.get(type_))
        elif number in _VALUES:
            numbers += _unpacked(value, _VALUES[number]) if kind == LENGTH else [double(value)]
        elif number in _INTEGERS:
            numbers += _packed_integers(value) if isinstance(value, bytes) else [signed(value)]
        elif number == 8 and isinstance(value, bytes):  # noqa: PLR2004  # string_val
            texts.append(value.decode("utf-8", "replace"))
    return numbers, texts, type_


def _unpacked(value: int | bytes, format_: str | None) -> list[float]:
    if format_ is None or not isinstance(value, bytes):
        return []
    count = len(value) // struct.calcsize(f"<{format_}")
    return list(struct.unpack_from(f"<{count}{format_}", value))


def _packed_integers(data: bytes) -> list[float]:
    found: list[float] = []
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(signed(value))
    return found


def _histogram(data: bytes) -> dict[str, Any]:
    names = {1: "min", 2: "max", 3: "num", 4: "sum", 5: "sum_squares", 6: "bucket_limit", 7: "bucket"}
    found: dict[str, Any] = {}
    for number, kind, value in fields(data):
        name = names.get(number)
        if name is None:
            continue
        values = _unpacked(value, "d") if kind == LENGTH else [double(value)]
        shown = [n if math.isfinite(n) else str(n) for n in values]
        if number < 6:  # noqa: PLR2004  # the first five are one number each
            found[name] = shown[0] if shown else None
        else:
            found.setdefault(name, []).extend(shown)
    return found


def _media(data: bytes, kind: str) -> dict[str, Any]:
    names = {1: "height", 2: "width"} if kind == "image" else {2: "channels", 3: "frames"}
    found: dict[str, Any] = {"kind": kind}
    for number, _, value in fields(data):
        if isinstance(value, int) and number in names:
            found[names[number]] = value
        elif number == 4 and isinstance(value, bytes):  # noqa: PLR2004  # the encoded bytes
            found["bytes_left_out"] = len(value)
    return found
