"""`tele tail`: what was recorded last, and then what is being recorded, by any process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tele.cli.output import safe, write_line
from tele.cli.reading import known_experiment
from tele.store.journals import headers, read_tail
from tele.store.layout import Layout
from tele.store.manifest import Sealed
from tele.store.reader import open_store

__all__ = ["tail"]

_POLL_SECONDS = 0.25
_COLUMNS = (
    *("start_ns", "experiment", "condition", "kind", "name", "status", "duration_ms", "model"),
    *("input_tokens", "output_tokens", "cost_usd", "value", "unit", "error_message"),
)


def tail(store: Path | None, experiment: str | None, lines: int, *, follow: bool) -> None:
    """Print the last `lines` events and, with `follow`, each new one until Ctrl-C."""
    with open_store(store) as reader:
        where = f"WHERE experiment = {known_experiment(reader, experiment)}" if experiment else ""
        query = f"""SELECT {", ".join(_COLUMNS)} FROM
                    (SELECT *, coalesce(end_ns, start_ns) AS moment FROM events {where}
                     ORDER BY moment DESC NULLS LAST LIMIT {int(lines)})
                    ORDER BY moment"""
        for row in reader.rows(query):
            write_line(_line(dict(zip(_COLUMNS, row, strict=True))))
        layout, positions = reader.layout, dict(reader.positions)
    while follow:
        for record in _new(layout, positions):
            if experiment is None or record.get("experiment") == experiment:
                write_line(_line(record))
        sys.stdout.flush()  # a pipe's reader waits for it
        time.sleep(_POLL_SECONDS)


def _new(layout: Layout, positions: dict[str, Sealed]) -> Iterator[dict[str, Any]]:
    """Records behind `positions`, which move on."""
    for header in headers(layout):
        found = read_tail(header, positions.get(header.writer))
        positions[header.writer] = Sealed(header.process, found.scan.end, found.scan.next)
        for line in found.scan.lines:
            record = orjson.loads(line)
            if record.get("end_ns") is not None and record.get("start_ns") is not None:
                record.setdefault("duration_ms", (record["end_ns"] - record["start_ns"]) / 1e6)
            yield record


def _line(record: dict[str, Any]) -> str:
    """One event as one line: when, where, what, how long, how much."""
    start = record.get("start_ns")
    when = (
        time.strftime("%H:%M:%S", time.localtime(start / 1e9)) + f".{start // 1_000_000 % 1000:03d}"
        if start
        else "--:--:--.---"
    )
    where = "/".join(filter(None, (record.get("experiment"), record.get("condition"))))
    facts = [
        f"{record['duration_ms']:,.1f} ms" if record.get("duration_ms") is not None else "",
        f"{record['value']:g} {record.get('unit') or ''}".strip() if record.get("value") is not None else "",
        f"{record.get('input_tokens') or 0}→{record.get('output_tokens') or 0} tokens"
        if record.get("output_tokens")
        else "",
        f"${record['cost_usd']:.4f}" if record.get("cost_usd") else "",
        record.get("error_message") or "",
    ]
    mark = {"error": "✗", "open": "…"}.get(record.get("status") or "", " ")
    return safe(f"{when} {mark} {where}  {record.get('name')}  {'  '.join(filter(None, facts))}".rstrip()).replace(
        "\n", "⏎"
    )
