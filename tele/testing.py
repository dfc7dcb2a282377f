"""For tests of code that uses tele: a frozen clock, counting ids, a temporary store.

The pytest fixture `tele_store` is there wherever tele is installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tele.store.reader import Store

__all__ = ["CountingIds", "FrozenClock", "TemporaryStore", "tele_store", "temporary_store"]


class FrozenClock:
    """A clock that moves when told to; wall time and monotonic time move together."""

    def __init__(self, start_ns: int = 1_750_000_000_000_000_000) -> None:
        self.ns = start_ns

    def __call__(self) -> int:
        """Nanoseconds since the epoch."""
        return self.ns

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.ns += round(seconds * 1e9)


class CountingIds:
    """Ids that count up from one, so that whole records can be compared."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("event", "trace", "span", "run"), 0)

    def _next(self, kind: str) -> int:
        self.counts[kind] += 1
        return self.counts[kind]

    def event(self, ns: int) -> str:
        """32 hex digits; the time is not in them."""
        del ns
        return f"{self._next('event'):032x}"

    def trace(self, ns: int) -> str:
        """32 hex digits; the time is not in them."""
        del ns
        return f"{self._next('trace'):032x}"

    def span(self) -> str:
        """16 hex digits."""
        return f"{self._next('span'):016x}"

    def run(self, ns: int) -> str:
        """`r` and 20 hex digits; the time is not in them."""
        del ns
        return f"r{self._next('run'):020x}"


@dataclass
class TemporaryStore:
    """A store that recording goes to for a while."""

    path: Path
    clock: FrozenClock | None
    ids: CountingIds | None

    def open(self) -> Store:
        """Read what was recorded so far; close it, or use it with `with`."""
        from tele.store.reader import open_store

        return open_store(self.path)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Answer one query on what was recorded so far."""
        with self.open() as store:
            return store.rows(query)

    def seal(self) -> None:
        """Seal what was recorded so far."""
        from tele.store.layout import open_layout
        from tele.store.seal import seal

        seal(open_layout(self.path))


@contextmanager
def temporary_store(path: Path | None = None, *, frozen: bool = False) -> Iterator[TemporaryStore]:
    """Record into a store of its own within this block; sealing is left to `seal()`.

    `frozen=True` also puts a frozen clock and counting ids in place.
    """
    from tele.telemetry.ambient import ambient
    from tele.telemetry.configure import configure
    from tele.telemetry.process import process

    before = process.settings
    clock_before = ambient.now, ambient.monotonic, ambient.ids
    clock, ids = (FrozenClock(), CountingIds()) if frozen else (None, None)
    with tempfile.TemporaryDirectory() as folder:
        where = path or Path(folder) / ".tele"
        configure(store=where, seal="manual", sampling_rate=1.0, durability="process")
        if clock is not None and ids is not None:
            ambient.now = ambient.monotonic = clock
            ambient.ids = ids
        try:
            yield TemporaryStore(where, clock, ids)
        finally:
            ambient.now, ambient.monotonic, ambient.ids = clock_before
            process.set_up(before)
            process.lost.clear()
            process.warned.clear()


@pytest.fixture
def tele_store() -> Iterator[TemporaryStore]:
    """A temporary store that everything in the test records into."""
    with temporary_store() as store:
        yield store
