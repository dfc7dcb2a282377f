"""Opening a store for a command that reads."""

from __future__ import annotations

import contextlib
import difflib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tele.cli.output import safe
from tele.errors import StoreBusy, StoreNotWritable, UnknownExperiment
from tele.store.schema import quoted

if TYPE_CHECKING:
    from tele.store.reader import Store

__all__ = ["known_experiment", "reading"]


@contextmanager
def reading(path: Path | None, *, experiment: str | None = None, memory: str | None = None) -> Iterator[Store]:
    """Open the store at `path`, for one experiment alone where that is named, with DuckDB's share of `memory`.

    What dead writers left is sealed first, and what could not be read is said on stderr.
    """
    from tele.store.layout import open_layout
    from tele.store.reader import MEMORY_LIMIT, Store
    from tele.store.seal import due, seal

    layout = open_layout(path)
    if due(layout):
        with contextlib.suppress(StoreBusy, StoreNotWritable, OSError):  # reading works unsealed as well
            seal(layout)
    with Store(layout, experiment=experiment, memory_limit=memory or MEMORY_LIMIT) as store:
        if store.network:
            _say(f"the store lies on a network file system ({store.network}), where a running process may look dead.")
        for line in store.damage:
            _say(f"damaged: {line}")
        yield store


def known_experiment(store: Store, name: str) -> str:
    """SQL text of `name`, which an experiment bears; raises UnknownExperiment with the nearest names."""
    # Not of the view `experiments`, which reads the log three times: that tells among many experiments.
    names = [found for (found,) in store.rows("SELECT DISTINCT experiment FROM events ORDER BY experiment")]
    if name not in names:
        raise UnknownExperiment(name, difflib.get_close_matches(name, names, 3))
    return quoted(name)


def _say(sentence: str) -> None:
    print(f"tele: {safe(sentence)}", file=sys.stderr)
