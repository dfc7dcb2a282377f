"""What a section is asked with: the reader, the requests, their groups and what was declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tele.analysis.aggregations import Aggregation, Reader, ask
from tele.analysis.figures import Group
from tele.analysis.measure import Key, Keys, in_order
from tele.analysis.scope import Census, Requests

__all__ = ["Asked", "Wanted"]

_IDENTITY = frozenset({"experiment", "experiment_id", "run_id", "condition", "replicate", "item_id", "trace_id"})
"""Columns that the views of ensembles, hedges and reasoning show."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user declares for the sections."""

    budget_usd: float | None = None
    """Dollars to be spent: how many requests they buy is projected."""
    service_level: float = 0.999
    """Share of requests that is promised to succeed: what failures burn of the rest is the error budget."""
    outcome: str = "correct"
    """Metric that says whether an answer was right, 0 to 1."""
    prices: str | None = None
    """Path of another price table (TOML), by which the calls are priced for comparison."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One analysis, for a section that looks deeper."""

    reader: Reader
    seen: Census
    requests: Requests
    names: Sequence[str]
    columns: Sequence[str]
    """SQL of each of `names`."""
    groups: tuple[Group, ...]
    wanted: Wanted

    def each(self, asked: Aggregation, **parts: str) -> dict[Key, tuple[Any, ...]]:
        """Return the answer to an aggregation over the requests that has one row for each group."""
        return {row[: self.width]: row[self.width :] for row in self.over(asked, **parts)}

    def many(self, asked: Aggregation, **parts: str) -> dict[Key, list[tuple[Any, ...]]]:
        """Return the answer to an aggregation over the requests that has several rows for each group."""
        return _gathered(self.over(asked, **parts), self.width)

    def over(self, asked: Aggregation, **parts: str) -> list[tuple[Any, ...]]:
        """Return the answer to an aggregation over the requests."""
        keyed = Keys(self.columns)
        filled = {"keys": keyed.select, "by": keyed.by, "group": keyed.group, "within": keyed.within} | parts
        return ask(self.reader, asked, self.requests.params, requests=self.requests.source, **filled)

    def beside(self, asked: Aggregation, **parts: str) -> dict[Key, list[tuple[Any, ...]]]:
        """Return the answer over a view beside `events`; keys that it does not show are not grouped by."""
        kept = self.shown
        keyed, scope = Keys([f'"{name}"' for name in kept]), self.seen.scope
        filled = {"keys": keyed.select, "by": keyed.by, "group": keyed.group, "within": keyed.within} | parts
        rows = ask(self.reader, asked, scope.params, told=scope.told, whole=scope.whole, where=scope.where, **filled)
        return _gathered(rows, len(kept))

    @property
    def shown(self) -> list[str]:
        """The names of the groups that the views beside `events` show."""
        return [name for name in self.names if name in _IDENTITY]

    @property
    def width(self) -> int:
        """How many columns a key has."""
        return len(self.columns)

    def named(self, key: Key) -> dict[str, Any]:
        """Return a key with its names; empty where the one group has no condition, as in the groups themselves."""
        found = dict(zip(self.names, key, strict=True))
        alone = len(self.groups) == 1 and not self.groups[0].key
        return {} if alone else found

    def known(self, key: Key) -> dict[str, Any]:
        """Return a key of `beside` with its names."""
        found = dict(zip(self.shown, key, strict=True))
        return {} if all(value is None for value in found.values()) else found


def _gathered(rows: list[tuple[Any, ...]], width: int) -> dict[Key, list[tuple[Any, ...]]]:
    found: dict[Key, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[:width], []).append(row[width:])
    return dict(_ordered(found))


def _ordered(found: Mapping[Key, list[tuple[Any, ...]]]) -> Iterator[tuple[Key, list[tuple[Any, ...]]]]:
    return ((key, found[key]) for key in in_order(found))
