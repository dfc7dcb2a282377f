"""Power loss: from what a program did, the states in which a disk may be when the power went at some instant.

The rules are POSIX's. Content reaches the disk at the file's fsync, a name at its folder's. What was not synced may be
there or not, in any order, and of a write any of its sectors. A journaled file system gives more: there a sync of any
file also commits every name that was made before. Renames are atomic.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .syscalls import Operation

ROOT = 0
Image = dict[str, bytes | None]
"""Paths to contents; None is a folder."""


@dataclass(frozen=True, slots=True)
class File:
    """A file: what is on the disk, and the changes that may not be."""

    durable: bytes = b""
    pending: tuple[Operation, ...] = ()
    size: int = 0

    def changed(self, operation: Operation) -> File:
        """The file after a write or a truncation."""
        if operation.kind == "truncate":
            return replace(self, pending=(*self.pending, operation), size=operation.size)
        at = self.size if operation.offset is None else operation.offset
        write = replace(operation, offset=at)
        return File(self.durable, (*self.pending, write), max(self.size, at + len(operation.data)))

    def synced(self) -> File:
        """The file after its fsync."""
        content = self.durable
        for operation in self.pending:
            content = _applied(content, operation)
        return File(content, (), self.size)

    def after_power_loss(self, dice: random.Random, keep: float) -> bytes:
        """Content that the disk may hold; each pending change is there with probability `keep`, else not or torn."""
        content = self.durable
        for operation in self.pending:
            if dice.random() < keep:
                content = _applied(content, operation)
            elif operation.kind == "write" and 0 < keep < 1 and dice.random() < 0.5:
                content = _torn(content, operation, dice)
        return content


def _applied(content: bytes, operation: Operation) -> bytes:
    if operation.kind == "truncate":
        return content[: operation.size].ljust(operation.size, b"\0")
    at = operation.offset or 0
    return content[:at].ljust(at, b"\0") + operation.data + content[at + len(operation.data) :]


def _torn(content: bytes, operation: Operation, dice: random.Random) -> bytes:
    """Some sectors of a write, or some pages; where the last one is missing the file may have grown all the same."""
    block = dice.choice((512, 4096))
    at, end = operation.offset or 0, (operation.offset or 0) + len(operation.data)
    if dice.random() < 0.5:
        content = content.ljust(end, b"\0")
    for start in range(at - at % block, end, block):
        if dice.random() < 0.5:
            low, high = max(start, at), min(start + block, end)
            content = content[:low].ljust(low, b"\0") + operation.data[low - at : high - at] + content[high:]
    return content


@dataclass(frozen=True, slots=True)
class Rename:
    """Names that come or go (None) in one folder by one operation."""

    step: int
    """Number of the operation: changes of one step in two folders are kept or lost together."""
    names: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder: the names on the disk, those that a program sees, and the changes between."""

    durable: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=dict)
    pending: tuple[Rename, ...] = ()

    def changed(self, change: Rename) -> Folder:
        """The folder after one change."""
        return replace(self, now=_named(self.now, change), pending=(*self.pending, change))

    def synced(self) -> Folder:
        """The folder after its fsync."""
        return Folder(self.now, self.now)

    def every_name(self) -> set[tuple[str, int, bool]]:
        """Names that may be there, with their nodes, and whether that is unsure."""
        names = {*self.durable.items(), *self.now.items()}
        for change in self.pending:
            names |= {(name, node) for name, node in change.names.items() if node is not None}
        changed = {name for change in self.pending for name in change.names}
        return {(name, node, name in changed) for name, node in names}


