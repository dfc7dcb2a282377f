"""Columns and bodies as text that a page can carry.

A block is JSON, gzipped, in base64: it holds nothing that HTML reads as markup, and the browser inflates it itself.
Repeated texts become codes, times become offsets, ids are kept apart and inflated only when one is asked for.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable
from dataclasses import dataclass, field

from tele.telemetry.redact import redact
from tele.telemetry.redaction.ruleset import suspicious

__all__ = ["BLOCK_ROWS", "BlockWriter", "Coded", "pack", "unpack"]

BLOCK_ROWS = 256
"""Bodies per block: the best size per body that still opens in a few milliseconds."""
_LEVEL = 6


def pack(value: object) -> str:
    """Return `value` as JSON, gzipped, in base64; the same value gives the same text.

    Secrets are taken out once more: the store may be older than a rule, and a page goes to others.
    """
    import orjson

    text = orjson.dumps(value)
    if suspicious(text):
        text = orjson.dumps(redact(orjson.loads(text)))
    return base64.b64encode(gzip.compress(text, _LEVEL, mtime=0)).decode("ascii")


def unpack(text: str) -> object:
    """Return the value that `pack` was given."""
    import orjson

    return orjson.loads(gzip.decompress(base64.b64decode(text)))


@dataclass(slots=True)
class Coded:
    """A text column as one code per row; code 0 is NULL, code k is `values[k - 1]`."""

    codes: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, value: object) -> None:
        """Append one row; `None` is NULL and anything else counts by its text."""
        self.codes.append(0 if value is None else self._code(str(value)))

    def _code(self, text: str) -> int:
        code = self._known.get(text)
        if code is None:
            self.values.append(text)
            code = self._known[text] = len(self.values)
        return code

    def to_dict(self) -> dict[str, list[int] | list[str]]:
        """Return the column as the page reads it."""
        return {"codes": self.codes, "values": self.values}


@dataclass(slots=True)
class BlockWriter:
    """Packs rows into blocks of `rows`, until `budget` characters of packed text are spent; then it only counts."""

    budget: int
    rows: int = BLOCK_ROWS
    blocks: list[str] = field(default_factory=list)
    left_out: int = 0
    """Rows whose block did not fit the budget."""
    _open: list[object] = field(default_factory=list)

    def extend(self, bodies: Iterable[object]) -> None:
        """Add bodies in row order."""
        for body in bodies:
            self._open.append(body)
            if len(self._open) == self.rows:
                self.close()

    def close(self) -> None:
        """Pack what is open; the last block may be short."""
        if not self._open:
            return
        if self.budget > 0:
            block = pack(self._open)
            self.budget -= len(block)
            self.blocks.append(block)
        else:
            self.left_out += len(self._open)
        self._open = []
