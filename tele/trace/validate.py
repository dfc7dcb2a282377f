"""What is wrong with a chain or an event: all of it, not the first that is met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from tele.errors import BadInput
from tele.trace.chain import MORE_TYPES, TYPES, Chain, ReasoningEvent
from tele.trace.relations import cycles

__all__ = ["Problem", "check", "event_problems", "problems"]

KNOWN = frozenset(TYPES + MORE_TYPES)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `event` is the id of the event, None where it is about the chain."""

    code: str
    message: str
    event: str | None = None


def event_problems(event: ReasoningEvent, *, types: Iterable[str] | None = None) -> tuple[Problem, ...]:
    """Return what is wrong with one event by itself; `types` are types of your own beside those that tele knows."""
    found: list[tuple[str, str]] = []
    if event.type not in KNOWN and event.type not in (types or ()):
        found.append(("unknown_type", f"{event.type!r} is none of the known types"))
    sure = event.confidence
    if sure is not None and (isinstance(sure, bool) or not isinstance(sure, (int, float))):
        found.append(("confidence", f"the confidence is a number from 0 to 1, not {sure!r}"))
    elif sure is not None and not (isfinite(sure) and 0 <= sure <= 1):
        found.append(("confidence", f"the confidence is from 0 to 1, not {sure!r}"))
    missing = [name for name in ("decision", "reasoning", "id") if not str(getattr(event, name)).strip()]
    found += [(f"no_{name}", f"the event has no {name}") for name in missing]
    if event.created_at is not None and event.created_at.tzinfo is None:
        found.append(("no_time_zone", f"created_at has no time zone: {event.created_at.isoformat()}"))
    return tuple(Problem(code, message, event.id) for code, message in found)


def problems(chain: Chain, *, types: Iterable[str] | None = None) -> tuple[Problem, ...]:
    """Return everything that is wrong with a chain: of each event in order, then of how they hang together.

    `types` are types of your own beside those that tele knows. An empty answer says that nothing is wrong.
    """
    own = frozenset(types or ())
    found = [problem for event in chain.events for problem in event_problems(event, types=own)]
    found += [
        Problem(f"chain_no_{name}", f"the chain has no {name}") for name in ("id", "name") if not _told(chain, name)
    ]
    return (*found, *_relation_problems(chain))


def check(chain: Chain, *, types: Iterable[str] | None = None) -> Chain:
    """Return the chain; raises BadInput, which lists every problem, where it has any."""
    found = problems(chain, types=types)
    if not found:
        return chain
    lines = [f"{problem.event or 'chain'}: {problem.message}" for problem in found]
    count = f"{len(found)} problem{'' if len(found) == 1 else 's'}"
    raise BadInput(f"The chain {chain.name!r} has {count}: {'; '.join(lines)}.")


def _told(chain: Chain, name: str) -> bool:
    return bool(str(getattr(chain, name)).strip())


def _relation_problems(chain: Chain) -> list[Problem]:
    there: set[str] = set()
    found = []
    for event in chain.events:
        if event.id in there:
            found.append(Problem("repeated_id", f"{event.id!r} is the id of an earlier event", event.id))
        there.add(event.id)
    for event in chain.events:
        if event.parent is not None and event.parent not in there:
            found.append(Problem("missing_parent", f"the parent {event.parent!r} is not in the chain", event.id))
        found += [
            Problem("missing_dependency", f"{name!r}, which it depends on, is not in the chain", event.id)
            for name in dict.fromkeys(event.depends_on)
            if name not in there
        ]
    for circle in cycles(chain):
        found.append(Problem("cycle", f"it rests on itself: {' → '.join((*circle, circle[0]))}", circle[0]))
    return found
