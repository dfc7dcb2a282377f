"""Which store a folder is, where its `store.json` cannot say: its second copy, or journals and entries."""

from __future__ import annotations

from pathlib import Path

import orjson

from tele.store.layout import FORMAT, ID, Layout, refuse_unusable, second
from tele.store.line import scan

__all__ = ["recovered"]


def recovered(root: Path) -> Layout | None:
    """Layout of the store at `root` by its other files, which agree on one id; None where there is none.

    Raises ForeignStore where the folder cannot be a store, whatever it holds.

    Where the second copy is lost too, so is the key of the store's hashes: it stands as zeros.
    """
    refuse_unusable(root)
    if copy := second(root):
        return copy
    found = {_named(path) for path in (*root.glob("manifest/*.json"), *root.glob("journal/w*.jsonl"))} - {""}
    return Layout(root, found.pop(), bytes(32), FORMAT) if len(found) == 1 else None


def _named(path: Path) -> str:
    """Id of the store that a file's first line names, if its checksum is right."""
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError:
        return ""
    line = first.rstrip(b"\n")
    at = line.rfind(b',"seq":') + 7
    number = line[at : line.rfind(b',"crc":')]
    if not number.isdigit() or not scan(first, expected=int(number)).lines:
        return ""
    try:
        named = orjson.loads(line).get("store", "")
    except (ValueError, AttributeError):
        return ""
    return named if isinstance(named, str) and ID.fullmatch(named) else ""
