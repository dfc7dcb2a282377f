"""Failing system calls: a warm process whose children record, or run a command, while a chosen call of theirs fails.

`Injector` is for the tests. Run as a program, this file is that warm process: it reads one task for each line of its
standard input, forks a child for it and says how the child ended.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

SOURCE = Path(__file__).with_name("inject.c")
WAYS = {
    "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EINTR, 0),
    "fsync": (errno.EIO,),
    "rename": (errno.ENOSPC, errno.EIO),
    "link": (errno.EIO,),
    "remove": (errno.EIO,),
    "create": (errno.ENOSPC, errno.EMFILE),
    "ftruncate": (errno.EIO,),
    "mkdir": (errno.ENOSPC,),
    "write+ftruncate": (errno.EIO, 0),
}
"""By operation, the error numbers that are tried; 0 is a write that is cut short."""


NAMES = ("write", "fsync", "rename", "link", "remove", "create", "ftruncate", "mkdir")
"""What `inject.c` counts, in its order."""


@dataclass(frozen=True)
class Fault:
    """The `n`-th call of an operation fails, alone or with all that follow."""

    operation: str
    n: int
    error: int = 0
    steady: bool = False

    def __str__(self) -> str:
        """As it is shown where a test fails."""
        how = errno.errorcode.get(self.error, "short")
        return f"{self.operation} {self.n} {how}{' and all that follow' if self.steady else ''}"


NONE = Fault("none", -1)


class Ended(NamedTuple):
    """How a child ended."""

    code: int
    failed: int
    output: str


class Injector:
    """The warm process; closes as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Compile the library and start the process; raises CalledProcessError where it does not compile."""
        self.plan, self.output = folder / "plan", folder / "output"
        library = folder / "inject.so"
        compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.output)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "LD_PRELOAD": str(library),
                "INJECT_PLAN": str(self.plan),
                "XDG_CACHE_HOME": str(folder / "cache"),
            },
        )

    def run(self, task: list[str], store: Path, fault: Fault = NONE) -> Ended:
        """Run one task in a child of its own, with the fault in calls on files of `store`."""
        cut, steady = int(not fault.error), int(fault.steady)
        self.plan.write_text(f"{fault.operation} {fault.n} {fault.error} {cut} {steady} {store}\n")
        Path(f"{self.plan}.seen").unlink(missing_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*task, str(store)]).encode() + b"\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ended(code, self._seen()[1], self.output.read_text())

    def calls(self, task: list[str], store: Path) -> dict[str, int]:
        """Count the calls of each operation in one run without a fault."""
        assert self.run(task, store).code == 0
        counts = dict(zip(NAMES, self._seen()[2:], strict=True))
        return {way: sum(counts[name] for name in way.split("+")) for way in WAYS}

    def _seen(self) -> list[int]:
        return memoryview(Path(f"{self.plan}.seen").read_bytes()).cast("i").tolist()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def faults(counts: dict[str, int]) -> Iterator[Fault]:
    """Every fault that can happen where an operation has so many calls."""
    for operation, count in counts.items():
        for n in range(count):
            for error in WAYS[operation]:
                yield Fault(operation, n, error)
                if error != errno.EINTR:  # a call that is interrupted for ever is no fault of a disk
                    yield Fault(operation, n, error, steady=True)


# ── the warm process ──────────────────────────────────────────────────────────────────────────────────────────────────


def record(mode: str, store: str) -> None:
    """Record twelve events, one with a large body; leave as a program does; say what was dropped."""
    import atexit

    import tele

    tele.configure(store=store, seal="manual", durability=mode)
    with tele.experiment("faults"):
        for n in range(12):
            tele.event("e", n=n, text="t" * 300, **({"input": "x" * 40_000} if n == 7 else {}))
            if n == 4:
                tele.flush()
    atexit._run_exitfuncs()  # a child that was forked leaves by os._exit
    sys.stdout.write(f"{json.dumps(tele.dropped())}\n")


def task(name: str, *arguments: str) -> None:
    """Do one task, with the faults that are planned now."""
    import ctypes

    ctypes.CDLL(os.environ["LD_PRELOAD"]).inject_plan()
    if name == "record":
        record(*arguments)
    else:
        from tele.cli import main as tele_main

        sys.argv = ["tele", name, *arguments[:-1], "--store", arguments[-1]]
        tele_main()


def child(output: str, arguments: list[str]) -> None:
    """Do one task as a process does that is about to end, and end."""
    import traceback

    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    code = 0
    try:
        task(*arguments)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # noqa: BLE001  # a child that was forked must not come back into the loop
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Fork a child for each line of standard input; say its exit code."""
    import importlib

    modules = ("compact", "check", "repair", "prune", "upgrade", "seal", "reader")
    light = ("duckdb", "pyarrow", "genai_prices", "rich.table", "tele.telemetry")
    for module in (*light, *(f"tele.store.{name}" for name in modules)):
        importlib.import_module(module)
    importlib.import_module("tele.cli")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(sys.argv[1], json.loads(line))
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
