"""The DuckDB of those who make segments: it reads and writes the store's segments and nothing else."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tele.errors import StoreNotWritable
from tele.store.layout import Layout
from tele.store.schema import quoted

if TYPE_CHECKING:
    import duckdb

__all__ = ["reason", "workbench"]

MEMORY_LIMIT = "640MB"
"""DuckDB's share; with Python and Arrow a sealer or compactor stays below 1 GiB, and spills what is larger."""


@contextmanager
def workbench(layout: Layout) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection with a private folder to spill into, which goes when it closes.

    It has one thread: with two, sealing and compaction cost a third more CPU and take no less time. Raises
    StoreNotWritable where what is done with it takes more memory than there is, or more of the disk.
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
    except duckdb.OutOfMemoryException as error:
        raise StoreNotWritable(layout.root, reason(error)) from None
    finally:
        con.close()
        shutil.rmtree(scratch, ignore_errors=True)


def reason(error: Exception) -> str:
    """What the system said; DuckDB wraps it in JSON, and names a temporary file."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    inner = re.search(r'"exception_message":"((?:[^"\\]|\\.)*)"', str(error))
    return (inner[1] if inner else str(error)).partition("\n")[0].rpartition(": ")[2]
