"""What a user calls by `tele.` to read: each opens the nearest store, asks and closes it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tele.store.reader import MEMORY_LIMIT, Store, open_store

if TYPE_CHECKING:
    from tele.analysis import Analysis

__all__ = ["analyze", "open", "page_path", "view"]

Location = str | os.PathLike[str]


def open(  # noqa: A001  # `tele.open` is the name that users expect
    path: Location | None = None, *, memory_limit: str = MEMORY_LIMIT
) -> Store:
    """Open the store at `path`, else `$TELE_STORE`, else the nearest `.tele`, for reading: one snapshot of it.

    `memory_limit` is DuckDB's share, such as `4GB`; what is larger spills to disk where DuckDB can.
    Raises NoStore, ForeignStore, NewerFormat, DamagedFile or BadInput.
    """
    return open_store(None if path is None else Path(path), memory_limit=memory_limit)


def analyze(
    experiment: str, *, by: Sequence[str] = (), on: str | None = None, store: Location | None = None
) -> Analysis:
    """Summarize an experiment as `tele analyze` does; durations in milliseconds, cost in US dollars.

    `by` are columns or attributes to group by (default `condition`); `on` is `llm`, `root`, `all` or a span's name.
    Raises UnknownExperiment, BadInput, or what `tele.open` raises.
    """
    from tele.analysis import analyze as run

    with open_store(None if store is None else Path(store), experiment=experiment) as reader:
        return run(reader, experiment, by=by, on=on)


def view(target: str, output: Location | None = None, *, store: Location | None = None) -> Path:
    """Write the page of an experiment, run, trace or chain to `output` (default `<target>.html`) and return its path.

    Raises UnknownTarget, OSError, or what `tele.open` raises.
    """
    from tele.viewer import view as write

    with open(store) as reader:
        return write(reader, target, page_path(target) if output is None else Path(output))


def page_path(target: str) -> Path:
    """Where the page of `target` goes when nobody says: a file in this folder that bears its name, made safe."""
    return Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', target).strip('-.')[:80] or 'tele'}.html")
