"""Runs that take no more records: milestones that are finished, in this process or in another."""

from __future__ import annotations

import re

import orjson

from tele.store.layout import Layout
from tele.telemetry.runs.claims import close, closed

__all__ = ["Closing"]

_RUN = re.compile(rb'\{"experiment":"(?:[^"\\]|\\.)*","experiment_id":"[^"]*","run_id":"(?:[^"\\]|\\.)*"')
"""The beginning of a record that says which run it is of."""
_ABOUT_IT = b'"kind":"event","name":"tele.'


class Closing:
    """What this process knows of them. Another process's run is looked up when a record comes after it was joined."""

    __slots__ = ("_closed", "_joined", "watches")

    def __init__(self) -> None:
        self.watches = False
        """Whether any record could be refused."""
        self._closed: set[tuple[str, bytes]] = set()
        self._joined: set[bytes] = set()

    def join(self, scope: bytes) -> None:
        """Hear that records of a run come that another process began; `scope` is the beginning of such a record."""
        if run := _RUN.match(scope):
            self._joined.add(run[0])
            self.watches = True

    def finish(self, layout: Layout, scope: bytes) -> None:
        """Take no more records of the run, and let other processes know. Raises OSError where that cannot be said."""
        if run := _RUN.match(scope):
            self._closed.add((layout.id, run[0]))
            self.watches = True
            close(layout.root, *_ids(run[0]))

    def refuses(self, layout: Layout, line: bytes) -> bool:
        """Whether `line` is of a run that is closed, and none of tele's own events about it."""
        for joined in tuple(self._joined):
            if closed(layout.root, *_ids(joined)):
                self._closed.add((layout.id, joined))
            self._joined.discard(joined)  # only now: another thread that comes meanwhile looks for itself
        run = _RUN.match(line) if self._closed else None
        return run is not None and (layout.id, run[0]) in self._closed and _ABOUT_IT not in line


def _ids(run: bytes) -> tuple[str, str]:
    facts = orjson.loads(run + b"}")
    return facts["experiment_id"], facts["run_id"]
