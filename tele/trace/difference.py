"""What differs between two chains: which events came, went and changed, and how much surer or less sure they are."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from tele.errors import BadInput
from tele.trace.chain import Chain, ReasoningEvent

__all__ = ["Change", "Difference", "Match", "diff"]

Match = Literal["auto", "id", "position", "content"]
_TIMES = ("created_at",)
_NOT_COMPARED = ("id", *_TIMES)
_REFERENCES = ("parent", "depends_on")
_ROUNDED = 6
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""What HTML cannot hold."""


@dataclass(frozen=True, slots=True)
class Change:
    """An event that stands in both chains, and what it says otherwise: field, to the value before and the one after."""

    before: ReasoningEvent
    after: ReasoningEvent
    before_position: int
    after_position: int
    fields: dict[str, tuple[Any, Any]]

    @property
    def confidence_delta(self) -> float | None:
        """How much surer it is, rounded to six digits; None where one of the two states no confidence."""
        if self.before.confidence is None or self.after.confidence is None:
            return None
        return round(self.after.confidence - self.before.confidence, _ROUNDED)


@dataclass(frozen=True, slots=True)
class Difference:
    """What makes the second chain of the first; events stand in the order of their own chain."""

    match: str
    """By what events were held to be the same one: `id`, `position` or `content`."""
    added: tuple[ReasoningEvent, ...]
    removed: tuple[ReasoningEvent, ...]
    modified: tuple[Change, ...]
    """Events of both that say something else."""
    unchanged: tuple[Change, ...]
    """Events of both that say the same; their place may be another one."""
    overlap: float
    """Share of events that both have, of the longer chain: 0 to 1, and 1 where both are empty."""
    similarity: float
    """As `overlap`, but an event counts by the share of its fields that say the same."""

    @property
    def confidence_deltas(self) -> dict[str, float]:
        """For each event whose confidence changed, by the id that it has in the first chain, how much surer it is."""
        deltas = ((change.before.id, change.confidence_delta) for change in self.modified)
        return {name: delta for name, delta in deltas if delta}

    @property
    def mean_confidence_delta(self) -> float | None:
        """Mean change of the confidence over the events that state one in both chains; None where none does."""
        pairs = (change.confidence_delta for change in (*self.modified, *self.unchanged))
        stated = [delta for delta in pairs if delta is not None]
        return sum(stated) / len(stated) if stated else None

    @property
    def same(self) -> bool:
        """Whether nothing came, went or changed."""
        return not (self.added or self.removed or self.modified)

    @property
    def moved(self) -> tuple[Change, ...]:
        """Events of both that stand in another order than the others of both do."""
        both = sorted((*self.modified, *self.unchanged), key=lambda change: change.before_position)
        stays = _longest_rising([change.after_position for change in both])
        return tuple(change for at, change in enumerate(both) if at not in stays)

    @property
    def summary(self) -> str:
        """`1 added, 2 removed, 3 modified`."""
        return f"{len(self.added)} added, {len(self.removed)} removed, {len(self.modified)} modified"

    def to_text(self) -> str:
        """The difference as lines: `-` what went, `+` what came, `~` what changed, with both values."""
        lines = [f"{self.summary}; matched by {self.match}; similarity {self.similarity:.3f}"]
        lines += [f"- {_line(event)}" for event in self.removed]
        lines += [f"+ {_line(event)}" for event in self.added]
        for change in self.modified:
            lines.append(f"~ {_line(change.before)}")
            lines += [f"    {name}: {_shown(was)} → {_shown(now)}" for name, (was, now) in change.fields.items()]
        if self.mean_confidence_delta:
            lines.append(f"mean confidence {self.mean_confidence_delta:+.3f}")
        return "\n".join(lines)

    def to_html(self) -> str:
        """The difference as a piece of HTML, all texts escaped and whole: `<del>` what went, `<ins>` what came."""
        head = f"{self.summary}; matched by {self.match}; similarity {self.similarity:.3f}"
        lines = ['<section class="chain-diff">', f"<p>{_html(head)}</p>", "<ul>"]
        lines += [f"<li><del>{_html(_line(event, whole=True))}</del></li>" for event in self.removed]
        lines += [f"<li><ins>{_html(_line(event, whole=True))}</ins></li>" for event in self.added]
        for change in self.modified:
            lines.append(f"<li>{_html(_line(change.before, whole=True))}<dl>")
            lines += [
                f"<dt>{_html(name)}</dt><dd><del>{_html(_text(was))}</del> <ins>{_html(_text(now))}</ins></dd>"
                for name, (was, now) in change.fields.items()
            ]
            lines.append("</dl></li>")
        lines.append("</ul>")
        if self.mean_confidence_delta:
            lines.append(f"<p>mean confidence {self.mean_confidence_delta:+.3f}</p>")
        return "\n".join([*lines, "</section>"]) + "\n"


