"""Writers, readers, a sealer and a compactor on one store, all at once and as fast as they can.

`python tests/faults/hot_loop.py --writers 16 --events 1000000`: at the end every event is there once, no role met an
error, and no reader saw a duplicate or a hole. It prints what each role did and how much memory it took.
"""

# ruff: noqa: T201  # a program: what it prints is what it is run for
from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tele
from tele.store.check import check
from tele.store.compact import compact
from tele.store.layout import Layout, open_layout, prepare
from tele.store.reader import open_store
from tele.store.seal import seal

WAIT = 3600.0
"""Seconds that the sealer and the compactor wait for each other."""
PAUSE = 0.1
"""Seconds between two rounds of a role: the lease has no queue, so who takes it again at once keeps the others out."""

# Count, greatest, sum and sum of squares tell whether the numbers are 0, 1, 2, ... each once; to count distinct ones
# among millions would cost a reader far more.
NUMBERS = """
    SELECT writer, count(*), max(seed), sum(seed::HUGEINT), sum(seed::HUGEINT * seed)
    FROM events_raw WHERE name = 'work' GROUP BY writer"""


@dataclass(frozen=True)
class Figures:
    """What one run of the loop did."""

    total: int
    """Events of the writers that are stored, those of the program itself left out."""
    seconds: float
    """From the first event to the last."""
    roles: dict[str, dict[str, float]]
    """By role: how often it did its work, and its greatest resident memory in MB."""
    findings: list[str]
    """What `tele check --deep` finds in the end."""


def write(store: Path, name: str, events: int, seconds: float) -> dict[str, float]:
    """Record `events` spans, spread over `seconds` where that is not 0."""
    tele.configure(store=store, seal="manual")
    begun, pause = time.monotonic(), seconds * 100 / max(events, 1)
    with tele.experiment("hot loop", condition=name):
        for number in range(events):
            with tele.span("work", seed=number):
                pass
            if pause and number % 100 == 99:
                time.sleep(pause)
    assert tele.dropped() == {}, tele.dropped()
    return {"events": events, "seconds": round(time.monotonic() - begun, 2)}


def read(layout: Layout) -> int:
    """Open the store, see that each writer's numbers are its first ones, each once; give how many there are."""
    with open_store(layout.root) as reader:
        assert reader.damage == (), reader.damage
        rows = reader.rows(NUMBERS)
    for writer, count, greatest, total, squares in rows:
        whole = (count - 1, count * (count - 1) // 2, (count - 1) * count * (2 * count - 1) // 6)
        assert (greatest, total, squares) == whole, f"{writer}: {count} rows are not 0 to {count - 1}, each once"
    return sum(count for _, count, *_ in rows)


def until(done: Path, work: Callable[[], int]) -> dict[str, float]:
    """Work again and again until the writers are done, and once after that; count when there was something to do."""
    rounds = useful = 0
    slowest = 0.0
    last = False
    while not last:
        last = done.exists()
        begun = time.monotonic()
        useful += work() > 0
        rounds, slowest = rounds + 1, max(slowest, time.monotonic() - begun)
        time.sleep(PAUSE)
    return {"rounds": rounds, "with work": useful, "slowest s": round(slowest, 2)}


def grown(layout: Layout) -> Callable[[], int]:
    """Reads that see what was there before and more, never less."""
    seen = 0

    def look() -> int:
        nonlocal seen
        found = read(layout)
        assert found >= seen, f"{seen} events had been seen, then {found}"
        grew, seen = found - seen, found
        return grew

    return look


def play(role: str, store: Path, events: int, seconds: float) -> None:
    """Be one role, in a process of its own: say `ready`, wait for the start, and print what was done."""
    layout = open_layout(store)
    work = {
        "reader": grown(layout),
        "sealer": lambda: seal(layout, wait=WAIT).rows,
        "compactor": lambda: compact(layout, wait=WAIT).before,
    }.get(role.rstrip("0123456789"))
    if work:
        work()  # loads what it needs
    print("ready", flush=True)
    while not store.with_name("go").exists():
        time.sleep(0.01)
    found = until(store.with_name("done"), work) if work else write(store, role, events, seconds)
    print(json.dumps(found | {"peak MB": round(peak_mb())}), flush=True)


def peak_mb() -> float:
    """Greatest resident memory of this process so far."""
    try:  # what getrusage says may be the parent's, from before the program was loaded
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


def run(store: Path, *, writers: int, events: int, seconds: float = 0.0) -> Figures:
    """Run all roles; raises AssertionError where one of them met an error."""
    prepare(store)
    roles = [*(f"writer{n}" for n in range(writers)), "reader1", "reader2", "sealer", "compactor"]
    command = [sys.executable, __file__, "--store", str(store), "--events", str(events), "--seconds", str(seconds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = {role: subprocess.Popen([*command, "--role", role], text=True, **pipes) for role in roles}
    for child in children.values():
        assert child.stdout is not None
        child.stdout.readline()
    begun = time.monotonic()
    store.with_name("go").touch()
    told = {role: finished(role, child) for role, child in children.items() if role.startswith("writer")}
    took = time.monotonic() - begun
    store.with_name("done").touch()
    told |= {role: finished(role, child) for role, child in children.items() if role not in told}
    assert_whole(open_layout(store), writers, events)
    layout = open_layout(store)
    seal(layout, wait=WAIT)
    compact(layout, wait=WAIT)
    assert_whole(layout, writers, events)
    return Figures(read(layout), took, told, [str(found) for found in check(store, deep=True).findings])


def finished(role: str, child: subprocess.Popen[str]) -> dict[str, float]:
    """What a role did, once it has."""
    output, errors = child.communicate()
    assert child.returncode == 0, f"{role}: {errors}"
    assert errors == "", f"{role}: {errors}"
    found: dict[str, float] = json.loads(output)
    return found


def assert_whole(layout: Layout, writers: int, events: int) -> None:
    """Every event is there, each run has ended, and no event id stands twice."""
    assert read(layout) == writers * events
    with open_store(layout.root) as reader:
        assert reader.rows("SELECT status, count(*), min(n_spans) FROM runs GROUP BY 1") == [
            ("stopped", writers, events)
        ]
        assert reader.rows("SELECT count(*) FROM (SELECT event_id FROM events_raw GROUP BY 1 HAVING count(*) > 1)") == [
            (0,)
        ]


def main() -> None:
    """Run the loop and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=int(os.environ.get("TELE_HOT_WRITERS", "4")))
    parser.add_argument("--events", type=int, default=int(os.environ.get("TELE_HOT_EVENTS", "2000")))
    parser.add_argument("--seconds", type=float, default=0.0, help="spread the events over this long; 0 is full speed")
    parser.add_argument("--store", type=Path, help="a folder that is not there yet; else a temporary one")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        play(given.role, given.store, given.events, given.seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = given.store or Path(folder) / "hot" / ".tele"
        show(run(store, writers=given.writers, events=given.events, seconds=given.seconds))


def show(figures: Figures) -> None:
    """Print the figures, one role a line."""
    rate = figures.total / figures.seconds
    print(f"{figures.total:,} events in {figures.seconds:,.1f} s: {rate:,.0f} events/s in all; each is there once")
    for role, facts in figures.roles.items():
        print(f"{role:>10}  " + "  ".join(f"{name} {value:,.10g}" for name, value in facts.items()))
    print("check --deep:", "; ".join(figures.findings) or "nothing found")


if __name__ == "__main__":
    main()
