"""A stored experiment to an OTLP endpoint: read in batches, corrections applied, redacted once more, sent."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tele.errors import NotSent, UnknownExperiment, UnknownTarget
from tele.store.names import experiment_id
from tele.store.reader import Store, open_store
from tele.telemetry.ingest.protobuf import Signal
from tele.telemetry.otel.outward import Row, request
from tele.telemetry.otel.sending import PATIENCE, Endpoint, NoPath, TooLarge, endpoint, public
from tele.telemetry.otel.stored import Kind, open_spans, rows
from tele.telemetry.process import process

__all__ = ["BATCH", "BATCH_BYTES", "Replayed", "replay", "send"]

BATCH = 512
"""Items of one request."""
BATCH_BYTES = 4 << 20
"""Bytes of one request before it is compressed, nearly; an item that is larger goes alone."""
_SIGNALS: tuple[tuple[Signal, Kind], ...] = (("traces", "span"), ("logs", "event"), ("metrics", "metric"))
_NAMED: dict[Signal, str] = {"traces": "spans", "logs": "log records", "metrics": "data points"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was sent."""

    endpoint: str
    spans: int
    span_events: int
    log_records: int
    data_points: int
    open: int
    """Spans that have not ended: left out, an endpoint would take them for ended ones."""
    requests: int
    rejected: int
    """Items that the endpoint says it did not take."""
    messages: tuple[str, ...]
    """What it says of them, each text once."""


def replay(
    experiment: str,
    url: str | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    run: str | None = None,
    protocol: str | None = None,
    compression: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    patience: float = PATIENCE,
    on_progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Send a stored experiment to an OTLP endpoint over HTTP: spans with their events, log records and metrics.

    `url` is the base address (`/v1/traces` and the like are appended); what is not said is taken from
    `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS`, `_PROTOCOL`, `_COMPRESSION` and `_TIMEOUT`. `run` sends one run alone.
    `protocol` is `http/protobuf` or `http/json`, `compression` `gzip` or `none`; `timeout` in seconds is that of one
    try, and a request is tried again for `patience` seconds. `on_progress` is called with the items sent so far.

    Corrections are applied, secrets are looked for again before a byte leaves. Sending twice sends everything twice.
    Raises UnknownExperiment, NotSent where the endpoint refuses or does not answer, BadInput for an option that cannot
    be used, or what `tele.open` raises.
    """
    where = process.settings.store if store is None else Path(store)
    with open_store(where, experiment=experiment) as reader:
        return send(
            reader,
            experiment,
            url,
            run=run,
            protocol=protocol,
            compression=compression,
            headers=headers,
            timeout=timeout,
            patience=patience,
            on_progress=on_progress,
        )


def send(
    reader: Store,
    experiment: str,
    url: str | None = None,
    *,
    run: str | None = None,
    on_progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Replayed:
    """Send an experiment of a store that is open; see `replay`. `options` are those of `endpoint`."""
    to = endpoint(url, **options)
    _known(reader, experiment, run)
    sender = _Sender(to, on_progress)
    for signal, kind in _SIGNALS:
        sender.send_all(rows(reader, experiment, kind, run=run), signal)
    return sender.report(open_spans(reader, experiment, run=run))


def _known(reader: Store, experiment: str, run: str | None) -> None:
    """Raise UnknownExperiment or UnknownTarget where there is nothing to send."""
    here = "SELECT 1 FROM events WHERE experiment_id = ?"
    given = [experiment_id(experiment)]
    if not reader.rows(f"{here} LIMIT 1", given):
        names = [name for (name,) in reader.rows("SELECT experiment FROM experiments")]
        raise UnknownExperiment(experiment, get_close_matches(experiment, names, 3))
    if run is not None and not reader.rows(f"{here} AND run_id = ? LIMIT 1", [*given, run]):
        raise UnknownTarget(run)


class _Sender:
    """Sends in batches and counts."""

    def __init__(self, to: Endpoint, on_progress: Callable[[int], None] | None) -> None:
        self.to = to
        self.on_progress = on_progress
        self.counts: Counter[str] = Counter()
        self.messages: dict[str, None] = {}
        self.refused: set[Signal] = set()
        """Signals that an endpoint which took another has no place for: counted, no longer sent."""

    def send_all(self, found: Iterable[Row], signal: Signal) -> None:
        """Send all rows of one signal."""
        batch: list[Row] = []
        size = 0
        for row in found:
            more = _size(row)
            if batch and (len(batch) == BATCH or size + more > BATCH_BYTES):
                self._send(batch, signal)
                batch, size = [], 0
            batch.append(row)
            size += more
        if batch:
            self._send(batch, signal)

    def _send(self, batch: list[Row], signal: Signal) -> None:
        if signal in self.refused:
            self.counts["rejected"] += len(batch)
            return
        try:
            rejected, message = self.to.send(request(batch, signal), signal)
        except NoPath as error:
            if not self.counts["requests"]:  # the address is wrong, as far as anybody knows
                raise
            self.refused.add(signal)
            self.counts["rejected"] += len(batch)
            self.messages[f"no {_NAMED[signal]} are taken ({error.why})"] = None
            return
        except TooLarge:
            if len(batch) == 1:
                raise NotSent(
                    public(self.to.urls[signal]), f"one item of {_size(batch[0]):,} bytes is too large for it"
                ) from None
            middle = len(batch) // 2
            self._send(batch[:middle], signal)
            self._send(batch[middle:], signal)
            return
        self.counts["requests"] += 1
        self.counts["rejected"] += rejected
        self.counts[signal] += len(batch)
        self.counts["span_events"] += sum(len(row.get("span_events") or ()) for row in batch)
        if message:
            self.messages[message] = None
        if self.on_progress is not None:
            self.on_progress(sum(self.counts[name] for name, _ in _SIGNALS))

    def report(self, unended: int) -> Replayed:
        """Say what was sent."""
        return Replayed(
            endpoint=public(self.to.urls["traces"]).removesuffix("/v1/traces"),
            spans=self.counts["traces"],
            span_events=self.counts["span_events"],
            log_records=self.counts["logs"],
            data_points=self.counts["metrics"],
            open=unended,
            requests=self.counts["requests"],
            rejected=self.counts["rejected"],
            messages=tuple(self.messages),
        )


def _size(value: Any) -> int:
    """Bytes of a row on the wire, nearly."""
    if isinstance(value, str):
        return len(value) + 4
    if isinstance(value, dict):
        return sum(len(key) + 8 + _size(item) for key, item in value.items())
    return sum(map(_size, value)) if isinstance(value, list) else 8
