"""Chrome's trace format, as browsers, Perfetto and PyTorch's profiler (Kineto) write it.

`{"traceEvents": [...]}` or the bare list, whose end may be missing. Complete events (`X`) and pairs (`B` and `E`, `b`
and `e`) are spans; instants and all other phases events; counters metrics; names of processes and threads go to what
they name. A file is one trace, and within a track the nesting is that of the times.

Times are microseconds. They count from `baseTimeNanoseconds`; without it they are instants where they lie after 2001,
else nobody knows from when they count, and such a row has a duration and no time (`unknown_epoch`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tele.telemetry.ingest.record import (
    SNIFFED,
    Place,
    Problem,
    Record,
    Span,
    event_record,
    merged,
    shown,
    span_record,
    without_empty,
)
from tele.telemetry.ingest.slices import MOST, Slices

__all__ = ["NAME", "read", "sniff"]

NAME = "chrome"

_PHASES = frozenset("XBEbeniICMstfNODPvVRcScTpF(){}")
_EPOCH_US = 1e15
"""Microseconds since 1970 in September 2001; clocks that count from a machine's start do not get there."""
_LATEST_NS = 2**63 - 1
_NAMES = {"process_name": "process.executable.name", "thread_name": "thread.name"}
Event = Mapping[str, Any]


def sniff(document: object) -> bool:
    """Say whether the document is a Chrome trace; of a list, one among its first items is enough."""
    if isinstance(document, Mapping):
        return isinstance(document.get("traceEvents"), list)
    return isinstance(document, list) and any(_is_event(item) for item in document[:SNIFFED])


def _is_event(item: object) -> bool:
    return isinstance(item, Mapping) and str(item.get("ph")) in _PHASES and ("ts" in item or item["ph"] == "M")


def read(document: object, place: Place) -> Iterator[Record | Problem]:
    """Give the records of a trace; what is malformed becomes a Problem. The events are walked twice."""
    events = document.get("traceEvents") if isinstance(document, Mapping) else document
    if not isinstance(events, list):
        yield place.problem(f"expected a list of events, found {shown(document)}")
        return
    head = (
        {key: value for key, value in document.items() if key != "traceEvents"} if isinstance(document, Mapping) else {}
    )
    trace = _Trace(head, events)
    if trace.slices.left_out:
        yield place.problem(f"has more than {MOST:,} slices: which stands in which is known of the first ones alone")
    if head:
        yield trace.head_row()
    for number, event in enumerate(events):
        if not isinstance(event, Mapping):
            yield place.at(f"traceEvents[{number}]").problem(f"expected an object, found {shown(event)}")
        elif (item := trace.row(number, event)) is not None:
            yield item
        elif trace.is_odd(event):
            yield place.at(f"traceEvents[{number}]").problem("its ts or dur is no number")
    yield from trace.unended()


