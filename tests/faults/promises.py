"""What a store holds after any fault: these are the promises, as assertions over what a reader sees."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tele.store.check import check
from tele.store.reader import Store, open_store

ROUNDS = int(os.environ.get("TELE_FAULT_ROUNDS", "20"))


class Answer(NamedTuple):
    """All rows of a store in three figures that do not depend on their order."""

    rows: int
    events: int
    hash: int


def chance() -> random.Random:
    """Random numbers of a new seed, or of TELE_SEED; the seed is shown where the test fails."""
    seed = int(os.environ.get("TELE_SEED") or random.SystemRandom().randrange(2**32))
    sys.stderr.write(f"TELE_SEED={seed} draws the same again\n")
    return random.Random(seed)


def answer(store: Path, where: str = "true") -> Answer:
    """Ask a store, newly opened, for all that it shows."""
    with open_store(store) as reader:
        query = f"SELECT count(*), count(DISTINCT event_id), bit_xor(hash(e)) FROM events_raw e WHERE {where}"
        return Answer(*reader.rows(query)[0])


def assert_prefixes(reader: Store) -> None:
    """Each writer's spans are its first ones, without a hole, each once; so are its records' numbers."""
    assert reader.rows(_OF_SPANS) == [], "writer, rows, distinct, one more than the last: a hole, or one stands twice"
    assert reader.rows(_OF_RECORDS) == [], "writer, number: stands twice"
    assert reader.rows("SELECT event_id FROM events_raw GROUP BY ALL HAVING count(*) > 1") == []


_OF_SPANS = """
    SELECT writer, count(*) AS n, count(DISTINCT attributes->>'$.n'), max((attributes->>'$.n')::INT) + 1 AS top
    FROM events_raw WHERE name = 'work' AND status <> 'open' GROUP BY writer
    HAVING n <> top OR n <> count(DISTINCT attributes->>'$.n')"""
_OF_RECORDS = "SELECT writer, seq FROM events_raw GROUP BY ALL HAVING count(*) > 1"


def look_for_prefixes(store: Path) -> None:
    """Open the store beside whoever writes it, and see prefixes only."""
    with open_store(store) as reader:
        assert_prefixes(reader)


def stored_numbers(store: Path) -> list[set[int]]:
    """By writer, the numbers of the spans that are there."""
    with open_store(store) as reader:
        found = reader.rows("""SELECT list((attributes->>'$.n')::INT) FROM events_raw
                               WHERE name = 'work' AND status <> 'open' GROUP BY writer""")
    return [set(numbers) for (numbers,) in found]


def assert_kept(store: Path, acknowledged: Iterable[set[int]]) -> None:
    """Every acknowledged span is there, whole prefixes only, and a second look gives the same answer."""
    look_for_prefixes(store)
    stored = stored_numbers(store)
    for expected in acknowledged:
        lost = min((expected - numbers for numbers in stored), key=len, default=expected)
        assert lost == set(), "acknowledged, and not there"
    assert answer(store) == answer(store)


def findings(store: Path) -> list[str]:
    """What `tele check` finds damaged, one sentence each; its notes are no damage."""
    return [str(found) for found in check(store).findings]
