"""Foreign files into a store: the same way that a process's own records take, through a journal of their own."""

from __future__ import annotations

import subprocess
import sys
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
from tele.telemetry.ingest.digests import DIGEST_SQL, Digests, digest
from tele.telemetry.ingest.driver import IngestReport, ingest
from tele.telemetry.pricing import add_cost

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
        self.layout = layout
        self.journal = Journal(layout, "buffered")
        self._sealer = _Sealer(layout)
        self._size = 0
        self._scopes: dict[str, bytes] = {}

    def close(self) -> None:
        """Finish the journal."""
        self.journal.close()
        self._sealer.wait()

    def sealed(self) -> bool:
        """Have the last journal sealed like those before it, and say whether that was done."""
        return self._size >= SMALL_BYTES and self._sealer.start() and self._sealer.wait()

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
        self._size += len(scope) + len(body)
        if self._size >= JOURNAL_BYTES:
            self.journal.close()
            self._sealer.start()
            self._size = 0

    def _put(self, body: bytes) -> str:
        return blobs.put(self.layout.blobs, body)


class _Sealer:
    """Seals in a process of its own while the next records are read: its memory is its own, and so is its core."""

    def __init__(self, layout: Layout) -> None:
        self._command = [sys.executable, "-m", "tele", "seal", "--quiet", "--store", str(layout.root)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Begin when the one before is through, so that no more than two journals wait; whether it could begin."""
        self.wait()
        quiet = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(self._command, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603  # ourselves
        except OSError:  # no process to be had: what is written is sealed at the end
            return False
        return True

    def wait(self) -> bool:
        """Wait for the process, where there is one; whether it sealed."""
        process, self._process = self._process, None
        return process is not None and process.wait() == 0


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
