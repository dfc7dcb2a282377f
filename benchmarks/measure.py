"""The harness: sides of one comparison take turns, and only ratios of neighbours are kept.

A machine that is shared or warm changes its speed within seconds. Two sides that run one after the other in the same
round see the same machine, so the ratio of each round is formed first and the median of those ratios is what is
reported.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

__all__ = [
    "ROUNDS",
    "Child",
    "Race",
    "Ratio",
    "Row",
    "Settings",
    "Table",
    "child",
    "cpu",
    "missing",
    "race",
    "row",
    "wall",
]

ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes of one run."""

    rounds: int = ROUNDS
    spans: int = 20_000
    """Spans of one timed round."""
    common: int = 100_000
    """Spans of the common workload: seal, size, question."""
    large: int = 1_000_000
    """Events of the large store: analysis, percentiles, one trace, memory."""
    scale: int = 800_000
    """Events of the growing store at its largest, and of each of the other shapes."""


QUICK = Settings(rounds=3, spans=4_000, common=10_000, large=40_000, scale=20_000)


class Ratio(NamedTuple):
    """Median of the ratios of all rounds, and their range."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    """What `--only` selects."""
    what: str
    ours: str
    against: str
    value: Ratio | None
    """What is held: a ratio, or a quantity in `unit`. None where it could not be measured."""
    hold: float | None
    unit: str = "x"
    note: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the median keeps the budget; None where nothing was measured or no budget is set."""
        return None if self.value is None or self.hold is None else self.value.median <= self.hold


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that stand side by side: a curve, or neighbours."""

    name: str
    title: str
    columns: tuple[str, ...]
    """The first one is what the others are given for; units stand in the names."""
    lines: tuple[tuple[str | float | int | None, ...], ...]
    note: str = ""


@dataclass(slots=True)
class Race:
    """Costs of each side, round by round, in the order in which they ran."""

    costs: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, ours: str, against: str) -> Ratio:
        """Cost of `ours` over that of `against`, formed within each round."""
        found = [a / b for a, b in zip(self.costs[ours], self.costs[against], strict=True)]
        return Ratio(median(found), min(found), max(found))

    def spread(self, side: str) -> Ratio:
        """Median, least and greatest cost of one side."""
        found = self.costs[side]
        return Ratio(median(found), min(found), max(found))

    def difference(self, ours: str, against: str) -> Ratio:
        """Cost of `ours` less that of `against`, formed within each round."""
        found = [a - b for a, b in zip(self.costs[ours], self.costs[against], strict=True)]
        return Ratio(median(found), min(found), max(found))


def race(sides: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> Race:
    """Run every side once per round, the first one rotating, after one round that does not count.

    A side returns its own cost (see `cpu` and `wall`), so that what it has to set up stays outside.
    """
    names = list(sides)
    found = Race({name: [] for name in names})
    for number in range(-1, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()
            cost = sides[name]()
            if number >= 0:
                found.costs[name].append(cost)
    return found


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that `work` takes in this process, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def wall(work: Callable[[], object]) -> float:
    """Seconds by the clock that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Child:
    """What one child process took."""

    cpu: float
    """Seconds, user and system."""
    wall: float
    """Seconds."""
    peak: int
    """Largest resident set, bytes."""


# A child's largest resident set begins at that of the process it was forked from; a small one between keeps ours out.
_BETWEEN = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss)
sys.exit(process.returncode)
"""


def child(arguments: Sequence[str]) -> Child:
    """Run this interpreter with `arguments`, its output thrown away; raises CalledProcessError where it fails."""
    command = [sys.executable, "-c", _BETWEEN, *arguments]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return Child(float(said[0]), float(said[1]), int(said[2]) * unit)


def row(
    name: str, what: str, found: Race, ours: str, against: str, hold: float | None, *, per: float, note: str = ""
) -> Row:
    """Make a row of a ratio; `per` is how many things one round did, for the two costs beside it."""
    left, right = (f"{side}: {_seconds(found.spread(side).median / per)}" for side in (ours, against))
    return Row(name, what, left, right, found.ratio(ours, against), hold, note=note)


def missing(name: str, what: str, against: str, hold: float | None, error: ImportError) -> Row:
    """Make a row that says which library is absent."""
    return Row(name, what, "not measured", against, None, hold, note=f"not installed: {error.name}")


def _seconds(value: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
