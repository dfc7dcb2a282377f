"""Searching the events of reasoning of a store, beside loading the same events as JSON.

A library that keeps each chain as a JSON file loads all of them before it can look into one; here the file is one, is
in the page cache, and holds what an exported chain does. Ours looks for two words in decision and reasoning, for a
regular expression, and for a filter, in a store that is open (a command or a notebook asks more than once), and once
with the opening. What is found is held against a plain loop over the events before any time counts.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Row, Settings, race, row, wall
from benchmarks.workload import text

if TYPE_CHECKING:
    from tele.store.reader import Store
    from tele.trace import Chain

__all__ = ["rows"]

EVENTS_OF_A_CHAIN = 5
HOLD = 0.3
_TYPES = ("hypothesis_formed", "alternative_rejected", "constraint_evaluated", "pattern_applied", "ambiguity_flagged")


def rows(settings: Settings) -> list[Row]:
    """Measure words, an expression and a filter."""
    import tele

    chains = _chains(settings.common)
    with _recorded(chains) as folder, tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "events.json"
        file.write_text(json.dumps([event for chain in chains for event in _dicts(chain)]))
        with tele.open(folder) as store:
            for name, (asked, by_hand) in _QUESTIONS.items():
                _check(name, asked(store), sum(1 for chain in chains for event in chain.events if by_hand(event)))
            sides: dict[str, Callable[[], float]] = {
                name: (lambda asked=asked: wall(lambda: asked(store))) for name, (asked, _) in _QUESTIONS.items()
            }
            sides["opened anew"] = lambda: wall(lambda: _opened(folder))
            sides["json.load"] = lambda: wall(lambda: json.loads(file.read_text()))
            took = race(sides, settings.rounds)
    what = f"of {settings.common:,} events of reasoning"
    return [
        row(f"reasoning-{name.split()[0]}", f"{name} {what}", took, name, "json.load", hold, per=1)
        for name, hold in (
            ("words", HOLD),
            ("expression", HOLD),
            ("filter", HOLD),
            ("opened anew", None),
        )
    ]


def _words(store: Store) -> int:
    from tele.trace.search import search

    return len(search(store, "cache invalidation"))


def _expression(store: Store) -> int:
    from tele.trace.search import search

    return len(search(store, regex=r"cache\s+inval"))


def _filter(store: Store) -> int:
    from tele.trace.search import search

    return len(search(store, where={"type": "ambiguity_flagged", "confidence": {"lt": 0.01}}))


def _opened(folder: Path) -> int:
    import tele

    with tele.open(folder) as store:
        return _words(store)


_QUESTIONS: dict[str, tuple[Callable[[Any], int], Callable[[Any], bool]]] = {
    "words": (
        _words,
        lambda e: all(word in f"{e.decision}\n{e.reasoning}".lower() for word in ("cache", "invalidation")),
    ),
    "expression": (_expression, lambda e: any(re.search(r"cache\s+inval", said) for said in (e.decision, e.reasoning))),
    "filter": (_filter, lambda e: e.type == "ambiguity_flagged" and e.confidence < 0.01),
}


def _chains(events: int) -> list[Chain]:
    from tele.trace import Chain, ReasoningEvent

    draw = random.Random(5)
    found = []
    for n in range(events // EVENTS_OF_A_CHAIN):
        said = tuple(
            ReasoningEvent(
                _TYPES[at],
                "Leave cache invalidation to the writer" if draw.random() < 0.002 else text(draw, 60),
                text(draw, 180),
                f"{n}.{at}",
                (text(draw, 20), text(draw, 20)),
                round(draw.random(), 3),
            )
            for at in range(EVENTS_OF_A_CHAIN)
        )
        found.append(Chain(f"{draw.getrandbits(128):032x}", f"item {n}", said))
    return found


def _dicts(chain: Chain) -> list[dict[str, Any]]:
    from tele.trace.chain import facts

    return [{"chain_id": chain.id, "name": chain.name, **facts(event)} for event in chain.events]


@contextmanager
def _recorded(chains: list[Chain]) -> Iterator[Path]:
    import tele
    from tele.store.layout import open_layout
    from tele.store.seal import seal

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".tele"
        tele.configure(store=store, durability="buffered", seal="manual")
        with tele.experiment("reasoning", condition="a"):
            for chain in chains:
                with tele.span("chat", item_id=chain.name):
                    tele.record_chain(chain)
        tele.flush()
        if lost := tele.dropped():
            raise RuntimeError(f"records were lost: {lost}")
        tele.configure(durability="process", seal="manual")
        seal(open_layout(store))
        yield store


def _check(name: str, found: int, expected: int) -> None:
    if found != expected or not expected:
        raise RuntimeError(f"{name}: found {found} events, and a loop finds {expected}")
