"""How often each of very many digests was there, in little memory.

The newest stand in a dictionary. When those are many they go into a table of DuckDB, 20 bytes each, which spills to a
temporary folder above its memory limit. A question costs one pass over the first 8 bytes of every digest, so it is put
for thousands of digests at once; the rest of a digest is looked at only where those 8 bytes agree.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["DIGEST_SQL", "SIZE", "Digests", "digest"]

SIZE = 16
"""Bytes of a digest."""
RECENT = 250_000
"""Digests that are held in the dictionary: about 40 MB."""
MEMORY_LIMIT = "128MB"
DIGEST_SQL = "md5_number_upper(event_id) AS head, md5_number_lower(event_id) AS tail, 1::UINTEGER AS count"
"""What `Digests.fill` takes, of rows that have an `event_id`: the same digests as `digest` gives."""
_PAIR = Struct("<QQ")
_FIRST_8_BYTES = "SELECT count(*) FROM digests WHERE head IN (SELECT head FROM asked)"
_WHOLE = """
    SELECT head, tail, sum(count)::BIGINT FROM digests
    WHERE (head, tail) IN (SELECT (head, tail) FROM asked) GROUP BY ALL"""


def digest(text: str) -> bytes:
    """Digest of an event id: its MD5, which DuckDB computes too. It tells ids apart and keeps no secret."""
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()


class Digests:
    """Counts of 16-byte digests. Closes with `close()` or as a context manager."""

    def __init__(self) -> None:
        self._recent: Counter[bytes] = Counter()
        self._older: duckdb.DuckDBPyConnection | None = None
        self._scratch = contextlib.ExitStack()

    def counts(self, digests: Collection[bytes]) -> dict[bytes, int]:
        """How often each of `digests` was added; those that never were are left out."""
        found = Counter({digest: self._recent[digest] for digest in digests if digest in self._recent})
        if self._older is not None:
            found.update(self._among_older(self._older, digests))
        return dict(found)

    def add(self, counts: Mapping[bytes, int]) -> None:
        """Add digests, each as often as its count says."""
        self._recent.update(counts)
        if len(self._recent) >= RECENT:
            heads, tails = _halves(self._recent)
            self.fill(_table(heads, tails, list(self._recent.values())))
            self._recent.clear()

    def fill(self, found: pa.Table | pa.RecordBatchReader) -> None:
        """Add what an Arrow table or reader holds: columns `head` and `tail` (UINT64, little-endian) and `count`."""
        con = self._older = self._older or self._opened()
        con.register("found", found)
        con.execute("INSERT INTO digests SELECT head, tail, count FROM found")
        con.unregister("found")

    def close(self) -> None:
        """Let go of the table and its temporary files."""
        self._scratch.close()
        self._older = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        folder = tempfile.mkdtemp(prefix="tele-digests-")
        self._scratch.callback(shutil.rmtree, folder, ignore_errors=True)
        config: dict[str, Any] = {"memory_limit": MEMORY_LIMIT, "temp_directory": folder}
        con = self._scratch.enter_context(contextlib.closing(duckdb.connect(config=config)))
        con.execute("CREATE TABLE digests (head UBIGINT, tail UBIGINT, count UINTEGER)")
        return con

    @staticmethod
    def _among_older(con: duckdb.DuckDBPyConnection, digests: Collection[bytes]) -> dict[bytes, int]:
        con.register("asked", _table(*_halves(digests), [0] * len(digests)))
        try:
            [(near,)] = con.execute(_FIRST_8_BYTES).fetchall()
            rows = con.execute(_WHOLE).fetchall() if near else []
        finally:
            con.unregister("asked")
        return {_PAIR.pack(head, tail): count for head, tail, count in rows}


def _halves(digests: Collection[bytes]) -> tuple[bytes, bytes]:
    half = SIZE // 2
    return b"".join([digest[:half] for digest in digests]), b"".join([digest[half:] for digest in digests])


def _table(heads: bytes, tails: bytes, counts: list[int]) -> pa.Table:
    import pyarrow as pa

    columns = [pa.UInt64Array.from_buffers(pa.uint64(), len(counts), [None, pa.py_buffer(b)]) for b in (heads, tails)]
    return pa.table([*columns, pa.array(counts, pa.uint32())], names=["head", "tail", "count"])
