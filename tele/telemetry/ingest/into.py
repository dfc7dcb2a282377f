"""Foreign files into a store: the same way that a process's own records take, through a journal of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tele.errors import StoreBusy, StoreNotWritable
from tele.store.journal import Journal
from tele.store.layout import Layout
from tele.store.lease import lease
from tele.store.names import experiment_id
from tele.store.reader import Store
from tele.store.seal import seal
from tele.telemetry.ingest.digests import DIGEST_SQL, Digests, digest
from tele.telemetry.ingest.driver import IngestReport, ingest
from tele.telemetry.ingest.lines import Lines, Sealer

__all__ = ["ingest_into"]

JOURNAL_BYTES = 256 * 1024 * 1024
"""A journal as long as this is finished and sealed while the next is written."""
SMALL_BYTES = 32 * 1024 * 1024
"""Less than this is sealed by the process that wrote it: a process of its own takes longer to start."""


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
    with lease(layout, wait=5.0, name="ingest"), Digests() as ids:
        known = _Known(layout, experiment, ids)
        writer = _Writer(layout)
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
            writer.close()
    if dropped := writer.journal.dropped:
        raise StoreNotWritable(layout.root, f"{dropped.total():,} records were not written ({next(iter(dropped))})")
    if report.added and not writer.sealed():
        with suppress(StoreBusy):  # the records are in the journal: whoever seals next takes them
            seal(layout, wait=30.0)
    return report


class _Writer:
    """Appends records to journals of its own; each that is full is finished, so that it can be sealed and go."""

    def __init__(self, layout: Layout) -> None:
        self.journal = Journal(layout, "buffered")
        self._lines = Lines(layout)
        self._sealer = Sealer(layout)
        self._size = 0

    def close(self) -> None:
        """Finish the journal."""
        self.journal.close()
        self._sealer.wait()

    def sealed(self) -> bool:
        """Have the last journal sealed like those before it, and say whether that was done."""
        return self._size >= SMALL_BYTES and self._sealer.start() and self._sealer.wait()

    def append(self, record: dict[str, Any]) -> None:
        """Write one record with its experiment's identity, and its cost where that is known."""
        scope = self._lines.scope(record.pop("experiment"))
        record.pop("experiment_id", None)
        line = scope + self._lines.body(record)[1:-1]
        self.journal.append(line)
        self._size += len(line)
        if self._size >= JOURNAL_BYTES:
            self.journal.close()
            self._sealer.start()
            self._size = 0


class _Known:
    """Which event ids of one experiment the store has."""

    def __init__(self, layout: Layout, experiment: str, ids: Digests) -> None:
        """Fill `ids`. The store is closed again: as long as it is open, nothing that it reads may go."""
        self._ids = ids
        self._any = False
        of_this = f"FROM events_raw WHERE experiment_id = '{experiment_id(experiment)}'"
        with Store(layout) as store:
            self._any = bool(store.rows(f"SELECT 1 {of_this} LIMIT 1"))
            if self._any:
                ids.fill(store.sql(f"SELECT {DIGEST_SQL} {of_this}").to_arrow_reader(100_000))

    def __call__(self, ids: list[str]) -> set[str]:
        if not self._any:
            return set()
        digests = {digest(event_id): event_id for event_id in ids}
        return {digests[known] for known in self._ids.counts(digests)}