def diff(before: Chain, after: Chain, *, match: Match = "auto", times: bool = False) -> Difference:
    """Return what makes `after` of `before`.

    Events are the same one by `id`, by `position`, or by `content` (type and decision; of several such, the first
    answers to the first). `auto` takes ids where the chains share one that an author gave, else content. Times are
    compared where asked. Raises BadInput for another `match`.
    """
    how = _chosen(before, after, match)
    pairs = _pairs(before.events, after.events, _KEYS[how])
    names = {before.events[a].id: after.events[b].id for a, b in pairs}
    compared = [
        field.name
        for field in dataclasses.fields(ReasoningEvent)
        if field.name not in _NOT_COMPARED or (times and field.name in _TIMES)
    ]
    changes = [_change(before, after, a, b, names, compared) for a, b in pairs]
    left, right = {a for a, _ in pairs}, {b for _, b in pairs}
    longer = max(len(before.events), len(after.events))
    alike = sum(1 - len(change.fields) / len(compared) for change in changes)
    return Difference(
        match=how,
        added=tuple(event for at, event in enumerate(after.events) if at not in right),
        removed=tuple(event for at, event in enumerate(before.events) if at not in left),
        modified=tuple(change for change in changes if change.fields),
        unchanged=tuple(change for change in changes if not change.fields),
        overlap=len(pairs) / longer if longer else 1.0,
        similarity=alike / longer if longer else 1.0,
    )


_KEYS: dict[str, Callable[[int, ReasoningEvent], Hashable]] = {
    "id": lambda _, event: event.id,
    "position": lambda position, _: position,
    "content": lambda _, event: (event.type, event.decision),
}


def _chosen(before: Chain, after: Chain, match: str) -> str:
    if match != "auto":
        if match not in _KEYS:
            raise BadInput(f"Events are matched by auto, {', '.join(_KEYS)}, not by {match!r}.")
        return match
    shared = {e.id for e in before.events} & {e.id for e in after.events}
    given = shared if before.id == after.id else {name for name in shared if not _made_up(name, before, after)}
    return "id" if given else "content"


def _made_up(name: str, *chains: Chain) -> bool:
    """Whether an id is one that the parser gives, of the chain's id and a number: in another chain it says nothing."""
    head, dot, number = name.rpartition(".")
    return bool(dot) and number.isdecimal() and any(chain.id.startswith(head) for chain in chains)


def _pairs(
    before: Iterable[ReasoningEvent], after: Iterable[ReasoningEvent], key: Callable[[int, ReasoningEvent], Hashable]
) -> list[tuple[int, int]]:
    """Positions of the events that are the same one, in the order of the first chain; each stands in one pair."""
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for at, event in enumerate(after):
        waiting[key(at, event)].append(at)
    pairs = []
    for at, event in enumerate(before):
        found = waiting.get(key(at, event))
        if found:
            pairs.append((at, found.popleft()))
    return pairs


def _change(before: Chain, after: Chain, a: int, b: int, names: dict[str, str], compared: Iterable[str]) -> Change:
    old, new = before.events[a], after.events[b]
    fields = {}
    for name in compared:
        was, now = getattr(old, name), getattr(new, name)
        if (_renamed(was, names) if name in _REFERENCES else was) != now:
            fields[name] = (was, now)
    return Change(old, new, a, b, fields)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """References of the first chain in the ids of the second: the same event under another id is no change."""
    if isinstance(value, tuple):
        return tuple(names.get(each, each) for each in value)
    return names.get(value, value)


def _longest_rising(numbers: list[int]) -> set[int]:
    """Places of a longest rising subsequence."""
    from bisect import bisect_left

    tops: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for at, number in enumerate(numbers):
        length = bisect_left(tops, number)
        tops[length : length + 1] = [number]
        ends[length : length + 1] = [at]
        before.append(ends[length - 1] if length else -1)
    found, at = set(), ends[-1] if ends else -1
    while at >= 0:
        found.add(at)
        at = before[at]
    return found


def _line(event: ReasoningEvent, *, whole: bool = False) -> str:
    sure = "" if event.confidence is None else f" ({event.confidence:g})"
    return f"{event.type}: {event.decision if whole else _shown(event.decision, 100)}{sure}"


def _text(value: Any) -> str:
    if value is None or value in ((), {}):
        return "nothing"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _shown(value: Any, most: int = 60) -> str:
    text = " ".join(_text(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _html(text: str) -> str:
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))
