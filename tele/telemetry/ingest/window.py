"""One JSON document of any size: what is small of it in memory, its long lists read from the file as they are walked.

The document is scanned once. The lists that formats keep their spans in (`LONG`) are left in the file: each becomes a
`LazyList`, which knows where it begins, how many items it has, and its first few. Everything else is parsed as it
stands. Walking a lazy list reads its items again, one at a time, by the same decoder as a small document's: a reader
does not notice which of the two it has.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, NamedTuple, SupportsIndex, overload

from tele.telemetry.ingest.opening import unpacking_errors

__all__ = ["LONG", "MAX_ITEM_BYTES", "LazyList", "Long", "NotJson", "Open", "held", "long_documents"]

STEP = 1 << 20
"""Characters that are read at once."""
BIG_DOCUMENT = 4 << 20
"""A document below this is parsed whole."""
BIG_ITEM = 4 << 20
"""An item of a long list above this is not held whole where it has long lists of its own."""
MAX_ITEM_BYTES = 64 << 20
"""A single value that has no long list in it is held in memory, up to this."""
MAX_RESTARTS = 1000
"""How often reading begins anew behind malformed JSON before a file is given up."""
HEAD = 10
"""Items of a long list that stay in memory, to tell its format."""
_CUT = 16
"""Characters before the end of the window in which an error may come from the cut: the longest literal or escape."""
_SPACE = " \t\r\n\ufeff"
_DECODER = json.JSONDecoder()

Open = Callable[[], AbstractContextManager[IO[bytes]]]
"""Opens the bytes of the document, unpacked, at their beginning."""


def _of_otlp(root: str) -> set[str]:
    scopes = {f"{root}.item.{name}" for name in _SCOPES}
    items = {f"{scope}.item.{name}" for scope in scopes for name in ("spans", "logRecords", "metrics")}
    points = {f"{scope}.item.metrics.item.{kind}.dataPoints" for scope in scopes for kind in _POINTS}
    return {root} | scopes | items | points


_SCOPES = ("scopeSpans", "instrumentationLibrarySpans", "scopeLogs", "scopeMetrics")
_POINTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
LONG = frozenset(
    {"", "data", "data.item.spans", "item.spans", "spans", "traceEvents", "observations", "trace.observations"}
    | {"samples", "samples.item.events", "events"}
    | _of_otlp("resourceSpans")
    | _of_otlp("resourceLogs")
    | _of_otlp("resourceMetrics")
    | _of_otlp("batches")
    | _of_otlp("trace.resourceSpans")
)
"""Where lists may be long: keys from the document's top with a dot between, `item` for any item of a list."""
_ON_THE_WAY = frozenset(".".join(path.split(".")[:depth]) for path in LONG for depth in range(path.count(".") + 2))


