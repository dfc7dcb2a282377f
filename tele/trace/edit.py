"""Chains out of chains: each function returns a new one and leaves the old one as it is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tele.errors import BadInput
from tele.trace.chain import Chain, ReasoningEvent

__all__ = ["add", "between", "keep", "merge", "new_chain", "positions", "sort"]


def new_chain(name: str, events: Iterable[ReasoningEvent] = (), **about: Any) -> Chain:
    """Return a chain with an id of its own; `about` are fields of `Chain` (description, metadata, created_at, id)."""
    return Chain(id=about.pop("id", None) or uuid.uuid4().hex, name=name, events=tuple(events), **about)


def add(chain: Chain, *events: ReasoningEvent) -> Chain:
    """Return the chain with `events` behind its own."""
    return dataclasses.replace(chain, events=(*chain.events, *events))


def merge(first: Chain, *others: Chain) -> Chain:
    """Return one chain of all their events, in the order of the chains, under the id and name of the first.

    Of metadata the last one's values stand. An id that an earlier chain has already becomes `<chain's id>.<id>`, and so
    it is called by the parents and dependencies of its own chain.
    """
    events = list(first.events)
    metadata = dict(first.metadata)
    taken = {event.id for event in events}
    for other in others:
        renamed = _renamed(other, taken)
        events += [_called(event, renamed) for event in other.events]
        taken |= {renamed.get(event.id, event.id) for event in other.events}
        metadata |= other.metadata
    warnings = tuple(warning for chain in (first, *others) for warning in chain.warnings)
    return dataclasses.replace(first, events=tuple(events), metadata=metadata, warnings=warnings)


def _renamed(chain: Chain, taken: set[str]) -> dict[str, str]:
    own = {event.id for event in chain.events}
    found: dict[str, str] = {}
    for name in sorted(own & taken):
        new, n = f"{chain.id}.{name}", 2
        while new in taken or new in own:
            new, n = f"{chain.id}.{name}.{n}", n + 1
        found[name] = new
    return found


def _called(event: ReasoningEvent, names: Mapping[str, str]) -> ReasoningEvent:
    return dataclasses.replace(
        event,
        id=names.get(event.id, event.id),
        parent=None if event.parent is None else names.get(event.parent, event.parent),
        depends_on=tuple(names.get(name, name) for name in event.depends_on),
    )


def keep(chain: Chain, wanted: Callable[[ReasoningEvent], bool]) -> Chain:
    """Return the chain with those events alone that `wanted` says yes to; `query.matching` makes one of a filter."""
    return dataclasses.replace(chain, events=tuple(event for event in chain.events if wanted(event)))


def sort(chain: Chain, by: str = "created_at", *, descending: bool = False) -> Chain:
    """Return the chain with its events sorted by a field; those that do not state it stand behind, in their order.

    Raises BadInput where an event has no such field, or its values cannot be compared.
    """
    names = {field.name for field in dataclasses.fields(ReasoningEvent)}
    if by not in names:
        raise BadInput(f"Events are sorted by one of {', '.join(sorted(names))}, not {by!r}.")
    stated = [event for event in chain.events if getattr(event, by) is not None]
    rest = [event for event in chain.events if getattr(event, by) is None]
    try:
        stated.sort(key=lambda event: getattr(event, by), reverse=descending)
    except TypeError as error:
        raise BadInput(f"The events cannot be sorted by {by}: {error}.") from None
    return dataclasses.replace(chain, events=(*stated, *rest))


def between(chain: Chain, since: dt.datetime | None = None, until: dt.datetime | None = None) -> Chain:
    """Return the chain with the events of this stretch of time alone, both ends included; None is no end.

    An event without a time is in no stretch. Raises BadInput where an end has no time zone.
    """
    for end in (since, until):
        if end is not None and end.tzinfo is None:
            raise BadInput(f"A stretch of time needs a time zone: {end.isoformat()} has none.")

    def within(event: ReasoningEvent) -> bool:
        at = event.created_at
        if at is None:
            return since is None and until is None
        at = at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
        return (since is None or at >= since) and (until is None or at <= until)

    return keep(chain, within)


def positions(chain: Chain, start: int = 0, end: int | None = None) -> Chain:
    """Return the chain with its events from position `start` up to, and without, `end`, as Python's slices count."""
    return dataclasses.replace(chain, events=chain.events[start:end])
