"""Rows of a stored experiment as they leave: corrected, bodies back in their places, secrets out once more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import orjson

from tele.errors import DamagedFile, UnknownTarget
from tele.store.amend import AMENDED
from tele.store.columns import COLUMNS
from tele.store.names import experiment_id
from tele.store.reader import Store, refusal
from tele.store.schema import TEXT_BYTES
from tele.telemetry.redact import FAILED, redact

__all__ = ["Kind", "open_spans", "rows"]

Kind = Literal["span", "event", "metric"]

INLINE_BYTES = 4 << 20
"""A body above this stays a reference to the blob that the store has of it."""
_READ = 512
"""Rows that are read at once."""
_PART_BYTES, _SHORT = 64 << 20, 2048
"""Bytes of the texts of rows that are sorted together, where a row has more than these on average."""
_NAMES = [column.name for column in COLUMNS if column.name not in {"time", "end_time", "writer", "seq"}]
_JSON = [column.name for column in COLUMNS if column.json]
_OURS = frozenset({"event_id", "kind", "trace_id", "span_id", "parent_id", "run_id", "experiment_id", "status"})
_OF_A_SPAN = """attributes->>'$."otel.source"' = 'span_event'"""


def rows(store: Store, experiment: str, kind: Kind, *, run: str | None = None) -> Iterator[dict[str, Any]]:
    """Give the rows of one kind in the order of time, JSON parsed; spans with their events as `span_events`.

    Left out are open spans, corrections (they are applied), and events that stand within a span that is given.
    """
    where = _where(experiment, run)
    for part in _parts(store, f"{where} AND kind = '{kind}'"):
        for row in _fetched(store, _query(kind, where, part)):
            yield _leaving(store, row)


def open_spans(store: Store, experiment: str, *, run: str | None = None) -> int:
    """Count the spans that have not ended."""
    query = f"SELECT count(*) FROM events WHERE {_where(experiment, run)} AND kind = 'span' AND status = 'open'"
    return int(store.rows(query)[0][0])


def _where(experiment: str, run: str | None) -> str:
    where = f"experiment_id = '{experiment_id(experiment)}'"
    return where if run is None else f"{where} AND run_id = '{run.replace(chr(39), chr(39) * 2)}'"


def _parts(store: Store, where: str) -> list[str]:
    """Conditions that divide long rows by time, so that each part can be sorted in memory; DuckDB spills short ones."""
    [(size, count)] = store.rows(f"SELECT coalesce(sum({TEXT_BYTES}), 0), count(*) FROM events WHERE {where}")
    if size <= max(_PART_BYTES, count * _SHORT):
        return [""]
    query = f"""WITH sizes AS (
            SELECT start_ns, sum({TEXT_BYTES}) AS size FROM events WHERE {where} AND start_ns IS NOT NULL GROUP BY 1)
        SELECT min(start_ns) FROM (
            SELECT start_ns, sum(size) OVER (ORDER BY start_ns) // {_PART_BYTES} AS part FROM sizes)
        GROUP BY part ORDER BY 1"""
    cuts = [start for (start,) in store.rows(query)][1:]
    if not cuts:
        return [""]
    between = (f" AND start_ns >= {one} AND start_ns < {other}" for one, other in pairwise(cuts))
    return [f" AND start_ns < {cuts[0]}", *between, f" AND (start_ns >= {cuts[-1]} OR start_ns IS NULL)"]


def _fetched(store: Store, query: str) -> Iterator[dict[str, Any]]:
    import duckdb

    try:
        for batch in store.sql(query).to_arrow_reader(_READ):
            yield from batch.to_pylist()
    except duckdb.Error as error:
        raise refusal(error) from None


def _query(kind: Kind, where: str, part: str) -> str:
    columns = ", ".join(f's."{name}"' for name in _NAMES)
    ended = f"FROM events WHERE {where} AND kind = 'span' AND status IS DISTINCT FROM 'open'"
    if kind == "span":
        return f"""SELECT {columns}, span_events FROM (SELECT * {ended}{part}) s LEFT JOIN (
            SELECT trace_id, span_id, list({{'name': name, 'start_ns': start_ns, 'attributes': attributes}}
                                           ORDER BY start_ns, seq) AS span_events
            FROM events WHERE {where} AND kind = 'event' AND {_OF_A_SPAN} GROUP BY trace_id, span_id
        ) e USING (trace_id, span_id) ORDER BY s.start_ns"""
    if kind == "event":
        return f"""SELECT {columns} FROM (SELECT * FROM events WHERE {where} AND kind = 'event'{part}) s
            WHERE s.name IS DISTINCT FROM '{AMENDED}' AND NOT (coalesce({_OF_A_SPAN}, FALSE) AND EXISTS (
                SELECT 1 FROM (SELECT trace_id, span_id {ended}) x
                WHERE x.trace_id = s.trace_id AND x.span_id = s.span_id)) ORDER BY s.start_ns"""
    return f"SELECT {columns} FROM events s WHERE {where} AND kind = 'metric'{part} ORDER BY name, start_ns"


def _leaving(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in row.items() if value is not None}
    for name in _JSON:
        if name in found:
            found[name] = _parsed(store, found[name])
    for event in found.get("span_events") or []:
        event["attributes"] = _parsed(store, event["attributes"]) if event["attributes"] is not None else {}
    return {key: value if key in _OURS else _redacted(key, value) for key, value in found.items()}


def _redacted(column: str, value: Any) -> Any:
    """The second gate: what was written before a rule was known goes now; what cannot be looked through goes too."""
    try:
        return redact(value)
    except Exception:  # noqa: BLE001  # it fails closed
        empty: dict[str, Any] = {
            "attributes": {"tele.redaction": FAILED},
            "resource": {},
            "links": [],
            "span_events": [],
        }
        return empty.get(column, FAILED)


def _parsed(store: Store, text: str) -> Any:
    if text.startswith("blob:"):
        return _json(_body(store, text), text)
    value = orjson.loads(text)
    if '"$blob"' not in text:
        return value
    if _is_mark(value):  # all attributes of a row, moved out together
        return _json(_body(store, value["$blob"]), value)
    return _restored(store, value)


def _restored(store: Store, value: Any) -> Any:
    """Put texts that were moved out of their line back, unless they were cut or are too large to send."""
    if isinstance(value, list):
        return [_restored(store, item) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_mark(value):
        body = _body(store, value["$blob"])
        return value if body is None else body.decode("utf-8", "replace")
    return {key: _restored(store, item) for key, item in value.items()}


def _is_mark(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"$blob", "length"} and isinstance(value["$blob"], str)


def _json(body: bytes | None, otherwise: Any) -> Any:
    return otherwise if body is None else orjson.loads(body)


def _body(store: Store, reference: str) -> bytes | None:
    """A body that the store has, unless it is too large to send; a reference that leads nowhere stays as it is."""
    try:
        body = store.blob(reference)
    except (UnknownTarget, DamagedFile, OSError):
        return None
    return body if len(body) <= INLINE_BYTES else None
