"""`tele.batch`: a function of one item takes many; results come in the items' order, whoever is done first."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tele
from tele.errors import BadInput
from tele.testing import temporary_store


def events(store):
    rows = store.rows("SELECT name, attributes FROM events WHERE kind = 'event' ORDER BY start_ns, event_id")
    return [(name, {k: v for k, v in json.loads(text).items() if k != "duration_ms"}) for name, text in rows]


class TestForms:
    def test_the_documented_example_of_scryptorum(self, tele_store):
        @tele.batch(batch_size=10, parallel=False)
        def process_items(item):
            """Process items in batches with automatic logging."""
            return item * 2

        assert process_items(list(range(25))) == [n * 2 for n in range(25)]
        assert process_items.__doc__ == "Process items in batches with automatic logging."
        named = {"function": "process_items"}
        assert events(tele_store) == [
            ("batch_processing_started", named | {"batch_size": 10, "parallel": False, "items": 25}),
            *(
                ("batch_completed", named | {"batch": n, "size": size, "done": size, "failed": 0})
                for n, size in enumerate((10, 10, 5))
            ),
            ("batch_processing_finished", named | {"items": 25, "batches": 3, "failed": 0}),
        ]

    def test_bare_with_further_arguments_and_by_keyword(self, tele_store):
        @tele.batch
        def power(base, exponent=2, *, plus=0):
            return base**exponent + plus

        assert power([1, 2, 3]) == [1, 4, 9]
        assert power((1, 2), 3, plus=1) == [2, 9]
        assert power(exponent=1, base=iter([7])) == [7]
        with pytest.raises(TypeError, match="takes the items as its first argument"):
            power(exponent=1)

    def test_methods_and_classes(self, tele_store):
        class Model:
            @tele.batch(parallel=True)
            def predict(self, item):
                return self, item

            @classmethod
            @tele.batch
            def of_class(cls, item):
                return cls, item

        @tele.batch(batch_size=2)
        class Cleaner:
            def strip(self, item):
                return item.strip()

        model = Model()
        assert model.predict([1, 2]) == [(model, 1), (model, 2)]
        assert Model.of_class([1]) == [(Model, 1)]
        assert Cleaner().strip([" a", "b "]) == ["a", "b"]
        assert events(tele_store)[-1][1]["function"] == "Cleaner.strip"

    @pytest.mark.parametrize("parallel", [False, True])
    def test_functions_of_every_sort_stay_of_their_sort(self, tele_store, parallel):
        decorate = tele.batch(batch_size=2, parallel=parallel)

        @decorate
        async def coroutine(n):
            await asyncio.sleep(0)
            return -n

        @decorate
        def steps(n):
            yield n
            yield -n

        @decorate
        async def asteps(n):
            yield n
            await asyncio.sleep(0)
            yield -n

        async def some():
            for n in (1, 2, 3):
                yield n

        async def main():
            assert await coroutine([1, 2, 3]) == [-1, -2, -3]
            assert await coroutine(some()) == [-1, -2, -3]
            return [n async for n in asteps(some())]

        assert inspect.iscoroutinefunction(coroutine)
        assert inspect.isgeneratorfunction(steps)
        assert inspect.isasyncgenfunction(asteps)
        assert asyncio.run(main()) == list(steps([1, 2, 3])) == [1, -1, 2, -2, 3, -3]

    @pytest.mark.parametrize("size", [0, -1, 1.5, "10", True])
    def test_a_size_that_is_none_is_refused(self, size):
        with pytest.raises(BadInput, match="batch_size is a whole number from 1 on"):
            tele.batch(batch_size=size)


class TestParallel:
    def test_the_items_of_a_batch_run_at_once_in_threads(self, tele_store):
        barrier = threading.Barrier(4, timeout=10)

        @tele.batch(batch_size=4, parallel=True)
        def meet(n):
            barrier.wait()  # comes back only when four are in
            time.sleep(0.01 * (4 - n % 4))
            return n, threading.get_ident()

        results = meet(range(8))
        assert [n for n, _ in results] == list(range(8))
        assert len({ident for _, ident in results[:4]}) == 4

    def test_and_as_tasks(self, tele_store):
        async def main():
            together, running = asyncio.Event(), []

            @tele.batch(batch_size=3, parallel=True)
            async def meet(n):
                running.append(n)
                if len(running) % 3 == 0:
                    together.set()
                await asyncio.wait_for(together.wait(), 10)
                return n

            return await meet(range(6))

        assert asyncio.run(main()) == list(range(6))

    @pytest.mark.parametrize("sort", ["threads", "tasks"])
    def test_each_sees_the_callers_context_and_its_spans_are_children(self, tele_store, sort):
        variable = contextvars.ContextVar("variable", default="unset")

        def one(n):
            with tele.span(f"item {n}"):
                return variable.get()

        async def aone(n):
            await asyncio.sleep(0)
            return one(n)

        with tele.experiment("e", condition="c"), tele.span("caller"):
            variable.set("set")
            if sort == "threads":
                results = tele.batch(batch_size=2, parallel=True)(one)(range(3))
            else:
                results = asyncio.run(tele.batch(batch_size=2, parallel=True)(aone)(range(3)))
        assert results == ["set"] * 3
        rows = tele_store.rows("""SELECT s.name, s.condition, p.name FROM spans s
            JOIN spans p ON p.span_id = s.parent_id ORDER BY 1""")
        assert rows == [(f"item {n}", "c", "caller") for n in range(3)]

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(), max_size=20), st.integers(1, 7), st.booleans())
    def test_results_are_those_of_a_loop(self, items, size, parallel):
        with temporary_store():
            assert tele.batch(batch_size=size, parallel=parallel)(lambda n: -n)(items) == [-n for n in items]


class TestFailure:
    def test_in_turn_it_stops_where_a_loop_would(self, tele_store):
        seen = []

        @tele.batch(batch_size=3)
        def check(n):
            seen.append(n)
            if n == 4:
                raise ValueError(n)

        with pytest.raises(ValueError, match="4"):
            check(range(9))
        assert seen == [0, 1, 2, 3, 4]
        assert events(tele_store)[2:] == [
            ("batch_completed", {"function": "check", "batch": 1, "size": 3, "done": 1, "failed": 1}),
            ("batch_processing_finished", {"function": "check", "items": 5, "batches": 2, "failed": 1}),
        ]

    @pytest.mark.parametrize("sort", ["threads", "tasks"])
    def test_at_once_the_first_in_the_order_of_the_items_is_raised_and_the_batch_is_done(self, tele_store, sort):
        seen = []

        def check(n):
            if n == 1:
                time.sleep(0.05)
            seen.append(n)
            if n in (1, 2):
                raise ValueError(n)

        async def acheck(n):
            await asyncio.sleep(0)
            check(n)

        decorate = tele.batch(batch_size=4, parallel=True)
        run = decorate(check) if sort == "threads" else lambda items: asyncio.run(decorate(acheck)(items))
        with pytest.raises(ValueError, match="1"):
            run(range(8))
        assert sorted(seen) == [0, 1, 2, 3]
        [(_, told), (_, finished)] = events(tele_store)[1:]
        assert (told["done"], told["failed"], finished["failed"]) == (2, 2, 2)

    def test_a_generator_that_is_left_early_is_told_as_finished(self, tele_store):
        @tele.batch(batch_size=1)
        def steps(n):
            yield n

        assert next(steps(range(10))) == 0

        @tele.batch(batch_size=1)
        async def asteps(n):
            yield n

        async def main():
            stream = asteps(range(10))
            async for _ in stream:
                break
            await stream.aclose()

        asyncio.run(main())
        assert [facts["batches"] for name, facts in events(tele_store) if name == "batch_processing_finished"] == [1, 1]
