"""`tele.timer` records how long something took, in milliseconds, also where it failed."""

from __future__ import annotations

import asyncio
import contextvars
import inspect

import pytest

import tele
from tele.testing import temporary_store

TIMED = "SELECT name, value, unit, error_type FROM metrics ORDER BY start_ns"


@pytest.fixture
def store():
    with temporary_store(frozen=True) as store:
        yield store


def test_a_block(store):
    with tele.span("s") as span, tele.timer("load", sort="cold") as timed:
        store.clock.advance(0.25)
    assert timed.ms == 250.0
    assert store.rows("SELECT name, value, unit, span_id, attributes FROM metrics") == [
        ("load", 250.0, "ms", span.span_id, '{"sort":"cold"}')
    ]


def test_the_documented_example_of_scryptorum(store):
    @tele.timer("data_loading")
    def load_reviews():
        """Load customer reviews."""
        store.clock.advance(1)
        return ["Great product!"]

    assert load_reviews() == ["Great product!"]
    assert load_reviews.__doc__ == "Load customer reviews."
    assert store.rows(TIMED) == [("data_loading", 1000.0, "ms", None)]


def test_an_exception_is_timed_and_passes(store):
    @tele.timer
    def fail():
        store.clock.advance(0.5)
        raise KeyError("k")

    with pytest.raises(KeyError):
        fail()
    assert store.rows(TIMED) == [("fail", 500.0, "ms", "KeyError")]


def test_functions_of_every_sort(store):
    @tele.timer
    async def coroutine():
        store.clock.advance(1)

    @tele.timer()
    def steps():
        store.clock.advance(1)
        yield 1
        store.clock.advance(1)

    @tele.timer("named")
    async def asteps():
        store.clock.advance(4)
        yield 1

    async def main():
        await coroutine()
        return [n async for n in asteps()]

    assert inspect.iscoroutinefunction(coroutine)
    assert (asyncio.run(main()), list(steps())) == ([1], [1])
    assert store.rows(TIMED) == [
        ("coroutine", 1000.0, "ms", None),
        ("named", 4000.0, "ms", None),
        ("steps", 2000.0, "ms", None),
    ]


def test_a_class_is_timed_by_its_public_methods(store):
    @tele.timer
    class Model:
        def __init__(self):
            self._hidden()

        def _hidden(self):
            store.clock.advance(1)

        def predict(self, x):
            store.clock.advance(2)
            return x

        @staticmethod
        def load():
            store.clock.advance(3)

        @property
        def size(self):
            return 1

    model = Model()
    assert (model.predict(5), model.size) == (5, 1)
    Model.load()
    assert store.rows(TIMED) == [("Model.predict", 2000.0, "ms", None), ("Model.load", 3000.0, "ms", None)]


def test_recursion_and_one_timer_used_again(store):
    @tele.timer
    def down(n):
        store.clock.advance(1)
        if n:
            down(n - 1)

    down(2)
    timed = tele.timer("again")
    with timed:
        store.clock.advance(1)
        with timed:
            store.clock.advance(1)
        assert timed.ms == 1000.0
    assert timed.ms == 2000.0
    assert [value for _, value, _, _ in store.rows(TIMED)] == [1000.0, 2000.0, 3000.0, 1000.0, 2000.0]


def test_one_timer_in_several_tasks_takes_each_ones_own_time(store):
    timed = tele.timer("query")

    async def query(begun, go):
        with timed:
            begun.set()
            await go.wait()
        return timed.ms

    async def both():
        events = [asyncio.Event() for _ in range(4)]
        first = asyncio.create_task(query(events[0], events[1]))
        await events[0].wait()
        store.clock.advance(1)
        second = asyncio.create_task(query(events[2], events[3]))
        await events[2].wait()
        store.clock.advance(1)
        events[1].set()
        took = [await first]
        store.clock.advance(3)
        events[3].set()
        return [*took, await second]

    assert asyncio.run(both()) == [2000.0, 4000.0]
    assert [value for _, value, *_ in store.rows(TIMED)] == [2000.0, 4000.0]


def test_a_timing_that_ends_in_another_context_is_its_own(store):
    timed = tele.timer("query")
    contextvars.copy_context().run(timed.__enter__)
    store.clock.advance(1)
    with timed:
        store.clock.advance(1)
    assert timed.ms == 1000.0
    timed.__exit__(None, None, None)
    assert timed.ms == 2000.0
