"""Foreign files into a store: the same way that a process's own records take, through a journal of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from tele.errors import StoreBusy, StoreNotWritable
from tele.store import blobs
from tele.store.journal import Journal
from tele.store.layout import Layout
from tele.store.lease import lease
from tele.store.names import experiment_id
from tele.store.reader import Store
from tele.store.seal import seal
from tele.telemetry.encode import encode
from tele.telemetry.ingest.driver import IngestReport, ingest
from tele.telemetry.pricing import add_cost

__all__ = ["ingest_into"]


def ingest_into(
    layout: Layout,
    paths: Sequence[str | Path],
    *,
    experiment: str,
    format: str | None = None,  # noqa: A002  # the option's name on the command line
    select: str | None = None,
    strict: bool = False,
    on_progress: Callable[[str, int], None] | None = None,
) -> IngestReport:
    """Bring files into the store and seal them; see `ingest` for what it takes and raises.

    A cost that the source does not state follows from the price table. Raises StoreBusy while another ingest runs and
    StoreNotWritable where records could not be written; whatever was written then is found again by the next try.
    """
    with lease(layout, wait=5.0, name="ingest"), Store(layout) as store:
        writer = _Writer(layout)
        known = _Known(store, experiment)
        try:
            report = ingest(
                paths,
                append=writer.append,
                known=known,
                experiment=experiment,
                format=format,
                select=select,
                strict=strict,
                on_progress=on_progress,
            )
        finally:
            writer.journal.close()
    if dropped := writer.journal.dropped:
        raise StoreNotWritable(layout.root, f"{dropped.total():,} records were not written ({next(iter(dropped))})")
    if report.added:
        with suppress(StoreBusy):  # the records are in the journal: whoever seals next takes them
            seal(layout, wait=30.0)
    return report


class _Writer:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.journal = Journal(layout, "buffered")
        self._scopes: dict[str, bytes] = {}

    def append(self, record: dict[str, Any]) -> None:
        """Write one record with its experiment's identity, and its cost where that is known."""
        name = record.pop("experiment")
        scope = self._scopes.get(name)
        if scope is None:
            facts = {"experiment": name, "experiment_id": experiment_id(name)}
            scope = self._scopes[name] = orjson.dumps(facts)[:-1] + b","
        record.pop("experiment_id", None)
        if record.get("kind") == "span" and ("input_tokens" in record or "output_tokens" in record):
            add_cost(record)
        body = encode(record, self._put, self.layout.hash_key)
        self.journal.append(scope + body[1:-1])

    def _put(self, body: bytes) -> str:
        return blobs.put(self.layout.blobs, body)


class _Known:
    """Which event ids of one experiment the store has."""

    def __init__(self, store: Store, experiment: str) -> None:
        found = store.rows("SELECT event_id FROM events_raw WHERE experiment_id = ?", [experiment_id(experiment)])
        self._ids = {event for (event,) in found}

    def __call__(self, ids: list[str]) -> set[str]:
        return self._ids & set(ids)
