"""A program that records, seals, compacts, prunes, sweeps and records on; what it says on stdout is on the disk.

`durable.py STORE fsync|process`: a line `N` says that span N is durable, and its body, where it has one: in mode
`fsync` as soon as it is recorded, in mode `process` once it is sealed. `-N` says that it is being pruned, `xN` that it
was and stays away. It runs under strace.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import tele
from tele.store import sweep
from tele.store.compact import compact
from tele.store.layout import open_layout
from tele.store.prune import prune
from tele.store.seal import seal

SPANS = 4
BODIES = frozenset({3, 203})
"""Numbers of the spans whose input is above 32 KiB."""


def body(number: int) -> str:
    """Input of span `number`."""
    return f"{number} " * 20_000


def record(first: int, durability: str) -> None:
    """Record spans with numbers from `first`."""
    for number in range(first, first + SPANS):
        with tele.span("work", n=number) as span:
            if number in BODIES:
                span.set(input=body(number))
        if durability == "fsync":
            say("", number)


def seal_now(store: Path, *firsts: int, durability: str) -> None:
    """Seal; what was recorded from the numbers `firsts` is durable then in every mode."""
    seal(open_layout(store))
    if durability == "process":
        say("", *(n for first in firsts for n in range(first, first + SPANS)))


def say(mark: str, *numbers: int) -> None:
    """Say something of spans, in one write."""
    os.write(1, "".join(f"{mark}{number}\n" for number in numbers).encode())


def main() -> None:
    """Go through every way in which files of a store come and go."""
    store, mode = Path(sys.argv[1]), sys.argv[2]
    tele.configure(store=store, seal="manual", durability=mode)
    with tele.experiment("old"):
        record(400, mode)
    wait_for_threads()
    old = time.time_ns()
    with tele.experiment("power", condition="a"):
        record(0, mode)
        seal_now(store, 400, 0, durability=mode)
        record(100, mode)
        with tele.span("in flight"):
            time.sleep(0.25)  # its start is written, and carried
            seal_now(store, 100, durability=mode)
    wait_for_threads()
    tele.configure(durability=mode)  # finishes the journal: the next record begins one
    with tele.experiment("other"):
        record(200, mode)
    seal_now(store, 200, durability=mode)
    compact(open_layout(store))
    say("-", *range(400, 400 + SPANS))
    prune(open_layout(store), older_than_ns=old)
    say("x", *range(400, 400 + SPANS))
    sweep.GRACE_SECONDS = 0  # what is not needed any more goes within this run
    seal(open_layout(store))
    with tele.experiment("power", condition="b"):
        record(300, mode)
    wait_for_threads()


def wait_for_threads() -> None:
    """Let the thread that records the environment end."""
    for thread in threading.enumerate():
        if thread.name == "tele-environment":
            thread.join()


if __name__ == "__main__":
    main()