class NotJson(ValueError):
    """The document is malformed or cut off; `where` names line and column."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.where = where


class LazyList(list[Any]):
    """A list whose items lie in the file; only its first few are in memory, and only walking it gives all."""

    def __init__(self, open_: Open, start: int) -> None:
        super().__init__()
        self._open, self._start = open_, start
        self._count = 0
        self._big: dict[int, tuple[Any, int]] = {}

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return self._count > 0

    @overload
    def __getitem__(self, at: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        """Give of the first items what is asked for."""
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[Any]:
        done, start = 0, self._start
        while done < self._count:
            if done in self._big:
                item, start = self._big[done]
                yield item
                done += 1
                continue
            with self._open() as stream:
                window = _Window(stream, start)
                while done < self._count and done not in self._big:
                    window.space(",")
                    yield window.value("item", MAX_ITEM_BYTES)
                    done += 1

    def found(self, item: Any, end: int | None = None) -> None:
        """Count an item; `end` is where one that is not held whole ends, in bytes."""
        if end is not None:
            self._big[self._count] = (item, end)
        if self._count < HEAD:
            self.append(item)
        self._count += 1


def held(value: Any) -> Any:
    """Give a value with its lazy lists in memory, for what is to be written as it stands."""
    if isinstance(value, dict):
        return {key: held(item) for key, item in value.items()}
    return [held(item) for item in value] if isinstance(value, LazyList) else value


class Long(NamedTuple):
    """A document as it was scanned."""

    value: Any
    line: int
    """Line in which it begins."""
    broken: NotJson | None
    """Why what stands behind could not be read; the value holds what is whole of it, or is None."""


def long_documents(open_: Open, start: int = 0, line: int = 1) -> Iterator[Long]:
    """Give the documents from byte `start` on, one after another.

    Behind a malformed one it goes on at the next line that begins an object.
    """
    with open_() as stream:
        window = _Window(stream, start, line)
        for _ in range(MAX_RESTARTS):
            try:
                while window.space(","):
                    scan = _Scan(open_, window)
                    begins, value = window.line(), scan.document()
                    yield Long(value, begins, scan.broken)
                    if scan.broken:
                        break
                if not window.skip("\n{"):
                    return
            except NotJson as error:
                yield Long(None, window.line(), error)
                return


class _Window:
    """The text of a stream, of which only what is needed is held."""

    def __init__(self, stream: IO[bytes], start: int = 0, line: int = 1) -> None:
        _forward(stream, start)
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._start = start  # byte of the text's first character
        self._line = line  # line of the text's first character
        self._column = 0  # characters of that line before it
        self._ended = False

    def more(self) -> bool:
        """Read on; what lies behind is let go. False at the end; raises NotJson where no text can be had."""
        if self._ended:
            return False
        try:
            data = self._stream.read(STEP)
            text = self._decoder.decode(data, final=not data)
        except unpacking_errors as error:
            self._ended = True
            raise NotJson(f"cannot be read on: {error or type(error).__name__}", self.where()) from error
        except UnicodeDecodeError as error:
            self._ended = True
            raise NotJson("is not UTF-8 text from here on", self.where()) from error
        self._ended = not data
        if not text:
            return not self._ended
        gone = self._text[: self._at]
        self._start += len(gone.encode())
        self._line += gone.count("\n")
        self._column = self._column + len(gone) if "\n" not in gone else len(gone) - gone.rfind("\n") - 1
        self._text = self._text[self._at :] + text
        self._at = 0
        return True

    def line(self) -> int:
        """Give the number of the line that it stands in."""
        return self._line + self._text.count("\n", 0, self._at)

    def where(self, at: int | None = None) -> str:
        """Give line and column of a character of the window; where it stands if none is named."""
        at = self._at if at is None else at
        line = self._line + self._text.count("\n", 0, at)
        begins = self._text.rfind("\n", 0, at)
        return f"line {line} column {at + self._column + 1 if begins < 0 else at - begins}"

    def byte(self) -> int:
        """Give how many bytes of the stream lie behind."""
        return self._start + len(self._text[: self._at].encode())

    def space(self, also: str = "") -> str:
        """Go on to what is no white space, and give it; "" at the end."""
        skipped = _SPACE + also
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in skipped:
                    return self._text[self._at]
                self._at += 1
            if not self.more():
                return ""

    def skip(self, to: str) -> bool:
        """Go on to where `to` begins; False where it does not come."""
        while (found := self._text.find(to, self._at)) < 0:
            self._at = max(self._at, len(self._text) - len(to))
            if not self.more():
                return False
        self._at = found
        return True

    def take(self, expected: str) -> None:
        """Go behind one character; raises NotJson for another."""
        found = self.space()
        if found != expected:
            cut = "" if found else " (the file ends within a value: it is cut off)"
            raise NotJson(f"is not JSON: Expecting {expected!r}{cut}", self.where())
        self._at += 1

    def value(self, what: str, limit: int) -> Any:
        """Parse the value that begins here; raises NotJson where it is none, is cut off, or is above the limit."""
        self.space()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                self._read_on(error, what, limit)
                continue
            except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
                raise NotJson(f"is not JSON that can be read: {error}", self.where()) from error
            whole = self._text[end - 1] in '"}]'
            if not whole and end > len(self._text) - _CUT and self.more():
                continue  # a number that the end of the window may have cut
            self._at = end
            return found

    def _read_on(self, error: json.JSONDecodeError, what: str, limit: int) -> None:
        """Have more of a value that the window cuts; raises where that is not what is wrong, or it is too large."""
        held = len(self._text) - self._at
        near = error.pos >= len(self._text) - _CUT or error.msg.startswith("Unterminated string")
        if near and held > limit:
            raise _TooLarge(f"holds one value above {limit >> 20} MiB ({what or 'the document'})", self.where())
        where, end = self.where(error.pos), len(self._text.rstrip())
        # as much again: a long value is parsed few times, not once for each step
        read = near and self.more()
        while read and len(self._text) < 2 * held and self.more():
            pass
        if not read:
            at_end = error.msg.startswith("Unterminated string") or error.pos >= end
            cut = " (the file ends within a value: it is cut off)" if at_end else ""
            raise NotJson(f"is not JSON: {error.msg}{cut}", where) from error


class _TooLarge(NotJson):
    """A value above the limit."""


def _forward(stream: IO[bytes], start: int) -> None:
    """Go to a byte; a stream that cannot seek is read up to it."""
    if start and stream.seekable():
        stream.seek(start)
        return
    while start > 0:
        read = len(stream.read(min(start, STEP)))
        start = start - read if read else 0


class _Scan:
    """The first pass: the document, its long lists left where they are."""

    def __init__(self, open_: Open, window: _Window) -> None:
        self.open, self.window = open_, window
        self.broken: NotJson | None = None
        self.items = 0

    def document(self) -> Any:
        """Parse what begins here: whole where it is small, else, and where it breaks off, item by item."""
        try:
            return self.window.value("", BIG_DOCUMENT)
        except _TooLarge:
            return self.value("")
        except NotJson as error:
            value = self.value("")
            self.broken = error  # the first that is wrong, told as for any other document
            return value if self.items else None

    def value(self, path: str) -> Any:
        """Parse what begins here; where it breaks off, what is whole of it."""
        begins = self.window.space()
        if begins == "[" and path in LONG:
            return self._list(path)
        if begins == "{" and path in _ON_THE_WAY:
            return self._object(path)
        try:
            found = self.window.value(path, MAX_ITEM_BYTES)
            if isinstance(found, int | float) and path and not self.window.space():
                self.window.take(",")  # the file ends behind a number: who knows whether the number did
        except NotJson as error:
            self.broken = error
            return None
        return found

    def _object(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        try:
            self.window.take("{")
            while self.window.space(",") != "}":
                key = self.window.value("key", MAX_ITEM_BYTES)
                self.window.take(":")
                value = self.value(f"{path}.{key}" if path else str(key))
                if value is not None or not self.broken:
                    found[str(key)] = value
                if self.broken:
                    return found
            self.window.take("}")
        except NotJson as error:
            self.broken = error
        return found

    def _list(self, path: str) -> LazyList:
        self.window.take("[")
        found = LazyList(self.open, self.window.byte())
        inner = f"{path}.item" if path else "item"
        try:
            while self.window.space(",") != "]":
                self._item(found, inner)
                if self.broken:
                    return found
            self.window.take("]")
        except NotJson as error:
            self.broken = error
        return found

    def _item(self, found: LazyList, path: str) -> None:
        if path not in _ON_THE_WAY:
            found.found(self.window.value(path, MAX_ITEM_BYTES))
            self.items += 1
            return
        try:
            found.found(self.window.value(path, BIG_ITEM))
            self.items += 1
        except _TooLarge:
            before, item = self.items, self.value(path)
            if not self.broken or self.items > before:  # of a broken one only what has whole items is worth having
                found.found(item, self.window.byte())