def _named(names: dict[str, int], change: Rename) -> dict[str, int]:
    return {name: node for name, node in (names | change.names).items() if node is not None}


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk at one instant: nodes by number, and what the program has said by then."""

    nodes: dict[int, File | Folder]
    said: bytes = b""

    @property
    def pending(self) -> int:
        """How many changes a power cut may take back."""
        return sum(len(node.pending) for node in self.nodes.values())

    def after_power_loss(self, dice: random.Random, keep: float) -> Image:
        """One state in which the disk may come back; `keep` 0 loses all that may be lost, 1 nothing."""
        kept: dict[int, bool] = {}
        image: Image = {}
        folders = [("", ROOT)]
        while folders:
            path, number = folders.pop()
            folder = self.nodes[number]
            assert isinstance(folder, Folder)
            names = folder.durable
            for change in folder.pending:
                if kept.setdefault(change.step, dice.random() < keep):
                    names = _named(names, change)
            for name, child in sorted(names.items()):
                node, where = self.nodes[child], f"{path}{name}"
                if isinstance(node, Folder):
                    image[where] = None
                    folders.append((f"{where}/", child))
                else:
                    image[where] = node.after_power_loss(dice, keep)
        return image

    def unsure(self, folder: str) -> set[str]:
        """Paths below `folder` of files whose content or whose name is not all synced."""
        found = set()
        waiting = [("", ROOT, False)]
        while waiting:
            path, number, pending = waiting.pop()
            node = self.nodes[number]
            if isinstance(node, Folder):
                waiting += [(f"{path}/{name}".lstrip("/"), child, new) for name, child, new in node.every_name()]
            elif pending or node.pending:
                found.add(path.removeprefix(folder))
        return found


def instants(operations: list[Operation], *, journaled: bool) -> list[Disk]:
    """The disk after each operation; `journaled` has a sync of a file commit all names made before it."""
    disk = Disk({ROOT: Folder()})
    found = [disk]
    for step, operation in enumerate(operations):
        disk = _after(disk, step, operation, journaled=journaled)
        found.append(disk)
    return found


def _after(disk: Disk, step: int, operation: Operation, *, journaled: bool) -> Disk:
    if operation.kind == "said":
        return replace(disk, said=disk.said + operation.data)
    nodes = dict(disk.nodes)
    if operation.kind in ("write", "truncate", "sync"):
        number = _find(nodes, operation.path)
        if number is None:  # by a descriptor of a file that has no name any more
            return disk
        node = nodes[number]
        if operation.kind == "sync":
            steps = _steps(node)
            nodes[number] = node.synced()
            for n, folder in nodes.items():  # a rename between two folders is on the disk in both, or in none
                if isinstance(folder, Folder) and (journaled or steps & _steps(folder)):
                    nodes[n] = folder.synced()
        else:
            assert isinstance(node, File)
            nodes[number] = node.changed(operation)
    else:
        for folder, change in _renames(nodes, step, operation):
            before = nodes[folder]
            assert isinstance(before, Folder)
            nodes[folder] = before.changed(change)
    return replace(disk, nodes=nodes)


def _steps(node: File | Folder) -> set[int]:
    return {change.step for change in node.pending} if isinstance(node, Folder) else set()


def _renames(nodes: dict[int, File | Folder], step: int, operation: Operation) -> Iterator[tuple[int, Rename]]:
    """Changes of names that an operation makes, each with the number of its folder; new nodes are added to `nodes`."""
    old, new = PurePosixPath(operation.path), PurePosixPath(operation.other)
    node = _find(nodes, operation.path)
    changes: dict[str, dict[str, int | None]] = {}
    if operation.kind in ("create", "folder"):
        if node is not None:
            return
        node = len(nodes)
        nodes[node] = File() if operation.kind == "create" else Folder()
        changes.setdefault(str(old.parent), {})[old.name] = node
    if operation.kind in ("rename", "unlink"):
        changes.setdefault(str(old.parent), {})[old.name] = None
    if operation.kind in ("rename", "link"):
        assert node is not None, operation
        changes.setdefault(str(new.parent), {})[new.name] = node
    for path, names in changes.items():
        folder = _find(nodes, path)
        assert folder is not None, operation
        yield folder, Rename(step, names)


def _find(nodes: dict[int, File | Folder], path: str) -> int | None:
    number: int | None = ROOT
    for part in PurePosixPath(path).parts:
        folder = nodes[number] if number is not None else None
        number = folder.now.get(part) if isinstance(folder, Folder) else None
    return number


def write_image(image: Image, folder: Path) -> None:
    """Put an image into an empty folder."""
    for path, content in image.items():
        if content is None:
            (folder / path).mkdir(mode=0o700)
        else:
            (folder / path).write_bytes(content)


def fingerprint(image: Image) -> bytes:
    """Hash of an image: the same for the same files."""
    found = hashlib.blake2b(digest_size=16)
    for path, content in sorted(image.items()):
        found.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
        found.update(content or b"")
    return found.digest()
