"""Streaming figures of a run that goes on: what was there is asked once, what comes is read from the journals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tele.analysis.scope import Scope, census
from tele.analysis.streaming import Moments, Streamed, StreamingMetrics
from tele.errors import UnknownExperiment
from tele.store.amend import AMENDED
from tele.store.journals import Header, headers, read_tails
from tele.store.manifest import Sealed
from tele.store.names import DEFAULT_EXPERIMENT, experiment_id
from tele.store.reader import Store, open_store
from tele.store.views import COUNTED, PLAIN
from tele.telemetry.process import process

__all__ = ["LiveMetrics"]

_ANEW = frozenset({AMENDED, *(f"tele.experiment.{what}" for what in ("archived", "superseded", "pruned"))})
"""Events that change what was read before."""


class LiveMetrics:
    """The figures of an experiment while it runs, in this process or in others.

    `poll()` reads only what the journals gained since the last one. Where that does not do (a correction, a run that
    was archived, a journal that went before its end was read), everything is asked again: `anew` counts that.
    """

    def __init__(self, experiment: str, *, on: str = "llm", store: Path | str | None = None) -> None:
        """Begin with what the store at `store` (else the one that this process records into) holds of `experiment`.

        `on` is as for `StreamingMetrics`. An experiment that is not there yet counts nothing. Raises what `tele.open`
        raises.
        """
        self.experiment = experiment
        self._where = process.settings.store if store is None else Path(store)
        self._ids = {experiment_id(experiment), experiment}
        self.metrics = StreamingMetrics(on)
        self.anew = -1
        self._read_all()

    def poll(self) -> Streamed:
        """Read what is new, and return the figures. Raises what `tele.open` raises."""
        there = list(headers(self._layout))
        gone = self._positions.keys() - {header.writer for header in there} - self._whole
        if gone or not all(self._read(header) for header in there):
            self._read_all()
        return self.metrics.figures()

    def reset(self) -> None:
        """Begin to count at this moment."""
        self.poll()
        self.metrics.reset()

    def _read(self, header: Header) -> bool:
        """Fold what one journal gained; False where that does not do."""
        for tail in read_tails(header, self._positions.get(header.writer)):
            self._positions[header.writer] = Sealed(header.process, tail.scan.end, tail.scan.next)
            if tail.ended and not tail.scan.torn:
                self._whole.add(header.writer)
            for line in tail.scan.lines:
                record = orjson.loads(line)
                if record.get("name") in _ANEW:
                    return False
                if self._ours(record):
                    self.metrics.add(record)
        return True

    def _ours(self, record: dict[str, Any]) -> bool:
        name = record.get("experiment", DEFAULT_EXPERIMENT)
        return name == self.experiment or record.get("experiment_id") in self._ids

    def _read_all(self) -> None:
        self.anew += 1
        with open_store(self._where) as reader:
            self._layout = reader.layout
            self._positions = dict(reader.positions)
            self._whole: set[str] = set()
            self.metrics = StreamingMetrics(self.metrics.on)
            try:
                seen = census(reader, self.experiment)
            except UnknownExperiment:
                return
            self.metrics.events.update(seen.summary.event_types)
            _fold(reader, seen.scope, self.metrics)


def _fold(reader: Store, scope: Scope, into: StreamingMetrics) -> None:
    """Put what the store holds of the experiment into `into`."""
    source, params = _requests(into.on, scope)
    unpriced = "coalesce(input_tokens, output_tokens) IS NOT NULL"
    if into.on == "llm":
        unpriced = f"(success IS NOT FALSE OR {unpriced})"
    rows = reader.rows(
        f"""SELECT success, count(*), sum(input_tokens)::BIGINT, sum(output_tokens)::BIGINT,
            count(*) FILTER (cost_usd IS NULL AND {unpriced}),
            {_moments("duration_ms")}, {_moments("cost_usd")}
        FROM {source} AND status IS DISTINCT FROM 'open' GROUP BY success""",
        params,
    )
    for success, count, read, written, unknown, *moments in rows:
        into.outcomes[success] += count
        into.tokens.update(input=read or 0, output=written or 0)
        into.unpriced += unknown
        if success is not False:
            into.latency.merge(_moments_of(moments[:5]))
        into.cost.merge(_moments_of(moments[5:]))
    begun = reader.rows(f"SELECT event_id FROM events WHERE {scope.where} AND status = 'open'", scope.params)
    asked = reader.rows(f"SELECT event_id FROM {source} AND status = 'open'", params)
    into.open |= dict.fromkeys((row[0] for row in begun), False) | dict.fromkeys((row[0] for row in asked), True)
    spans = f"SELECT trace_id, span_id, parent_id FROM events WHERE {scope.where}"
    ended = f"{spans} AND kind = 'span' AND status <> 'open'"
    above = f"""WITH RECURSIVE plain AS MATERIALIZED ({ended} AND {PLAIN} AND parent_id IS NOT NULL),
        above AS (
            SELECT trace_id, parent_id FROM ({spans} AND {COUNTED} AND parent_id IS NOT NULL)
            UNION
            SELECT plain.trace_id, plain.parent_id FROM above
            JOIN plain ON plain.trace_id = above.trace_id AND plain.span_id = above.parent_id)
        SELECT trace_id, parent_id FROM above ANTI JOIN ({ended}) AS ended ON ended.span_id = above.parent_id"""
    into.parents |= set(reader.rows(above, scope.params))


def _requests(on: str, scope: Scope) -> tuple[str, list[object]]:
    where, params = scope.where, scope.params
    match on:
        case "llm":
            return f"llm_calls WHERE {where}", params
        case "root":
            return f"events WHERE {where} AND kind = 'span' AND parent_id IS NULL", params
        case "all":
            return f"events WHERE {where} AND kind = 'span'", params
        case name:
            return f"events WHERE {where} AND kind = 'span' AND name = ${len(params) + 1}", [*params, name]


def _moments(column: str) -> str:
    return f"count({column}), favg({column}), var_samp({column}), min({column}), max({column})"


def _moments_of(row: list[Any]) -> Moments:
    count, mean, variance, least, most = row
    return Moments(count, mean or 0.0, (variance or 0.0) * (count - 1) if count else 0.0, least, most)
