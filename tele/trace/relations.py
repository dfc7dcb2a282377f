"""How the events of a chain hang together: `parent` says what an event is part of, `depends_on` what it rests on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tele.trace.chain import Chain, ReasoningEvent

__all__ = ["Relations", "cycles", "relations"]


@dataclass(frozen=True, slots=True)
class Relations:
    """The events of a chain, by id and by who rests on whom; of two events with one id the first counts."""

    by_id: dict[str, ReasoningEvent]
    roots: tuple[ReasoningEvent, ...]
    """Events that neither name a parent nor depend on anything that is there."""
    leaves: tuple[ReasoningEvent, ...]
    """Events that nothing is part of and nothing depends on."""
    _children: dict[str, tuple[ReasoningEvent, ...]]
    _dependents: dict[str, tuple[ReasoningEvent, ...]]

    def children(self, event: ReasoningEvent | str) -> tuple[ReasoningEvent, ...]:
        """Events that name this one as their parent, in their order."""
        return self._children.get(_id(event), ())

    def dependents(self, event: ReasoningEvent | str) -> tuple[ReasoningEvent, ...]:
        """Events that depend on this one, in their order."""
        return self._dependents.get(_id(event), ())

    def parent(self, event: ReasoningEvent | str) -> ReasoningEvent | None:
        """The event that this one is part of; None where it names none, or one that is not there."""
        found = self.by_id.get(_id(event))
        return None if found is None or found.parent is None else self.by_id.get(found.parent)

    def rests_on(self, event: ReasoningEvent | str) -> tuple[ReasoningEvent, ...]:
        """All that this event rests on, however far: parents and dependencies, nearest first, each once."""
        seen, found = {_id(event)}, []
        waiting = [_id(event)]
        for name in waiting:  # grows while it is read
            known = self.by_id.get(name)
            for above in _above(known) if known else ():
                if above not in seen and above in self.by_id:
                    seen.add(above)
                    waiting.append(above)
                    found.append(self.by_id[above])
        return tuple(found)


def relations(chain: Chain) -> Relations:
    """Return who is part of whom and who depends on whom; total, also where ids are missing or go in circles."""
    by_id: dict[str, ReasoningEvent] = {}
    for event in chain.events:
        by_id.setdefault(event.id, event)
    children, dependents = defaultdict(list), defaultdict(list)
    for event in chain.events:
        if event.parent is not None:
            children[event.parent].append(event)
        for name in dict.fromkeys(event.depends_on):
            dependents[name].append(event)
    roots = tuple(event for event in chain.events if not any(name in by_id for name in _above(event)))
    leaves = tuple(event for event in chain.events if event.id not in children and event.id not in dependents)
    return Relations(
        by_id,
        roots,
        leaves,
        {name: tuple(events) for name, events in children.items()},
        {name: tuple(events) for name, events in dependents.items()},
    )


def cycles(chain: Chain) -> tuple[tuple[str, ...], ...]:
    """Return the circles of parents and dependencies: ids in the order of the links, the earliest event first.

    One circle is told for each link that closes one, in a walk from the first event on. Linear, without recursion.
    """
    by_id: dict[str, ReasoningEvent] = {}
    for event in chain.events:
        by_id.setdefault(event.id, event)
    place = {name: at for at, name in enumerate(by_id)}
    done: set[str] = set()
    found: list[tuple[str, ...]] = []
    for start in by_id:
        path: list[str] = []
        depth: dict[str, int] = {}
        waiting: list[tuple[str, int]] = [(start, 0)]
        while waiting:
            name, level = waiting.pop()
            for left in path[level:]:
                del depth[left]
                done.add(left)
            del path[level:]
            if name in depth:
                found.append(_turned(path[depth[name] :], place))
            elif name not in done and name in by_id:
                depth[name] = level
                path.append(name)
                waiting += [(above, level + 1) for above in reversed(_above(by_id[name]))]
        done.update(path)
    return tuple(found)


def _turned(circle: Sequence[str], place: dict[str, int]) -> tuple[str, ...]:
    first = min(range(len(circle)), key=lambda at: place[circle[at]])
    return (*circle[first:], *circle[:first])


def _above(event: ReasoningEvent) -> tuple[str, ...]:
    named = event.depends_on if event.parent is None else (event.parent, *event.depends_on)
    return tuple(dict.fromkeys(named))


def _id(event: ReasoningEvent | str) -> str:
    return event if isinstance(event, str) else event.id