class _Trace:
    """What the events of one file share: found in a first walk, used in the second."""

    def __init__(self, head: dict[str, Any], events: list[Any]) -> None:
        self.head = head
        self.names: dict[tuple[str, str], dict[str, str]] = {}
        self.slices = Slices()
        self._tracks: dict[tuple[str, str], int] = {}
        seed = json.dumps([head, events[:SNIFFED], len(events)], sort_keys=True, default=str)
        self.trace_id = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        base = head.get("baseTimeNanoseconds")
        self.base_ns = int(base) if isinstance(base, int | float) and not isinstance(base, bool) and base > 0 else None
        walk = _Pairs()
        for number, event in enumerate(events):
            if isinstance(event, Mapping):
                self._look(number, event, walk)
        self.parents = self.slices.parents()
        self._pairs = _Pairs()

    def _look(self, number: int, event: Event, pairs: _Pairs) -> None:
        phase, ts = str(event.get("ph")), _number(event.get("ts"))
        if phase == "M" and str(event.get("name")) in _NAMES and isinstance(event.get("args"), Mapping):
            track = (str(event.get("pid")), "" if event["name"] == "process_name" else str(event.get("tid")))
            self.names.setdefault(track, {})[_NAMES[event["name"]]] = str(event["args"].get("name"))
        elif phase == "X" and ts is not None and (lasted := _number(event.get("dur"))) is not None:
            self.slices.add(number, self._track(event), ts, ts + lasted)
        elif phase == "B" and ts is not None:
            pairs.begin(number, event)
        elif phase == "E" and ts is not None and (begun := pairs.end(event)) is not None:
            self.slices.add(begun[0], self._track(event), float(begun[1]["ts"]), ts)

    def _track(self, event: Event) -> int:
        return self._tracks.setdefault((str(event.get("pid")), str(event.get("tid"))), len(self._tracks))

    def head_row(self) -> Record:
        """Give the row of what the file says of itself."""
        said = {f"chrome.{key}": value for key, value in self.head.items()}
        return event_record(
            name="chrome.trace",
            start_ns=self.base_ns,
            trace_id=self.trace_id,
            span_id=None,
            attributes=said,
            otel={"otel.source": "chrome"},
        )

    def row(self, number: int, event: Event) -> Record | None:
        """Give the row that an event makes or completes; None where it makes none by itself."""
        phase, ts = str(event.get("ph")), _number(event.get("ts"))
        if phase == "M" or ts is None:
            return None
        if phase in {"B", "b"}:
            self._pairs.begin(number, event)
            return None
        if phase in {"E", "e"}:
            begun = self._pairs.end(event)
            return self._span(*begun, until=ts, more=event) if begun else self._point(event, ts)
        if phase == "X":
            lasted = _number(event.get("dur"))
            return None if lasted is None and "dur" in event else self._span(number, event, lasted=lasted or 0.0)
        return self._counter(event, ts) if phase == "C" else self._point(event, ts)

    def is_odd(self, event: Event) -> bool:
        """Whether an event made no row because it is malformed."""
        odd = _number(event.get("ts")) is None or ("dur" in event and _number(event["dur"]) is None)
        return event.get("ph") != "M" and odd

    def unended(self) -> Iterator[Record]:
        """Give the spans that begin and never end."""
        for number, event in self._pairs.left():
            yield self._span(number, event)

    def _span(
        self,
        number: int,
        event: Event,
        *,
        lasted: float | None = None,
        until: float | None = None,
        more: Event | None = None,
    ) -> Record:
        """Give a span by how long it lasted or until when; by neither it has no end."""
        ts = float(event["ts"])
        args = {**_args(event), **(_args(more) if more else {})}
        start_ns, end_ns = self._ns(ts), None if until is None else self._ns(until)
        if lasted is not None and start_ns is not None:
            end_ns = start_ns + round(lasted * 1000)
        if until is not None:
            lasted = until - ts
        holder = self.parents[number] if number < len(self.parents) else -1
        return span_record(
            Span(
                trace_id=self.trace_id,
                span_id=self._id(number),
                parent_id=None if holder < 0 else self._id(holder),
                name=event.get("name"),
                start_ns=start_ns,
                end_ns=end_ns,
                duration_ms=lasted / 1e3 if lasted is not None and start_ns is None else None,
                attributes=args,
                otel=self._about(event, ts),
                resource=dict(self.names.get((str(event.get("pid")), ""), {})),
                flags=["unknown_epoch"] if start_ns is None else [],
            )
        )

    def _point(self, event: Event, ts: float) -> Record:
        start_ns = self._ns(ts)
        return event_record(
            name=event.get("name") or f"chrome.{event.get('ph')}",
            start_ns=start_ns,
            trace_id=self.trace_id,
            span_id=None,
            attributes=_args(event),
            otel=self._about(event, ts),
            flags=["unknown_epoch"] if start_ns is None else [],
        )

    def _counter(self, event: Event, ts: float) -> Record:
        """Give the value of a counter; one with several series keeps them all and has no single value."""
        args = _args(event)
        numbers = {key: number for key, value in args.items() if (number := _number(value)) is not None}
        single = next(iter(numbers.values())) if len(numbers) == 1 else None
        about = {**self._about(event, ts), "tele.flags": [] if self._ns(ts) is not None else ["unknown_epoch"]}
        return without_empty(
            {
                "kind": "metric",
                "name": event.get("name") if isinstance(event.get("name"), str) else None,
                "value": single,
                "start_ns": self._ns(ts),
                "trace_id": self.trace_id,
                "attributes": merged(args, about),
            }
        )

    def _about(self, event: Event, ts: float) -> dict[str, Any]:
        """Give every other field of an event, and the names of its thread."""
        rest = {
            f"chrome.{key}": value for key, value in event.items() if key not in {"name", "args", "ts", "dur", "tid"}
        }
        rest["thread.id"] = event.get("tid")
        if self._ns(ts) is None:
            rest["chrome.ts"] = ts
        return {**rest, **self.names.get((str(event.get("pid")), str(event.get("tid"))), {})}

    def _ns(self, ts: float) -> int | None:
        if self.base_ns is None and abs(ts) < _EPOCH_US:
            return None
        whole = math.floor(ts)  # the product as a float would lose nanoseconds
        found = (self.base_ns or 0) + whole * 1000 + round((ts - whole) * 1000)
        return found if abs(found) <= _LATEST_NS else None

    def _id(self, number: int) -> str:
        return hashlib.sha256(f"{self.trace_id}/{number}".encode()).hexdigest()[:16]


class _Pairs:
    """Events that begin something, until the one that ends it: by track in order, or by their own id."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, ...], list[tuple[int, Event]]] = {}

    def begin(self, number: int, event: Event) -> None:
        """Remember what begins."""
        self._begun.setdefault(_key(event), []).append((number, event))

    def end(self, event: Event) -> tuple[int, Event] | None:
        """Give what an event ends: the last that began on its track, or the one of its id."""
        begun = self._begun.get(_key(event))
        return begun.pop() if begun else None

    def left(self) -> Iterator[tuple[int, Event]]:
        """Give what never ended."""
        return (pair for pairs in self._begun.values() for pair in pairs)


def _key(event: Event) -> tuple[str, ...]:
    if str(event.get("ph")) in {"b", "e"}:
        return ("id", str(event.get("cat")), str(event.get("id", event.get("id2"))), str(event.get("name")))
    return ("track", str(event.get("pid")), str(event.get("tid")))


def _args(event: Event) -> dict[str, Any]:
    args = event.get("args")
    return dict(args) if isinstance(args, Mapping) else {}


def _number(value: object) -> float | None:
    """Give a number, also one that was written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
