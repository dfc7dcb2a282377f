"""Which events came by lately, so that a request that is sent again adds nothing."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable
from pathlib import Path

from tele.store.layout import Layout

__all__ = ["Recent"]

KEPT = 100_000
"""Ids that are surely remembered; up to twice as many are."""
LOOKED_AT = 32 * 1024 * 1024
"""Bytes at the end of a journal that are searched when the collector starts."""
_ID = re.compile(rb'"event_id":"([0-9a-f]{32})"')


class Recent:
    """The latest ids: two generations, of which the older one goes when the newer is full."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._new or key in self._old

    def add(self, keys: Iterable[bytes]) -> None:
        """Remember `keys`, the first 16 bytes of what an event id is made of."""
        self._new.update(keys)
        if len(self._new) >= self._kept:
            self._old, self._new = self._new, set()

    def remember(self, layout: Layout) -> None:
        """Take the ids at the end of the newest journals: a killed collector's clients send again to the next one."""
        journals = sorted(layout.journals.glob("w*.jsonl"), reverse=True)
        found: list[bytes] = []
        for path in journals:
            if len(found) >= self._kept:
                break
            found += _ids(path, self._kept - len(found))
        self.add(found)


def _ids(path: Path, most: int) -> list[bytes]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            found = [bytes.fromhex(match[1].decode()) for match in _ID.finditer(view, max(0, len(view) - LOOKED_AT))]
    except (OSError, ValueError):  # it went, or is empty
        return []
    return found[-most:]
