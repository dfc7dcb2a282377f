"""Foreign records as lines of a journal: whose they are, what they cost, secrets out, large bodies in blobs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson

from tele.store import blobs
from tele.store.layout import Layout
from tele.store.names import experiment_id
from tele.telemetry.encode import encode
from tele.telemetry.fields import clean_keys
from tele.telemetry.pricing import add_cost

__all__ = ["Lines", "Sealer"]

_NESTED = frozenset({"input", "links", "output", "tags"})
_MAY_COST = frozenset({"input_tokens", "output_tokens", "model"})
_SCALARS = frozenset({str, int, float, bool})
_MOST_SCOPES = 10_000


class Lines:
    """Makes the lines of one store."""

    def __init__(self, layout: Layout, *, durable: bool = False) -> None:
        """Take the store; with `durable` a blob is on the disk before the line that names it is made."""
        self.layout = layout
        self.durable = durable
        self._scopes: dict[str, bytes] = {}

    def scope(self, experiment: str) -> bytes:
        """Give the beginning of each line of an experiment: a brace and its identity."""
        known = self._scopes.get(experiment)
        if known is None:
            if len(self._scopes) >= _MOST_SCOPES:  # names made of data would fill the memory
                self._scopes.clear()
            facts = {"experiment": experiment, "experiment_id": experiment_id(experiment)}
            known = self._scopes[experiment] = orjson.dumps(facts)[:-1] + b","
        return known

    def body(self, record: dict[str, Any]) -> bytes:
        """Give the rest as a JSON object, with the cost where that is known; raises OSError where a blob fails."""
        if record.get("kind") == "span" and not _MAY_COST.isdisjoint(record):
            add_cost(record)
        return encode(record, self._put, self.layout.hash_key, flat=_flat(record))

    def _put(self, body: bytes) -> str:
        return blobs.put(self.layout.blobs, body, durable=self.durable)


def _flat(record: dict[str, Any]) -> bool:
    """Whether nothing in the record is nested and no key in it names a secret."""
    if not _NESTED.isdisjoint(record):
        return False
    for name in ("attributes", "resource"):
        held = record.get(name)
        if held and not (_SCALARS.issuperset(map(type, held.values())) and clean_keys(tuple(held))):
            return False
    return True


class Sealer:
    """Seals in a process of its own while the next records are read: its memory is its own, and so is its core."""

    def __init__(self, layout: Layout) -> None:
        self._command = [sys.executable, "-m", "tele", "seal", "--quiet", "--store", str(layout.root)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def busy(self) -> bool:
        """Whether a process that was started is still at work."""
        return self._process is not None and self._process.poll() is None

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
