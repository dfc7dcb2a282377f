"""A clock that jumps: back and forward, by a leap second or by years. What is shown is in the program's order, once."""

from __future__ import annotations

import time

import pytest

import tele
from tele.store import seal as sealing
from tele.store.layout import open_layout
from tele.store.reader import open_store
from tele.telemetry.ambient import ambient
from tele.telemetry.ticker import ticker
from tele.testing import temporary_store

from .promises import ROUNDS, chance

SECOND = 10**9
YEAR = 365 * 86_400 * SECOND
JUMPS = (-SECOND, SECOND, -3600 * SECOND, 3600 * SECOND, -10 * YEAR, 10 * YEAR, -1, 0)


class Clock:
    """A wall clock that goes on as time does, and jumps."""

    def __init__(self):
        self.offset, self.real = 0, time.time_ns

    def __call__(self):
        return self.real() + self.offset


@pytest.fixture
def clock(monkeypatch):
    """The wall clock of everything in this process, as when somebody sets it."""
    made = Clock()
    monkeypatch.setattr(time, "time_ns", made)
    monkeypatch.setattr(time, "time", lambda: made() / 1e9)
    monkeypatch.setattr(ambient, "now", made)
    return made


@pytest.fixture
def store(tmp_path):
    with temporary_store(tmp_path / ".tele"):
        yield tmp_path / ".tele"


SHOWN = """SELECT (attributes->>'$.n')::INT, status, count(*) FROM events WHERE name = 'work' GROUP BY ALL ORDER BY 1"""


def test_whatever_the_clock_does_ids_are_unique_order_is_the_programs_and_no_duration_is_negative(store, clock):
    dice = chance()
    for number in range(max(ROUNDS, 20) * 5):
        with tele.span("work", n=number):
            clock.offset += dice.choice(JUMPS)
        if dice.random() < 0.05:
            tele.configure(seal="manual")  # the next record begins a new journal
        if dice.random() < 0.05:
            sealing.seal(open_layout(store))
    with open_store(store) as reader:
        # A journal says which one its process wrote before it; in one, numbers are the order.
        rows = reader.rows("SELECT (attributes->>'$.n')::INT, writer, seq FROM events WHERE name = 'work' ORDER BY 1")
        by_writer = [[seq for _, writer, seq in rows if writer == name] for name in {writer for _, writer, _ in rows}]
        assert [n for n, *_ in rows] == list(range(number + 1))
        assert all(numbers == sorted(set(numbers)) for numbers in by_writer)
        assert reader.rows(
            "SELECT count(*) - count(DISTINCT event_id), count(*) - count(DISTINCT span_id) FROM spans"
        ) == [(0, 0)]
        assert reader.rows("SELECT count(*) FROM events WHERE end_ns < start_ns OR duration_ms < 0") == [(0,)]
        assert reader.rows("SELECT count(*) FROM events WHERE duration_ms > 5000") == [(0,)]


def test_a_duration_is_the_monotonic_clocks_whatever_the_wall_clock_does_meanwhile(store, clock, monkeypatch):
    ticks = iter(range(0, 10**12, 7 * SECOND))
    monkeypatch.setattr(ambient, "monotonic", lambda: next(ticks))
    begun = []
    for number, jump in enumerate(JUMPS):
        begun.append(clock())
        with tele.span("work", n=number):
            clock.offset += jump
    with open_store(store) as reader:
        rows = reader.rows(
            "SELECT start_ns, end_ns - start_ns, duration_ms FROM events WHERE name = 'work' ORDER BY seq"
        )
    assert [row[1:] for row in rows] == [(7 * SECOND, 7000.0)] * len(JUMPS)
    assert all(at <= start < at + 5 * SECOND for at, (start, *_) in zip(begun, rows, strict=True))


@pytest.mark.parametrize("times_sealed", [0, 1, 2])
def test_a_span_over_a_jump_and_two_journals_is_shown_once(store, clock, monkeypatch, times_sealed):
    monkeypatch.setattr(sealing, "BATCH_BYTES", 1)  # each journal is a batch of its own
    for number, jump in enumerate(JUMPS):
        with tele.span("work", n=number):
            ticker.tick(-(10**18))  # its start is written now
            tele.configure(seal="manual")  # finishes the journal that holds it
            clock.offset += jump
            if times_sealed == 2:
                sealing.seal(open_layout(store))
        if times_sealed:
            sealing.seal(open_layout(store))
    for _ in range(2):
        with open_store(store) as reader:
            assert reader.rows(SHOWN) == [(number, "ok", 1) for number in range(len(JUMPS))]
        sealing.seal(open_layout(store))


def test_a_start_that_is_not_sealed_gives_way_to_its_end_that_is(store, clock, monkeypatch):
    """The clock went back: the journal with the end sorts first, and the sealer got no further."""
    monkeypatch.setattr(sealing, "BATCH_BYTES", 1)
    with tele.span("work", n=1):
        ticker.tick(-(10**18))
        tele.configure(seal="manual")
        clock.offset -= 3600 * SECOND

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sealing.seal(open_layout(store), progress=interrupted)  # after the first batch
    for _ in range(2):
        with open_store(store) as reader:
            assert reader.rows(SHOWN) == [(1, "ok", 1)]
        sealing.seal(open_layout(store))


def test_a_long_span_is_told_of_although_the_clock_went_back(store, clock):
    with tele.span("work", n=1):
        clock.offset -= 3600 * SECOND
        time.sleep(0.3)  # beyond the 100 ms after which its start is written
        with open_store(store) as reader:
            assert reader.rows(SHOWN) == [(1, "open", 1)]
