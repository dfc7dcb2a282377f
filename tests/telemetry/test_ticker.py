"""The thread that tells of spans which last."""

from __future__ import annotations

import threading
import time

import pytest

import tele
from tele.telemetry.ticker import Ticker


class Started:
    ended = False

    def __init__(self, mono_ns, told):
        self.mono_ns = mono_ns
        self.told = told

    def start_line(self):
        self.told.append(self.mono_ns)


@pytest.fixture
def frozen(monkeypatch):
    from tele.telemetry.ambient import ambient

    monkeypatch.setattr(ambient, "monotonic", lambda: 1_000)


def test_the_old_are_told_once_and_the_young_wait(frozen):
    told, ticker = [], Ticker()
    ticker.young = {n: Started(n, told) for n in (100, 500, 901)}
    ticker.tick(100)
    ticker.tick(100)
    assert (told, list(ticker.young)) == ([100, 500], [901])


def test_nothing_open_writes_nothing(frozen, tele_store):
    Ticker().tick(0)
    assert not list(tele_store.path.rglob("*.jsonl"))


def test_one_that_fails_does_not_hold_back_the_others(frozen):
    told, ticker = [], Ticker()

    class Broken(Started):
        def start_line(self):
            raise ValueError("broken")

    ticker.young = {1: Broken(1, told), 2: Started(2, told)}
    ticker.tick(0)
    assert told == [2]


def test_the_thread_is_a_daemon_and_one(tele_store):
    for _ in range(3):
        with tele.span("s"):
            pass
    found = [thread for thread in threading.enumerate() if thread.name == "tele-ticker"]
    assert [thread.daemon for thread in found] == [True]


def test_spans_that_end_leave_nothing_to_watch(tele_store):
    from tele.telemetry.ticker import ticker

    with tele.span("outer"), tele.span("inner"):
        assert len(ticker.young) <= 2
    assert ticker.young == {}


def test_an_end_does_not_wait_for_what_the_users_own_code_waits_for(tele_store):
    held = threading.RLock()

    class Slow:
        def __repr__(self):
            with held:
                return "slow"

    with held, tele.span("long", thing=Slow()):
        time.sleep(0.3)  # the ticker is at the repr by now, and waits for us
    for _ in range(100):
        if tele_store.rows("SELECT count(*) FROM events WHERE name = 'long'") == [(1,)]:
            break
    assert tele_store.rows("SELECT status FROM events WHERE name = 'long'") == [("ok",)]


def test_a_span_within_a_handler_does_not_wait_for_the_ticker_that_waits_for_it(tele_store, monkeypatch):
    """A signal may come while a record is appended; the ticker then waits for that, and the span for the ticker."""
    from tele.telemetry.process import process
    from tele.telemetry.ticker import ticker

    monkeypatch.setattr("tele.telemetry.ticker._PATIENCE_SECONDS", 0.05)
    tele.event("first")
    with process.journal._lock, tele.span("handler") as span:
        telling = threading.Thread(target=ticker.tick, args=(-(10**9),), daemon=True)
        telling.start()
        while id(span) in ticker.young:
            time.sleep(0.001)
        time.sleep(0.02)
    telling.join(10)
    assert tele_store.rows("SELECT name, status FROM spans") == [("handler", "ok")]
