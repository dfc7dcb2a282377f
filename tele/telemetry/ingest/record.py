"""What every reader makes: records (plain dicts of columns) and problems, by the same rules.

OpenTelemetry's own fields that have no column stand in `attributes` under `otel.*`, so that nothing of OTLP is lost:

    otel.kind                             internal, server, client, producer, consumer (absent: unspecified)
    otel.trace_state, otel.flags          as they are on the wire
    otel.dropped_{attributes,events,links}_count
    otel.status_description               text of a status that is no error
    otel.scope.{name,version,attributes,dropped_attributes_count,schema_url}
    otel.schema_url, otel.resource.*      of the resource
    otel.source                           `span_event` or `log`, of rows of kind `event`
    tele.flags                            what is odd about the row: no_start, no_end, observed_time, negative_duration,
                                          absurd_duration (above 30 days), duration_differs (the one that the source
                                          states is not end less start), no_zone (taken as UTC), unknown_epoch
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tele.telemetry.families import WRITTEN, resolve
from tele.telemetry.ingest.span_events import said_by_events
from tele.telemetry.normalise import normalise

__all__ = [
    "Place",
    "Problem",
    "Record",
    "RecordError",
    "Span",
    "each",
    "event_record",
    "foreign_id",
    "hex_id",
    "parent",
    "span_record",
]

Record = dict[str, Any]
"""Column name to value; an absent column is NULL. Times are `start_ns` and `end_ns` only."""

T = TypeVar("T")
SNIFFED = 10
"""Items of a list that are looked at to tell its format: the first of them may be malformed."""
_INT64_MAX = 2**63 - 1
_SHOWN = 60
_HEX = re.compile("[0-9a-f]+")
_URL_SAFE = str.maketrans("-_", "+/")
_DAY_MS = 86_400_000
_LONGEST_MS = 30 * _DAY_MS


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read, and where."""

    file: str
    position: str
    """`line 3`, `data[0].spans[17]` or `byte 120`; empty where it is the whole file."""
    message: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.position}" if self.position else self.file
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file a reader stands."""

    file: str
    path: str = ""

    def at(self, step: str) -> Place:
        """Give the place one step further in."""
        return Place(self.file, f"{self.path}.{step}" if self.path else step)

    def problem(self, message: str) -> Problem:
        """Give a problem at this place."""
        return Problem(self.file, self.path, message)


class RecordError(ValueError):
    """A record that cannot be read; its text says why. Readers turn it into a Problem."""


def each(
    items: object, place: Place, step: str, read: Callable[[Mapping[str, Any], Place], Iterable[T]]
) -> Iterator[T | Problem]:
    """Read each object of a list; one that is malformed becomes a Problem and the rest is read."""
    if items is None:
        return
    if not isinstance(items, list):
        yield place.at(step).problem(f"expected a list, found {shown(items)}")
        return
    for number, item in enumerate(items):
        yield from guarded(item, place.at(f"{step}[{number}]"), read)


def guarded(
    item: object, place: Place, read: Callable[[Mapping[str, Any], Place], Iterable[T]]
) -> Iterator[T | Problem]:
    """Read one object; where it is malformed, what `read` has given before it failed stands, and a Problem follows."""
    if not isinstance(item, Mapping):
        yield place.problem(f"expected an object, found {shown(item)}")
        return
    try:
        yield from read(item, place)
    except RecordError as error:
        yield place.problem(str(error))
    except RecursionError:
        yield place.problem("is nested too deeply")


def shown(value: object) -> str:
    """Give a short text of any JSON value for a message."""
    text = ascii(value) if not isinstance(value, list | dict) else f"a {type(value).__name__} of {len(value)}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def hex_id(value: object, width: int, what: str) -> str | None:
    """Give an id as `width` lower-case hex digits, padded on the left; None for nothing.

    Taken are hex text of any case, also with 0x before it, integers, and base64 of the whole id (as protobuf's own JSON
    writes bytes). Raises RecordError for anything else.
    """
    if value is None or value == "":
        return None
    text = f"{value:x}" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value
    if isinstance(text, str):
        digits = text.strip().lower().removeprefix("0x")
        if len(digits) <= width and _HEX.fullmatch(digits):
            return digits.zfill(width)
        if found := _from_base64(text.strip(), width):
            return found
    raise RecordError(f"{what} {shown(value)} is not an id of {width} hex digits")


def _from_base64(text: str, width: int) -> str | None:
    """Read base64 with or without its padding, plain or URL-safe; None where it is no id of this width."""
    bare = text.rstrip("=")
    if len(bare) != (width * 2 + 2) // 3:  # four letters hold three bytes, six hex digits
        return None
    try:
        data = base64.b64decode(bare.translate(_URL_SAFE) + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data.hex() if len(data) * 2 == width else None


def foreign_id(value: object, width: int) -> str | None:
    """Give an id that may be any text as hex digits: a UUID or hex of this width as it is, other text hashed."""
    if value is None or value == "":
        return None
    text = str(value)
    bare = text.lower().replace("-", "")
    if len(bare) == width and _HEX.fullmatch(bare):
        return bare
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:width]


def required_id(value: object, width: int, what: str) -> str:
    """Give an id as `hex_id` does; raises RecordError also where there is none."""
    found = hex_id(value, width, what)
    if found is None:
        raise RecordError(f"it has no {what}")
    return found


def parent(value: object, what: str) -> str | None:
    """Give a parent's span id; None where it is empty or all zero, as a root has it."""
    found = hex_id(value, 16, what)
    return found if found is not None and found.strip("0") else None


