"""What the kill tests interrupt: how to make a store that has work for each, and what it must not change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tele
from tele.store.layout import open_layout
from tele.store.seal import seal
from tele.telemetry.ambient import ambient
from tele.testing import temporary_store

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "stores"
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Phase:
    """One operation that may be killed."""

    job: str
    """Its name in `jobs.py`."""
    command: tuple[str, ...]
    """The same as a command of `tele`."""
    prepare: Callable[[Path], object]
    """Makes a store that the operation has work in."""
    keeps: str = "name NOT LIKE 'tele.%'"
    """SQL condition of the rows that the operation must not change."""
    readable: bool = True
    """Whether a reader finds the store sound before and during the operation."""


def generation(store: Path, spans: int = 150, *, experiments: int = 2, age_ns: int = 0, name: str = "e") -> None:
    """Record one journal, that of a process which has ended; one span of it stays open."""
    now = ambient.now
    with temporary_store(store):
        ambient.now = lambda: now() - age_ns
        try:
            for number in range(experiments):
                with tele.experiment(f"{name}{number}"):
                    for n in range(spans):
                        with tele.span("work", n=n, text="x" * n):
                            pass
            tele.flush()
        finally:
            ambient.now = now


def unsealed(store: Path) -> None:
    """Three journals of six experiments."""
    for _ in range(3):
        generation(store, 60, experiments=6)


def small_segments(store: Path) -> None:
    """Eight segments, and a journal that is not sealed."""
    for _ in range(4):
        generation(store)
        seal(open_layout(store))
    generation(store, 40)


def damaged(store: Path) -> None:
    """A segment with a flipped bit, whose journal is still there, and a journal with a flipped bit."""
    small_segments(store)
    for path in (min(store.glob("segments/*/*.parquet")), max(store.glob("journal/*.jsonl"))):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def old_and_new(store: Path) -> None:
    """Segments of a year ago and of today."""
    for _ in range(2):
        generation(store, age_ns=365 * DAY_NS, name="old")
        generation(store, name="new")
        seal(open_layout(store))


def format_1(store: Path) -> None:
    """The store that the first release wrote."""
    shutil.copytree(GOLDEN / "format-1", store)


PHASES = (
    Phase("seal", ("seal",), unsealed),
    Phase("compact", ("compact",), small_segments),
    Phase("repair", ("repair",), damaged, readable=False),
    Phase("upgrade", ("store", "upgrade"), format_1, keeps="true"),
    Phase("prune", ("store", "prune", "--older-than", "30d"), old_and_new, keeps="experiment LIKE 'new%'"),
)
