"""What a request is answered: OTLP's responses and `google.rpc.Status`, each as protobuf or as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from tele.telemetry.ingest.protobuf import Signal

__all__ = ["JSON", "PROTOBUF", "Answer", "Outcome", "Refused", "accepted", "refusal"]

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
MESSAGE_BYTES = 1000
"""A message for the client is not longer."""

_REJECTED: dict[Signal, str] = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 431: 8, 500: 13, 501: 12, 503: 14}
"""HTTP status to google.rpc.Code."""


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Refused(Exception):
    """A request that is not taken: HTTP status, why in one sentence, and further headers of the answer.

    Clients try again on 429 and 503 alone, so those are for what has nothing to do with the request itself.
    """

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def anew(self) -> Refused:
        """Return the same refusal without where it came from: that keeps in memory what the request held."""
        other = Refused(self.status, self.message)
        other.headers = self.headers
        return other


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the records of a request."""

    taken: int = 0
    """Rows that now stand in the store."""
    known: int = 0
    """Rows that stood there before: the request was sent again."""
    rejected: int = 0
    """Spans, log records or data points that cannot be read and are lost."""
    message: str = ""
    """Why some are, or what is odd about the request."""


def accepted(outcome: Outcome, signal: Signal, kind: str) -> Answer:
    """Answer a request that was taken, wholly or in part (opentelemetry.io/docs/specs/otlp, "Partial Success")."""
    message = _short(outcome.message)
    if kind == JSON:
        said: dict[str, str] = {_REJECTED[signal]: str(outcome.rejected)} if outcome.rejected else {}
        said |= {"errorMessage": message} if message else {}
        body = orjson.dumps({"partialSuccess": said} if said else {})
    else:
        partial = _varint_field(1, outcome.rejected) + _bytes_field(2, message.encode())
        body = _bytes_field(1, partial)
    return Answer(200, [("content-type", kind)], body)


def refusal(refused: Refused, kind: str) -> Answer:
    """Answer a request that was not taken."""
    code, message = _CODES.get(refused.status, 2), _short(refused.message)
    if kind == PROTOBUF:
        body = _varint_field(1, code) + _bytes_field(2, message.encode())
    else:
        body = orjson.dumps({"code": code, "message": message})
    return Answer(refused.status, [("content-type", kind), *refused.headers], body)


def _short(message: str) -> str:
    """Text that any encoding takes: what it quotes is the client's."""
    return message[:MESSAGE_BYTES].encode("utf-8", "replace").decode()


def _varint_field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + varint(value) if value else b""


def _bytes_field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(value)) + value if value else b""


def varint(value: int) -> bytes:
    """Give a number as protobuf's wire format has it."""
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004  # seven bits a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
