"""The SDK's objects into the log, by the way that all records take: prices, redaction, caps, blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tele.telemetry.ambient import ambient
from tele.telemetry.ingest.record import Record
from tele.telemetry.instrument.told import told
from tele.telemetry.otel.sdk import Ended, log_record, span_records
from tele.telemetry.pricing import add_cost
from tele.telemetry.process import process
from tele.telemetry.scope import Node

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

__all__ = ["write", "write_log", "write_span"]


def write_span(span: Ended, node: Node, *, event_id: str = "", parent_id: str | None = None) -> None:
    """Write an ended span and its events; `parent_id` stands over the span's own parent. Never raises an Exception."""
    try:
        records = span_records(span, parent_id)
        if event_id:
            records[0]["event_id"] = event_id
        if told(records[0].get("attributes") or {}):
            _uncount(records[0])
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error)
        return
    for record in records:
        write(record, node)


_COUNTED = (
    "operation",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "price_ref",
)


def _uncount(record: dict[str, Any]) -> None:
    """An adapter has recorded the call that this span tells of: it stays as a span, and is no second call."""
    for column in _COUNTED:
        record.pop(column, None)
    record["attributes"] = {**record["attributes"], "tele.told_by": "tele.instrument"}


def write_log(emitted: ReadWriteLogRecord, node: Node) -> None:
    """Write a log record, within the span of tele's around it where it names none. Never raises an Exception."""
    if not node.sampled:
        return
    try:
        record = log_record(emitted)
        if "trace_id" not in record and node.trace_id:
            record |= {"trace_id": node.trace_id, "span_id": node.span_id}
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error)
        return
    write(record, node)


def write(record: Record, node: Node) -> None:
    """Write one record with what its place says; where both name a column, the place's stands."""
    columns = node.scope.columns
    record = {key: value for key, value in record.items() if key not in columns}
    if "event_id" not in record:
        record["event_id"] = ambient.ids.event(record.get("start_ns") or ambient.now())
    if record["kind"] == "span" and ("input_tokens" in record or "output_tokens" in record):
        try:
            add_cost(record)
        except Exception as error:  # noqa: BLE001  # a span without a price is still a span
            process.lose(error, 0)
    process.write(record, node.scope.encoded)
