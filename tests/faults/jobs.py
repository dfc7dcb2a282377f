"""What a warm child of the fault tests does: one operation on a store, which it may kill itself in the middle of.

`children.fork` runs this file with TASK = (job, store, file for what it says, operation to die at or 0).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

DAY_NS = 86_400 * 10**9
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OPERATIONS = frozenset({"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"})


class Operations:
    """Counts this process's changes to files below a folder, and kills it just before one of them."""

    def __init__(self, folder: str, dies_at: int) -> None:
        self.folder, self.dies_at, self.count = folder, dies_at, 0

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if event not in _OPERATIONS and not (event == "open" and isinstance(args[2], int) and args[2] & _WRITING):
            return
        if isinstance(args[0], int) or os.fspath(args[0]).startswith(self.folder):
            self.count += 1
            if self.count == self.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)


def run(job: str, store: Path) -> object:
    """Do the operation, as its command would."""
    from tele.store.compact import compact
    from tele.store.layout import open_layout
    from tele.store.prune import prune
    from tele.store.repair import repair
    from tele.store.seal import seal
    from tele.store.upgrade import upgrade

    name, _, mode = job.partition(" ")
    jobs = {
        "hold": lambda: hold(store),
        "append": lambda: record(store, mode),
        "seal": lambda: seal(open_layout(store), wait=10),
        "compact": lambda: compact(open_layout(store), wait=10),
        "repair": lambda: repair(store, wait=10),
        "upgrade": lambda: upgrade(store, wait=10),
        "prune": lambda: prune(open_layout(store), older_than_ns=time.time_ns() - 30 * DAY_NS, wait=10),
    }
    return jobs[name]()


def hold(store: Path) -> None:
    """Hold the lease until the file `enough` stands beside the store; say when."""
    from tele.store.layout import open_layout
    from tele.store.lease import lease

    with lease(open_layout(store)):
        os.write(1, b"holding\n")
        while not store.with_name("enough").exists():
            time.sleep(0.01)


def record(store: Path, durability: str) -> None:
    """Record until killed; say a number once it is as safe as the mode makes it."""
    import tele

    tele.configure(store=store, seal="manual", durability=durability)
    with tele.experiment("faults", condition=durability):
        for number in range(10**9):
            with tele.span("work", n=number, text="x" * (number % 700)):
                pass
            if durability != "buffered":
                os.write(1, b"%d\n" % number)
            elif number % 50 == 49:
                tele.flush()
                os.write(1, b"".join(b"%d\n" % n for n in range(number - 49, number + 1)))


def main() -> None:
    """Say `begun`, do it, say how long it took and how many operations that were."""
    job, store, said, dies_at = globals()["TASK"]
    os.environ["XDG_CACHE_HOME"] = str(Path(said).parent)
    fd = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    counting = Operations(store, dies_at)
    sys.addaudithook(counting)
    os.write(1, b"begun\n")
    began = time.perf_counter()
    run(job, Path(store))
    os.write(1, f"{time.perf_counter() - began} {counting.count}\n".encode())


if __name__ == "__main__":
    main()
