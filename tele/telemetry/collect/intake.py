"""From a request's body to lines of the journal: read, told whose they are, known ones left out, written."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tele.errors import BadInput
from tele.store.journal import Durability, Journal
from tele.store.layout import Layout
from tele.telemetry.collect.answer import JSON, Outcome, Refused
from tele.telemetry.collect.bounds import Bounds
from tele.telemetry.collect.documents import astray, documents, of_signal
from tele.telemetry.collect.pieces import ITEM_BYTES, PIECE_BYTES, pieces
from tele.telemetry.collect.recent import Recent
from tele.telemetry.collect.whose import Whose
from tele.telemetry.ingest import otlp, protobuf
from tele.telemetry.ingest.lines import Lines, Sealer
from tele.telemetry.ingest.protobuf import Signal
from tele.telemetry.ingest.record import Place, Problem, Record

__all__ = ["Intake"]

SEAL_EVENTS = 100_000
SEAL_BYTES = 64 * 1024 * 1024
WRITE_BYTES = 1024 * 1024
"""Lines are written when they are as many bytes as this, and at the end of a request."""
_PLACE = Place("")


class Intake:
    """Takes requests, one at a time, into a journal of its own. Closes with `close()`."""

    def __init__(self, layout: Layout, durability: Durability, experiment: str | None, bounds: Bounds) -> None:
        """Begin; what the newest journals end with is remembered, so that a request sent to them adds nothing."""
        protobuf.message("traces")  # where it cannot be read, say so now
        self._journal = Journal(layout, durability)
        self._lines = Lines(layout, durable=durability == "fsync")
        self.sealer = Sealer(layout)
        self._recent = Recent()
        self._recent.remember(layout)
        self._whose = Whose(experiment)
        self._bounds = bounds

    def close(self) -> None:
        """Finish the journal."""
        self._journal.close()

    def take(self, signal: Signal, kind: str, body: bytearray) -> Outcome:
        """Write what a request holds; when this returns it stands in the store. Raises Refused."""
        self._forget_what_went()
        batch = _Batch(self._journal, self._lines, self._recent, self._bounds)
        try:
            for part in _parts(signal, kind, body, self._bounds.records):
                batch.take(part, self._whose)
            batch.write()
        except OSError as error:  # a blob: the disk is full, or the store went
            raise _unwritten(error.strerror or str(error)) from error
        self._seal_now_and_then()
        if batch.rejected and not (batch.taken or batch.known):
            raise Refused(400, f"Nothing in the request can be read. {batch.message}")
        return Outcome(batch.taken, batch.known, batch.rejected, batch.message)

    def _forget_what_went(self) -> None:
        """Remember nothing of a journal that was removed: what stood there can be sent again."""
        lost = self._journal.dropped.total()
        self._journal.check()
        if self._journal.dropped.total() > lost:
            self._recent = Recent()
            self._recent.remember(self._journal.layout)

    def _seal_now_and_then(self) -> None:
        journal = self._journal
        if (journal.events >= SEAL_EVENTS or journal.bytes >= SEAL_BYTES) and not self.sealer.busy:
            journal.close()  # else the file could not go, however much of it is sealed
            journal.events = journal.bytes = 0
            self.sealer.start()


class _Part(NamedTuple):
    """What is parsed at once of a request."""

    records: Iterable[Record | Problem]
    items: int
    remark: str = ""


def _parts(signal: Signal, kind: str, body: bytearray, most: int) -> Iterator[_Part]:
    """Give the parts of a request of up to `most` items.

    Raises Refused before the first one where any of them cannot be parsed: nothing of such a request is taken.
    """
    if kind == JSON:
        for value, items in documents(body, signal, most):
            if value is None:
                yield _too_large(items)
            else:
                yield _Part(otlp.read(of_signal(value, signal), _PLACE), items, astray(value, signal))
        return
    try:
        if len(body) <= PIECE_BYTES:
            yield _Part(protobuf.records(bytes(body), signal, _PLACE), 0)
            return
        for piece in pieces(body, signal, most):
            if piece.body is not None:
                protobuf.records(piece.body, signal, _PLACE)  # parses, and reads nothing yet
        for piece in pieces(body, signal, most):
            if piece.body is None:
                yield _too_large(piece.items)
            else:
                yield _Part(protobuf.records(piece.body, signal, _PLACE), piece.items)
    except BadInput as error:
        raise Refused(400, str(error)) from None


def _too_large(items: int) -> _Part:
    problem = Problem("", "An item", f"is more than {ITEM_BYTES:,} bytes, with its resource and scope")
    return _Part([problem] * items, items)


def _told_apart(record: Record) -> bool:
    """Whether an event that is sent again is known from another one like it: by its time, or by its span's."""
    return "start_ns" in record or (record.get("attributes") or {}).get("otel.source") == "span_event"


