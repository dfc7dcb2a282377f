"""An OTLP JSON document as the bytes of its request: protobuf or JSON. The inverse of `ingest.protobuf.document`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import orjson

from tele.telemetry.ingest import protobuf
from tele.telemetry.ingest.protobuf import Signal

__all__ = ["PROTOCOLS", "Protocol", "encoded"]

Protocol = Literal["http/protobuf", "http/json"]
PROTOCOLS: dict[str, str] = {"http/protobuf": "application/x-protobuf", "http/json": "application/json"}
"""Name of the protocol to the content type of its requests."""


def encoded(document: dict[str, Any], signal: Signal, protocol: Protocol) -> bytes:
    """Give the body of an export request; raises BadInput where opentelemetry-proto is wanted and not installed."""
    if protocol == "http/json":
        return orjson.dumps(document)
    message = protobuf.message(signal)
    _fill(message, document)
    return bytes(message.SerializeToString())


def _fill(message: Any, document: dict[str, Any]) -> None:
    fields = _fields(message.DESCRIPTOR)
    for name, value in document.items():
        if name not in fields:  # a field of a later version, which came as JSON
            continue
        field, read = fields[name]
        if read is None and isinstance(value, list):
            repeated = getattr(message, field)
            for item in value:
                _fill(repeated.add(), item)
        elif read is None:
            inner = getattr(message, field)
            inner.SetInParent()
            _fill(inner, value)
        elif isinstance(value, list):
            getattr(message, field).extend(read(item) for item in value)
        else:
            setattr(message, field, read(value))


@cache
def _fields(descriptor: Any) -> dict[str, tuple[str, Callable[[Any], Any] | None]]:
    """JSON name to the field's own and how its value is read; None where it is a message."""
    return {field.json_name: (field.name, _reader(field)) for field in descriptor.fields}


def _reader(field: Any) -> Callable[[Any], Any] | None:
    if field.cpp_type == field.CPPTYPE_MESSAGE:
        return None
    if field.type == field.TYPE_BYTES:
        return bytes.fromhex if field.name in protobuf.IDS else base64.b64decode
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return float
    if field.cpp_type in (field.CPPTYPE_BOOL, field.CPPTYPE_STRING):
        return _same
    return int


def _same(value: Any) -> Any:
    return value
