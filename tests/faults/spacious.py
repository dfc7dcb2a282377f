"""A program that records while space runs out and comes back: run by `test_space.py` in a mount namespace of its own.

`spacious.py ACTION STORE MODE [HOW]` prints as JSON what it produced and what `tele` says was dropped.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import tele

BODY = "x" * 900


def record(first: int, count: int) -> int:
    """Record `count` events and return the number that is next."""
    for number in range(first, first + count):
        tele.event("e", n=number, text=BODY)
    return first + count


def fill(folder: Path) -> Path:
    """Take what space there is."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return path


def disk(store: Path) -> int:
    """Fill the disk, go on, free it, go on, until it is full by our own records; free it again."""
    done = record(0, 50)
    tele.flush()
    ballast = fill(store.parent)
    done = record(done, 50)
    tele.flush()
    ballast.unlink()
    done = record(done, 50)
    tele.flush()
    ballast = store.parent / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    done = record(done, 3000)
    tele.flush()
    ballast.unlink()
    return record(done, 50)


def inodes(store: Path) -> int:
    """Use up the inodes, go on in new files, free them, go on."""
    done, files = record(0, 5), []
    try:
        for number in range(10_000):
            files.append(store.parent / f"ballast{number}")
            files[-1].touch()
    except OSError:
        files.pop()
    tele.configure(durability="process")  # the journal is closed: a new one needs an inode
    done = record(done, 5)
    for file in files:
        file.unlink()
    return record(done, 5)


@contextmanager
def limit(what: int, most: int) -> Iterator[None]:
    """Set a limit of this process for a while."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def file_size(store: Path) -> int:
    """Record where no file may grow beyond 8 KiB, then none beyond 100 bytes, then freely."""
    done = record(0, 5)
    tele.flush()
    with limit(resource.RLIMIT_FSIZE, 8192):
        done = record(done, 50)
        tele.flush()
    with limit(resource.RLIMIT_FSIZE, 100):
        done = record(done, 50)
        tele.flush()
    return record(done, 5)


def descriptors(store: Path) -> int:
    """Record with no descriptor left for a new file, then with some."""
    done = record(0, 5)
    tele.configure(durability="process")
    with limit(resource.RLIMIT_NOFILE, 32):
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            done = record(done, 5)
        for fd in held:
            os.close(fd)
    return record(done, 5)


def read_only(store: Path) -> int:
    """Record where nothing may be written, then where it may again."""
    mount = ["mount", "-o"]
    subprocess.run([*mount, "remount,ro", str(store.parent)], check=True)
    done = record(0, 5)
    subprocess.run([*mount, "remount,rw", str(store.parent)], check=True)
    return record(done, 5)


def main() -> None:
    """Do one action and say what came of it."""
    action, store, mode = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if len(sys.argv) > 4:
        subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[4], "none", str(store.parent)], check=True)
    tele.configure(store=store, seal="manual", durability=mode)
    if action == "read_only":
        tele.event("e", n=-1)  # makes the store
        tele.configure(durability=mode)
    produced = globals()[action](store)
    tele.flush()
    lost = tele.dropped()
    tele.configure(durability=mode)  # closes the journal
    lines = [line for path in sorted(store.glob("journal/*.jsonl")) for line in whole_lines(path)]
    found = [json.loads(line) for line in lines]
    facts = {"produced": produced, "lost": lost, "files": len(list(store.glob("journal/*.jsonl")))}
    facts["stored"] = [e["attributes"]["n"] for e in found if e.get("name") == "e" and e["attributes"]["n"] >= 0]
    facts["told"] = [e["attributes"]["why"] for e in found if e.get("name") == "tele.dropped"]
    sys.stdout.write(json.dumps(facts))


def whole_lines(path: Path) -> list[bytes]:
    """Lines of a journal, each of which verifies; raises AssertionError where one is torn."""
    *lines, behind = path.read_bytes().split(b"\n")
    assert behind == b"", path
    for line in lines:
        content, _, tail = line.rpartition(b',"crc":')
        assert tail == b'"%08x"}' % crc32(content), path
    return lines


if __name__ == "__main__":
    main()
