"""A JSON request as documents that are small enough to parse.

Parsed JSON takes many times its length in memory, so a large request is cut between its spans (log records, metrics),
as `pieces` does with protobuf: one scan finds where they begin and end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from tele.telemetry.collect.answer import Refused
from tele.telemetry.collect.pieces import ITEM_BYTES, PIECE_BYTES
from tele.telemetry.ingest.protobuf import Signal

__all__ = ["astray", "documents", "of_signal"]

WHOLE_BYTES = 32 * 1024 * 1024
"""What a document may take in memory, nearly, to be parsed as it is; an item by itself may take twice as much."""
_PER_VALUE = 120
"""Bytes of an object, a list or a member, with what points to it."""
_LEVELS: dict[Signal, tuple[tuple[bytes, ...], ...]] = {
    "traces": ((b"resourceSpans",), (b"scopeSpans", b"instrumentationLibrarySpans"), (b"spans",)),
    "logs": ((b"resourceLogs",), (b"scopeLogs", b"instrumentationLibraryLogs"), (b"logRecords",)),
    "metrics": ((b"resourceMetrics",), (b"scopeMetrics", b"instrumentationLibraryMetrics"), (b"metrics",)),
}
"""Names of the lists on the way to an item; the longer ones are those of OTLP 0.x."""
DEPTH = 1000
"""Brackets that may be open at once: the parser takes 1024."""
OPENED = 2 * WHOLE_BYTES // _PER_VALUE
"""Objects and lists within one item."""
_ITEMS_AT = 6
"""Brackets that are open around an item: request, list, resource, list, scope, list."""
# A string that never ends is one match up to the end: else each quote within would be tried anew.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)


class Document(NamedTuple):
    """A part of a request."""

    value: dict[str, Any] | None
    """None where it is more than `ITEM_BYTES`."""
    items: int
    """Spans, log records or metrics in it; 0 where it is the whole request."""


def documents(body: bytearray, signal: Signal, most: int) -> Iterator[Document]:
    """Give the documents of an export request in JSON; one that is cut has up to `most` items.

    Raises Refused before the first one where any of them is no JSON or too much to parse.
    """
    if not body or body.isspace():
        return
    if _weight(body) <= WHOLE_BYTES:
        yield Document(_parsed(body), 0)
        return
    groups = _scanned(body, _LEVELS[signal], most)
    for piece in _pieces(body, groups, _LEVELS[signal][0][0]):
        if piece.text is not None:
            _parsed(piece.text)
    for piece in _pieces(body, groups, _LEVELS[signal][0][0]):
        yield Document(_parsed(piece.text) if piece.text is not None else None, piece.items)


def of_signal(document: dict[str, Any], signal: Signal) -> dict[str, Any]:
    """Give what of a document is of `signal`; the rest is an unknown field, which OTLP has receivers ignore."""
    name = _LEVELS[signal][0][0].decode()
    return {name: document[name]} if name in document else {}


def astray(document: dict[str, Any], signal: Signal) -> str:
    """Say where what is ignored would belong; empty where nothing is."""
    for other, levels in _LEVELS.items():
        if other != signal and (name := levels[0][0].decode()) in document:
            return f"{name} is not taken here: send it to /v1/{other}."
    return ""


def _weight(text: bytearray | bytes) -> int:
    return len(text) * 2 + _PER_VALUE * sum(text.count(mark) for mark in (b"{", b"[", b","))


def _parsed(text: bytearray | bytes) -> dict[str, Any]:
    if _weight(text) > 2 * WHOLE_BYTES:
        raise Refused(413, "One item's JSON takes too much memory; send smaller ones, or protobuf.")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"The body is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise Refused(400, "The body is not a JSON object.")
    return document


class _Piece(NamedTuple):
    text: bytes | None
    items: int


@dataclass(slots=True)
class _Run:
    """Neighbouring items."""

    start: int
    end: int = 0
    items: int = 0


@dataclass(slots=True)
class _Group:
    """An object with a list in it: where both begin and end."""

    start: int
    list_start: int = 0
    list_end: int = 0
    end: int = 0
    inner: list[_Group] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)


def _pieces(body: bytearray, groups: list[_Group], name: bytes) -> Iterator[_Piece]:
    """Give documents of one scope each, with some of its items and all else that is said of it and its resource."""
    for group in groups:
        before, after = bytes(body[group.start : group.list_start + 1]), bytes(body[group.list_end : group.end])
        for scope in group.inner:
            head = b'{"%b":[%b%b' % (name, before, bytes(body[scope.start : scope.list_start + 1]))
            tail = b"%b%b]}" % (bytes(body[scope.list_end : scope.end]), after)
            for run in _joined(scope.runs, max(PIECE_BYTES, len(head) + len(tail))):
                large = max(run.end - run.start, len(head) + len(tail)) > ITEM_BYTES
                yield _Piece(None if large else head + body[run.start : run.end] + tail, run.items)


def _joined(runs: list[_Run], size: int) -> Iterator[_Run]:
    """Join runs up to `size` bytes: a large head is not repeated more often than it must be."""
    whole: _Run | None = None
    for run in runs:
        if whole is None or run.end - whole.start > size:
            if whole is not None:
                yield whole
            whole = _Run(run.start)
        whole.end, whole.items = run.end, whole.items + run.items
    if whole is not None:
        yield whole


def _scanned(body: bytearray, levels: tuple[tuple[bytes, ...], ...], most: int) -> list[_Group]:
    """Find the resources, their scopes and runs of items; raises Refused where the brackets do not match."""
    scan = _Scan(levels, most)
    if not re.match(rb"\s*\{", body):
        raise Refused(400, "The body is not a JSON object.")
    for token in _TOKEN.finditer(body):
        at = token.start()
        mark = body[at]
        if mark == 0x22:  # noqa: PLR2004  # a quote
            if scan.depth == scan.path:
                scan.key = token
        elif mark in b"{[":
            scan.open(at, mark == 0x5B)  # noqa: PLR2004  # [
        else:
            scan.close(at)
    if scan.depth:
        raise Refused(400, "The body is not JSON: it ends too soon.")
    return scan.groups


class _Scan:
    """Which brackets are open: `depth` of them, of which the first `path` lead from the request to an item."""

    def __init__(self, levels: tuple[tuple[bytes, ...], ...], most: int) -> None:
        self.groups: list[_Group] = []
        self.depth = self.path = 0
        self.key: re.Match[bytes] | None = None
        self._levels = levels
        self._left = most
        self._opened = self._begun = 0

    def open(self, at: int, is_list: bool) -> None:
        """Go into an object or a list that begins at `at`."""
        if self.depth == self.path and self.path <= _ITEMS_AT:
            if self.path == _ITEMS_AT:
                self._item(at)
            elif is_list == bool(self.path % 2) and (not is_list or self._named()):
                self._enter(at)
        self.depth += 1
        self._opened += 1
        if self.depth > DEPTH:
            raise Refused(400, f"The body's JSON is nested deeper than {DEPTH} levels.")
        if self._opened > OPENED:
            raise Refused(413, f"One item has more than {OPENED:,} objects; send smaller ones.")

    def close(self, at: int) -> None:
        """Leave what ends at `at`."""
        self.depth -= 1
        if self.depth < 0:
            raise Refused(400, "The body is not JSON: it closes more than it opens.")
        if self.depth == self.path == _ITEMS_AT:
            self._item_ends(at + 1)
        elif self.depth < self.path:
            self._leave(at)
            self.path = self.depth

    def _named(self) -> bool:
        return self.key is not None and self.key[0][1:-1] in self._levels[self.path // 2]

    def _enter(self, at: int) -> None:
        if self.path == 2:  # noqa: PLR2004  # in the list of resources
            self.groups.append(_Group(at))
        elif self.path == 4:  # noqa: PLR2004  # in the list of scopes
            self.groups[-1].inner.append(_Group(at))
        elif self.path == 3:  # noqa: PLR2004  # in a resource
            self.groups[-1].list_start = at
        elif self.path == 5:  # noqa: PLR2004  # in a scope
            self._scope.list_start = at
        self.path += 1

    def _leave(self, at: int) -> None:
        if self.path == 6:  # noqa: PLR2004  # the list of items ends, and so on outwards
            self._scope.list_end = at
        elif self.path == 5:  # noqa: PLR2004
            self._scope.end = at + 1
        elif self.path == 4:  # noqa: PLR2004
            self.groups[-1].list_end = at
        elif self.path == 3:  # noqa: PLR2004
            self.groups[-1].end = at + 1

    def _item(self, at: int) -> None:
        self._opened, self._begun = 0, at
        self._left -= 1
        if self._left < 0:
            raise Refused(413, "The request has too many items; send smaller batches.")
        runs = self._scope.runs
        if not runs or at - runs[-1].start > PIECE_BYTES:
            runs.append(_Run(at))

    def _item_ends(self, end: int) -> None:
        runs = self._scope.runs
        if end - self._begun > ITEM_BYTES and runs[-1].items:  # it stands alone: its neighbours are taken
            runs.append(_Run(self._begun))
        runs[-1].end, runs[-1].items = end, runs[-1].items + 1

    @property
    def _scope(self) -> _Group:
        return self.groups[-1].inner[-1]