def _unwritten(why: str) -> Refused:
    return Refused(503, f"The store cannot be written now: {why}.", retry_after="10")


class _Batch:
    """What is made of one request: the lines that wait to be written, and the counts."""

    def __init__(self, journal: Journal, lines: Lines, recent: Recent, bounds: Bounds) -> None:
        self._journal, self._lines, self._recent, self._bounds = journal, lines, recent, bounds
        self._new: dict[bytes, bytes] = {}
        """Key to line."""
        self._size = self._written = self._seen_records = 0
        self._equal: Counter[bytes] = Counter()
        self.taken = self.known = self.rejected = 0
        self.message = ""

    def take(self, part: _Part, whose: Whose) -> None:
        """Take the records of a part of a request; where they are too many the rest is rejected, part by part."""
        self.message = self.message or part.remark
        if self._over():
            self.rejected += part.items
            return
        for item in part.records:
            if isinstance(item, Problem):
                self._problem(item)
            elif self._over():
                self._reject("The request is too much at once: send smaller batches, with smaller resources.")
            else:
                self._add(whose.of(item), item)

    def write(self) -> None:
        """Write the lines that wait; raises Refused where they do not all stand."""
        self._journal.check()  # a file that was deleted under us takes every write, and keeps none
        lines = list(self._new.values())
        stand = self._journal.extend(lines) if lines else 0
        self._recent.add(list(self._new)[:stand])
        self.taken += stand
        self._written += self._size
        self._new, self._size = {}, 0
        if stand < len(lines):
            raise _unwritten("the journal does not take it")

    def _over(self) -> bool:
        return self._seen_records >= self._bounds.records or self._written + self._size >= self._bounds.written_bytes

    def _add(self, experiment: str, record: Record) -> None:
        self._seen_records += 1
        scope, body = self._lines.scope(experiment), self._lines.body(record)
        content = hashlib.sha256(scope + body)
        key = content.digest()[:16]
        if "span_id" not in record or record["kind"] != "span":
            key = self._distinct(key) if _told_apart(record) else secrets.token_bytes(16)
        if key in self._new or key in self._recent:
            self.known += 1
            return
        line = b'%b"event_id":"%b",%b' % (scope, key.hex().encode(), body[1:-1])
        self._new[key] = line
        self._size += len(line)
        if self._size >= WRITE_BYTES:
            self.write()

    def _distinct(self, key: bytes) -> bytes:
        """Give equal events of one request different keys: nothing but their number tells them apart."""
        self._equal[key] += 1
        number = self._equal[key]
        return key if number == 1 else hashlib.sha256(key + b"%d" % number).digest()[:16]

    def _problem(self, problem: Problem) -> None:
        if ".events[" in problem.position:  # the span itself is taken
            self.message = self.message or f"{problem.position}: {problem.message}."
        else:
            self._reject(f"{problem.position}: {problem.message}.")

    def _reject(self, why: str) -> None:
        if not self.rejected:
            self.message = why
        self.rejected += 1
