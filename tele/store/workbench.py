"""The DuckDB of those who make segments: it reads and writes the store's segments and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tele.store.layout import Layout
from tele.store.schema import quoted

if TYPE_CHECKING:
    import duckdb

__all__ = ["workbench"]

MEMORY_LIMIT = "640MB"
"""DuckDB's share; with Python and Arrow a sealer or compactor stays below 1 GiB, and spills what is larger."""


@contextmanager
def workbench(layout: Layout) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection with a private folder to spill into, which goes when it closes.

    It has one thread: with two, sealing and compaction cost a third more CPU and take no less time.
    """
    import duckdb

    con = duckdb.connect(config={"threads": "1", "memory_limit": MEMORY_LIMIT})
    scratch = tempfile.mkdtemp(prefix="tele-seal-")
    try:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = {quoted(scratch)}")
        con.execute(f"SET allowed_directories = [{quoted(layout.segments)}]")
        con.execute("SET enable_external_access = false")
        yield con
    finally:
        con.close()
        shutil.rmtree(scratch, ignore_errors=True)
