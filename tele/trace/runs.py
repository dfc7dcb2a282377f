"""What two runs, or two conditions, decided otherwise: their chains item by item, and what differs between each two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

from tele.errors import BadInput
from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.difference import Difference, Match, diff
from tele.trace.search import EVENT_COLUMNS, event_of

__all__ = ["ItemDifference", "RunsDifference", "Told", "diff_runs", "is_side"]


class Reader(Protocol):
    """What is needed of an open store."""

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """A chain where it was told."""

    item_id: str | None
    replicate: int | None
    span_id: str | None
    chain: Chain


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """One item's chain on both sides, and what differs."""

    item_id: str
    before: Told
    after: Told
    difference: Difference


@dataclass(frozen=True, slots=True)
class RunsDifference:
    """The chains of two runs, each with its partner: of the same item and replicate, as they were told.

    Where the sides share no replicate, the first of an item answers to the first.
    """

    before: str
    after: str
    items: tuple[ItemDifference, ...]
    """By item, then as they were told."""
    only_before: tuple[Told, ...]
    """Chains without a partner, and those that name no item."""
    only_after: tuple[Told, ...]

    @property
    def changed(self) -> tuple[ItemDifference, ...]:
        """Those that differ, the least similar first."""
        found = [each for each in self.items if not each.difference.same]
        return tuple(sorted(found, key=lambda each: each.difference.similarity))

    @property
    def same(self) -> bool:
        """Whether every chain has its partner, and says what that says."""
        return not (self.changed or self.only_before or self.only_after)

    @property
    def mean_similarity(self) -> float | None:
        """Mean over the pairs, 0 to 1; None where there is none."""
        return fmean(each.difference.similarity for each in self.items) if self.items else None

    @property
    def mean_confidence_delta(self) -> float | None:
        """How much surer the second side is: mean of each pair's mean change; None where no pair has one."""
        deltas = [each.difference.mean_confidence_delta for each in self.items]
        stated = [delta for delta in deltas if delta is not None]
        return fmean(stated) if stated else None


def diff_runs(
    reader: Reader,
    before: str,
    after: str,
    *,
    experiment: str | None = None,
    item: str | None = None,
    match: Match = "auto",
) -> RunsDifference:
    """Return what makes the reasoning of `after` of that of `before`, for each item that both have.

    Each side is a run's id, else a condition, of `experiment` where several have it; `item` takes one item alone.
    Events are matched as `diff` matches them. Raises BadInput where a name fits none, or several.
    """
    told = [_told(reader, *_side(reader, name, experiment), item) for name in (before, after)]
    if item is not None and not (told[0] or told[1]):
        raise BadInput(f"No chain of the item {item!r} was told in {before!r} or {after!r}.")
    by_replicate = bool({each.replicate for each in told[0]} & {each.replicate for each in told[1]})
    first, second = (_grouped(each, by_replicate=by_replicate) for each in told)
    pairs, left, right = [], [], []
    for key in dict.fromkeys((*first, *second)):
        ours, theirs = first.get(key, []), second.get(key, [])
        both = min(len(ours), len(theirs)) if key[0] is not None else 0
        for one, other in zip(ours[:both], theirs[:both], strict=True):
            pairs.append(ItemDifference(str(key[0]), one, other, diff(one.chain, other.chain, match=match)))
        left += ours[both:]
        right += theirs[both:]
    return RunsDifference(before, after, tuple(pairs), tuple(left), tuple(right))


def _grouped(told: list[Told], *, by_replicate: bool) -> dict[tuple[str | None, int | None], list[Told]]:
    groups: dict[tuple[str | None, int | None], list[Told]] = defaultdict(list)
    for each in told:
        groups[each.item_id, each.replicate if by_replicate else None].append(each)
    return groups


def is_side(reader: Reader, name: str) -> bool:
    """Whether a name is a run's id, or a condition in which chains were told."""
    known = "SELECT 1 FROM runs WHERE run_id = $1 UNION ALL SELECT 1 FROM chains WHERE condition = $1 LIMIT 1"
    return bool(reader.rows(known, [name]))


def _side(reader: Reader, name: str, experiment: str | None) -> tuple[str, tuple[object, ...]]:
    """Return the condition, as SQL, that selects one side."""
    if reader.rows("SELECT 1 FROM runs WHERE run_id = ? LIMIT 1", [name]):
        return "run_id = ?", (name,)
    rows = reader.rows("SELECT DISTINCT experiment FROM chains WHERE condition = ? ORDER BY 1", [name])
    found = [row[0] for row in rows if experiment in (None, row[0])]
    if not found:
        where = "" if experiment is None else f" of {experiment!r}"
        raise BadInput(f"No chain was told in a run or a condition{where} that is called {name!r}.")
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise BadInput(f"Several experiments have a condition {name!r}: {listed}. Name one of them.")
    return "condition = ? AND experiment IS NOT DISTINCT FROM ?", (name, found[0])


def _told(reader: Reader, where: str, params: tuple[object, ...], item: str | None) -> list[Told]:
    """Return the chains of one side by item, each item's in the order of replicate and time."""
    if item is not None:
        where, params = f"{where} AND item_id = ?", (*params, item)
    place = "chain_id, version, hash, run_id, item_id, replicate, span_id"
    said = place.replace("version, hash", "chain_version, chain_hash")
    events: dict[object, list[tuple[Any, ReasoningEvent]]] = defaultdict(list)
    width = place.count(",") + 1
    for row in reader.rows(
        f"SELECT {said}, position, {', '.join(EVENT_COLUMNS)} FROM reasoning WHERE {where} ORDER BY start_ns, event_id",
        params,
    ):
        events[row[:width]].append((row[width], event_of(row[width + 1 :])))
    found = []
    for *key, name in reader.rows(
        f"SELECT {place}, name FROM chains WHERE {where} ORDER BY item_id, replicate, start_ns, event_id", params
    ):
        chain_id, version, _, _, item_id, replicate, span_id = key
        chain = Chain(chain_id, name or chain_id, tuple(_one_telling(events[tuple(key)])), version or 1)
        found.append(Told(item_id, replicate, span_id, chain))
    return found


def _one_telling(events: list[tuple[Any, ReasoningEvent]]) -> list[ReasoningEvent]:
    """Return the events of one telling in their order: a chain that was told twice in one span says the same twice."""
    once: dict[object, tuple[Any, ReasoningEvent]] = {}
    for number, (position, event) in enumerate(events):
        once.setdefault(("at", position) if position is not None else ("by itself", number), (position, event))
    return [event for _, event in sorted(once.values(), key=lambda each: (each[0] is None, each[0] or 0))]