def nanos(value: object, what: str, unit_ns: int = 1) -> int | None:
    """Give a time or duration in nanoseconds from a count of units of `unit_ns`; None for nothing.

    Taken are integers, numbers and decimal text. Raises RecordError for anything else and beyond 64 bits.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise RecordError(f"{what} {shown(value)} is not a number")
        count = float(value) if isinstance(value, str) and "." in value else value
        total = round(count * unit_ns) if isinstance(count, float) else int(count) * unit_ns
    except (ValueError, OverflowError) as error:
        raise RecordError(f"{what} {shown(value)} is not a number") from error
    if not -_INT64_MAX <= total <= _INT64_MAX:
        raise RecordError(f"{what} {shown(value)} does not fit 64 bits of nanoseconds")
    return total


def instant(value: object, what: str, unit_ns: int = 1) -> int | None:
    """Give an instant as `nanos` does; 0 is how the formats write that there is none."""
    return nanos(value, what, unit_ns) or None


@dataclass(slots=True, kw_only=True)
class Span:
    """A foreign span in plain terms; `span_record` makes the record of it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: object
    start_ns: int | None
    end_ns: int | None
    status: str = "unset"
    message: object = None
    duration_ms: float | None = None
    """Only where the source states one that does not follow from start and end."""
    attributes: dict[str, Any] = field(default_factory=dict)
    otel: dict[str, Any] = field(default_factory=dict)
    """Extra attributes of ours (`otel.*` and the like); empty ones are left out."""
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Names and attributes of its span events: some emitters put tokens and errors there."""
    resource: dict[str, Any] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    """What else is odd about it, see `tele.flags` above."""


def span_record(span: Span) -> Record:
    """Give the record of a span: columns by the normaliser, raw attributes beside them, oddities flagged."""
    failed = span.status == "error"
    said = {**said_by_events(span.events, failed=failed), **span.attributes}
    message = _text(span.message)
    record: Record = {
        "kind": "span",
        "name": _text(span.name),
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "duration_ms": span.duration_ms,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "status": span.status,
        **normalise(said),
    }
    if failed:
        record["error_message"] = message or _text(said.get("exception.message"))
    elif message:
        span.otel["otel.status_description"] = message
    ended = span.end_ns is not None or span.duration_ms is not None
    record["success"] = False if failed or "error_type" in record else (True if ended else None)
    return _with_attributes(record, span, _flags(span))


def _flags(span: Span) -> list[str]:
    start, end = span.start_ns, span.end_ns
    flags = ["no_start"] if start is None else []
    if end is None:
        flags.append("no_end")
    lasted = None if start is None or end is None else (end - start) / 1e6
    stated = lasted if span.duration_ms is None else span.duration_ms
    if stated is not None and stated < 0:
        flags.append("negative_duration")
    if stated is not None and stated > _LONGEST_MS:
        flags.append("absurd_duration")
    if lasted is not None and stated is not None and abs(stated - lasted) > max(1.0, abs(lasted) / 100):
        flags.append("duration_differs")
    return [*flags, *span.flags]


def _with_attributes(record: Record, span: Span, flags: list[str]) -> Record:
    record["attributes"] = merged(span.attributes, {**span.otel, "tele.flags": flags})
    record["resource"] = span.resource
    record["links"] = span.links
    return without_empty(record)


def event_record(
    *,
    name: object,
    start_ns: int | None,
    trace_id: str | None,
    span_id: str | None,
    attributes: dict[str, Any],
    otel: dict[str, Any],
    resource: dict[str, Any] | None = None,
    flags: list[str] | None = None,
) -> Record:
    """Give the record of a point event, under its one name. Its tokens and cost stay attributes: the span counts them.

    What a source calls it stands beside it, where the registry of families knows the event by another name.
    """
    said = _text(name)
    called = said and resolve(said)
    failure: Record = {key: attributes[key] for key in ("exception.type", "error.type") if key in attributes}
    flags = [*(flags or []), *(["no_start"] if start_ns is None else [])]
    record: Record = {
        "kind": "event",
        "name": called,
        "start_ns": start_ns,
        "trace_id": trace_id,
        "span_id": span_id,
        "error_type": normalise(failure).get("error_type"),
        "error_message": _text(attributes.get("exception.message")),
        "attributes": merged(attributes, {**otel, "tele.flags": flags, WRITTEN: said if called != said else None}),
        "resource": resource,
    }
    return without_empty(record)


def merged(attributes: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Put our extra keys beside the source's own; a key that both have keeps the source's under `source.KEY`."""
    ours = {key: value for key, value in ours.items() if value not in (None, "", 0, [], {})}
    if ours.keys().isdisjoint(attributes):
        return {**attributes, **ours}
    return {**{f"source.{key}" if key in ours else key: value for key, value in attributes.items()}, **ours}


def without_empty(record: Record) -> Record:
    """Leave out what is NULL or an empty container."""
    return {key: value for key, value in record.items() if value is not None and value not in ([], {})}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
