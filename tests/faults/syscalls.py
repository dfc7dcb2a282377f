"""What a program did to the files below a folder, in order, as strace saw it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_TRACED = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,ftruncate,truncate,"
    "fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "copy_file_range,sendfile"
)
_DONE = re.compile(r"(\d+) +(\w+)\((.*)\) += (\S+)")
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (\S+)")
_FD = re.compile(r"^(\d+)<([^>]*)>(?:\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that succeeded."""

    kind: str
    """create, write, truncate, sync, folder, rename, link, unlink or said."""
    path: str
    """Below the folder; empty for the folder itself and for `said`."""
    other: str = ""
    """The new name, of rename and link."""
    offset: int | None = None
    """Of a write; None is at the end."""
    data: bytes = b""
    size: int = 0


def trace(command: list[str], folder: Path, output: Path) -> list[Operation]:
    """Run `command` and give what it did below `folder`; what it wrote to stdout is `said`. Skips without strace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    flags = ["-f", "-y", "-xx", "-s", "1000000", "-o", str(output), "-e", f"trace={_TRACED}"]
    # The working folder is no git repository: there the program would start git, whose stdout is not what it says.
    done = subprocess.run(
        [strace, *flags, "--", *command], cwd=output.parent, capture_output=True, check=False, timeout=300
    )
    if b"PTRACE" in done.stderr or b"ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.decode().splitlines()[0]}")
    assert done.returncode == 0, done.stderr.decode()
    return list(_operations(output.read_text().splitlines(), str(folder)))


def _operations(lines: list[str], folder: str) -> Iterator[Operation]:
    begun: dict[str, str] = {}
    for line in lines:
        if match := _BEGUN.match(line):
            begun[match[1]] = match[3]
            continue
        if match := _RESUMED.match(line):
            name, arguments, result = match[2], begun.pop(match[1]) + match[3], match[4]
        elif match := _DONE.match(line):
            _, name, arguments, result = match.groups()
        else:
            continue
        if not result.startswith("-1") and (found := _operation(name, arguments, result, folder)):
            yield found


def _operation(name: str, arguments: str, result: str, folder: str) -> Operation | None:
    """Translate one call, or None where it is about other files or changes nothing."""
    fd, path = _descriptor(arguments)
    texts = [_bytes(text, cut) for text, cut in _TEXT.findall(_FD.sub("", arguments))]
    if name in ("write", "writev") and fd == 1:
        return Operation("said", "", data=b"".join(texts))
    if name in ("write", "writev", "pwrite64", "fsync", "fdatasync", "ftruncate"):
        inside = _below(path, folder)
        return None if inside is None else _content(name, arguments, result, inside, b"".join(texts))
    paths = [_below(os.fsdecode(text), folder) for text in texts]
    if not paths or paths[0] is None:
        assert all(path is None for path in paths), f"{name} into the folder from outside is not modelled"
        return None
    return _name(name, arguments, [path for path in paths if path is not None])


def _content(name: str, arguments: str, result: str, path: str, data: bytes) -> Operation:
    if name in ("fsync", "fdatasync"):
        return Operation("sync", path)
    last = int(arguments.rpartition(",")[2]) if name in ("ftruncate", "pwrite64") else None
    if name == "ftruncate":
        return Operation("truncate", path, size=last or 0)
    return Operation("write", path, offset=last, data=data[: int(result)])


def _name(name: str, arguments: str, paths: list[str]) -> Operation | None:
    if name in ("openat", "open"):
        truncated = "O_TRUNC" in arguments
        assert not truncated, "O_TRUNC is not modelled"
        return Operation("create", paths[0]) if "O_CREAT" in arguments else None
    kind = re.sub("at2?$", "", name) if name not in ("creat", "truncate") else name
    if kind in ("rename", "link"):
        return Operation(kind, paths[0], paths[1])
    if kind == "unlink":
        assert "AT_REMOVEDIR" not in arguments
        return Operation("unlink", paths[0])
    if kind == "mkdir":
        return Operation("folder", paths[0])
    raise AssertionError(f"{name} is not modelled")


def _descriptor(arguments: str) -> tuple[int, str]:
    match = _FD.match(arguments)
    return (int(match[1]), os.fsdecode(_escaped(match[2]))) if match else (-1, "")


def _bytes(text: str, cut: str) -> bytes:
    assert not cut, "strace cut a string"
    return bytes.fromhex(text.replace("\\x", ""))


def _escaped(text: str) -> bytes:
    """Path of a descriptor: strace escapes it as a whole or, in older versions, not at all."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else os.fsencode(text)


def _below(path: str, folder: str) -> str | None:
    if path == folder:
        return ""
    return path[len(folder) + 1 :] if path.startswith(folder + "/") else None
