"""Child processes of the fault tests: a fresh interpreter, or one forked warm from a server that has all imported."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

WRITER = Path(__file__).with_name("writer.py")
JOBS = Path(__file__).with_name("jobs.py")
_WARM = [f"tele.store.{name}" for name in ("compact", "prune", "reader", "repair", "seal", "upgrade")]

# A new interpreter that has DuckDB costs half a second here, a fork of this server a few milliseconds.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tele.telemetry", "duckdb", "pyarrow", "runpy", "genai_prices", *_WARM])


def start(store: Path, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    """Start `writer.py` as a program of its own; it says on stdout what has been recorded."""
    command = [sys.executable, str(WRITER), str(store), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})


def wait_until_ready(writer: subprocess.Popen[bytes]) -> None:
    """Read what the writer says until it is `ready`."""
    assert writer.stdout is not None
    for line in writer.stdout:
        if line == b"ready\n":
            return
    raise AssertionError("the writer ended before it was ready")


def fork(job: str, store: Path, said: Path, *, dies_at: int = 0) -> ForkServerProcess:
    """Start a job of `jobs.py` in a warm child and wait until it begins; what it says goes to the file `said`.

    `dies_at` has it kill itself just before that operation on a file of the store, counted from 1.
    """
    task = {"TASK": (job, str(store), str(said), dies_at)}
    child = context.Process(target=runpy.run_path, args=(str(JOBS), task, "__main__"))
    child.start()
    while not lines(said) and child.is_alive():
        time.sleep(0.001)
    return child


def finished(child: ForkServerProcess) -> int:
    """Wait for a warm child and give its exit code; negative is the signal that ended it."""
    child.join(60)
    code = child.exitcode
    assert code is not None, "the child hangs"
    child.close()
    return code


def lines(said: Path) -> list[str]:
    """Whole lines of what a child said: a kill may have cut the last one."""
    return said.read_text().split("\n")[:-1] if said.exists() else []


@contextmanager
def beside(look: Callable[[], object]) -> Iterator[None]:
    """Call `look` again and again in a thread while the block runs, at least once; raise what it raised."""
    done, failures = threading.Event(), []

    def run() -> None:
        while not failures:
            try:
                look()
            except BaseException as error:  # noqa: BLE001  # handed to the test below
                failures.append(error)
            if done.wait(0.05):  # the one that is looked at needs the processor too
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(60)
    assert not thread.is_alive(), "the reader hangs"
    if failures:
        raise failures[0]
