"""What the page shows of one chosen span: everything that the table of spans does not carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tele.errors import TeleError
from tele.viewer.target import Reader

__all__ = ["MAX_TEXT", "Bodies"]

MAX_TEXT = 256 * 1024
"""Characters of one body in the page; longer ones are cut, with a note."""

_LARGE = ("input", "output", "attributes", "resource", "links")
_FACTS = (
    *("event_id", "kind", "start_ns", "end_ns", "trace_id", "span_id", "parent_id", "conversation_id", "experiment"),
    *("run_id", "condition", "replicate", "item_id", "seed", "cluster", "status", "success", "error_type"),
    *("error_message", "operation", "provider", "model", "request_model", "input_tokens", "output_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd", "price_ref", "ttft_ms", "value"),
    *("unit", "step"),
)
_EXACT = 2**53


class Bodies:
    """Makes bodies of rows, and counts what it had to cut or could not find."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.cut = 0
        """Texts that were longer than `MAX_TEXT`."""
        self.missing = 0
        """Blobs that could not be read."""

    def of(self, row: Mapping[str, object], events: Iterable[Mapping[str, object]] = ()) -> dict[str, object]:
        """Return the body of a row: its facts, tags, large texts and the events on it, NULLs left out."""
        body: dict[str, object] = {"facts": [[key, self._fact(row[key])] for key in _FACTS if row[key] is not None]}
        if row["tags"]:
            body["tags"] = row["tags"]
        notes: dict[str, str] = {}
        for key in _LARGE:
            if row[key] is not None and row[key] not in ("{}", "[]"):
                body[key] = self._text(key, str(row[key]), notes)
        if notes:
            body["notes"] = notes
        if on_it := [self._event(event) for event in events]:
            body["events"] = on_it
        return body

    def _event(self, row: Mapping[str, object]) -> dict[str, object]:
        keys = ("kind", "name", "start_ns", "value", "unit", "step", "error_type", "error_message")
        event = {key: self._fact(row[key]) for key in keys if row[key] is not None}
        notes: dict[str, str] = {}
        for key in ("attributes", "input", "output"):
            if row[key] is not None and row[key] != "{}":
                event[key] = self._text(key, str(row[key]), notes)
        return event | ({"notes": notes} if notes else {})

    def _fact(self, value: object) -> object:
        # JavaScript's numbers are exact to 2^53 only, and nanoseconds of today are beyond
        if isinstance(value, int) and not -_EXACT <= value <= _EXACT:
            return str(value)
        if isinstance(value, str) and len(value) > MAX_TEXT:
            self.cut += 1
            return value[:MAX_TEXT] + "…"
        return value

    def _text(self, key: str, text: str, notes: dict[str, str]) -> str:
        if text.startswith("blob:"):
            try:
                text = self._reader.blob(text).decode("utf-8", "replace")
            except (TeleError, OSError) as error:
                self.missing += 1
                notes[key] = f"The body is kept apart and could not be read: {error}"
                return text
        if len(text) > MAX_TEXT:
            self.cut += 1
            notes[key] = f"Cut here: the first {MAX_TEXT:,} of {len(text):,} characters. The store has the rest."
            return text[:MAX_TEXT]
        return text


def attach(
    events: Sequence[Mapping[str, object]], spans: Sequence[Mapping[str, object]]
) -> tuple[dict[str, list[Mapping[str, object]]], list[Mapping[str, object]]]:
    """Return the events by the id of the span they are on, and those whose span is not among `spans`."""
    known = {span["span_id"] for span in spans}
    on: dict[str, list[Mapping[str, object]]] = {}
    loose: list[Mapping[str, object]] = []
    for event in events:
        if event["span_id"] in known and event["span_id"] is not None:
            on.setdefault(str(event["span_id"]), []).append(event)
        else:
            loose.append(event)
    return on, loose
