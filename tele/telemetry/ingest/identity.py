"""Ids made from content, so that reading a file again finds the same events and adds none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from tele.telemetry.ingest.record import Record

__all__ = ["stamped", "with_ids"]

_TRACE_DIGITS = 32
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def with_ids(records: Iterable[Record], experiment_id: str) -> Iterator[Record]:
    """Give each record with an `event_id`, and each span with ids of trace and span, made from its content.

    The event id is the first 32 hex digits of the SHA-256 of the experiment's id, the record as canonical JSON and the
    number of the occurrence among equal records: equal rows stay distinct, and their order does not matter. A span that
    bears ids of its own is one, however often it is told in the same words; its events are not told apart from others
    that are alike, and stay. Ids that the record has stand. A span without a trace becomes a trace of its own.
    """
    seen: dict[bytes, int] = {}
    for record in records:
        yield stamped(record, experiment_id, seen)


def stamped(record: Record, experiment_id: str, seen: dict[bytes, int]) -> Record:
    """Give one record as `with_ids` does; `seen` counts the equal records so far and is updated."""
    event_id = record.get("event_id") or _event_id(record, experiment_id, seen)
    ids = {"event_id": event_id}
    if record.get("kind") == "span":
        digest = hashlib.sha256(str(event_id).encode("utf-8", "surrogatepass")).hexdigest()
        own = event_id if _is_hex32(event_id) else digest[:32]
        ids["trace_id"] = record.get("trace_id") or own
        ids["span_id"] = record.get("span_id") or own[:16]
    return {**record, **ids}


def _event_id(record: Record, experiment_id: str, seen: dict[bytes, int]) -> str:
    text = _canonical(record)
    content = hashlib.sha256(f"{experiment_id}\n{text}".encode("utf-8", "surrogatepass"))
    key = content.digest()[:16]
    # A span by its own ids is one span: told again word for word, it was delivered twice.
    own = record.get("kind") == "span" and record.get("trace_id") and record.get("span_id")
    occurrence = 0 if own else seen.get(key, 0)
    if not own:
        seen[key] = occurrence + 1
    content.update(b"\n%d" % occurrence)
    return content.hexdigest()[:32]


def _is_hex32(text: object) -> bool:
    return isinstance(text, str) and len(text) == _TRACE_DIGITS and set(text) <= set("0123456789abcdef")
