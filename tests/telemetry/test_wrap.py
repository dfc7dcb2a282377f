"""A decorated function is the function it was, and each call is a span."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect

import pytest

import tele
from tele.errors import BadInput
from tele.telemetry.scope import OUTSIDE, here


def tree(store):
    query = """SELECT s.name, p.name, s.status FROM spans s LEFT JOIN spans p ON p.span_id = s.parent_id
        ORDER BY s.name, s.start_ns"""
    return store.rows(query)


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert here.get() is OUTSIDE


class TestShape:
    def test_name_signature_text_and_sort_stay(self):
        @tele.span("s")
        def plain(a: int, *, b: str = "x") -> None:
            """Say so."""

        @tele.span("s")
        async def coroutine(a: int) -> None: ...

        @tele.span("s")
        def steps(a: int):
            yield a

        @tele.span("s")
        async def asteps(a: int):
            yield a

        assert (plain.__name__, plain.__doc__) == ("plain", "Say so.")
        assert str(inspect.signature(plain)) == "(a: 'int', *, b: 'str' = 'x') -> 'None'"
        assert inspect.iscoroutinefunction(coroutine)
        assert inspect.isgeneratorfunction(steps)
        assert inspect.isasyncgenfunction(asteps)

    def test_methods_class_methods_and_static_methods(self, tele_store):
        class Model:
            @tele.span("method")
            def method(self, x):
                return self, x

            @classmethod
            @tele.span("class")
            def made(cls, x):
                return cls, x

            @staticmethod
            @tele.span("static")
            def static(x):
                return x

        model = Model()
        assert (model.method(1), Model.made(2), Model.static(3)) == ((model, 1), (Model, 2), 3)
        assert [row[0] for row in tree(tele_store)] == ["class", "method", "static"]

    def test_each_call_is_a_span_of_its_own_also_in_recursion(self, tele_store):
        @tele.span("f", note=1)
        def f(n):
            return n if n == 0 else f(n - 1)

        f(3)
        rows = tele_store.rows(
            "SELECT count(*), count(DISTINCT span_id), count(DISTINCT event_id), count(parent_id) FROM spans"
        )
        assert rows == [(4, 4, 4, 3)]

    def test_a_partial_and_a_builtin_can_be_wrapped(self, tele_store):
        assert tele.span("p")(functools.partial(int, base=2))("11") == 3
        assert tele.span("b")(len)([1]) == 1
        assert [row[0] for row in tree(tele_store)] == ["b", "p"]

    def test_what_it_sets_within_is_its_own(self, tele_store):
        @tele.span("f")
        def f(x):
            tele.current_span().set(x=x)

        f(1)
        f(2)
        assert tele_store.rows("SELECT attributes FROM spans ORDER BY start_ns") == [('{"x":1}',), ('{"x":2}',)]

    def test_an_exception_keeps_its_identity(self, tele_store):
        error = ValueError("x")

        @tele.span("f")
        def f():
            raise error

        with pytest.raises(ValueError) as caught:
            f()
        assert caught.value is error
        assert tree(tele_store) == [("f", None, "error")]


class TestCoroutines:
    def test_a_result_and_an_exception(self, tele_store):
        @tele.span("f")
        async def f(x):
            await asyncio.sleep(0)
            if x < 0:
                raise ValueError(x)
            return x

        async def main():
            assert await f(1) == 1
            with pytest.raises(ValueError):
                await f(-1)
            assert tele.current_span() is None

        asyncio.run(main())
        assert tree(tele_store) == [("f", None, "ok"), ("f", None, "error")]

    def test_calls_side_by_side_are_children_of_their_caller(self, tele_store):
        @tele.span("f")
        async def f(n):
            await asyncio.sleep(0.001 * n)
            tele.event(f"in {n}")

        async def main():
            with tele.span("main"):
                await asyncio.gather(*(f(n) for n in (3, 2, 1)))

        asyncio.run(main())
        assert tree(tele_store) == [("f", "main", "ok")] * 3 + [("main", None, "ok")]
        assert tele_store.rows("SELECT count(DISTINCT span_id) FROM events WHERE kind = 'event'") == [(3,)]


class TestGenerators:
    def test_between_steps_the_caller_is_where_it_was(self, tele_store):
        @tele.span("g")
        def g():
            for n in range(2):
                with tele.span(f"inner {n}"):
                    yield n

        with tele.span("caller"):
            for n in g():
                assert tele.current_span().name == "caller"
                with tele.span(f"body {n}"):
                    pass
        assert tree(tele_store) == [
            ("body 0", "caller", "ok"),
            ("body 1", "caller", "ok"),
            ("caller", None, "ok"),
            ("g", "caller", "ok"),
            ("inner 0", "g", "ok"),
            ("inner 1", "g", "ok"),
        ]

    def test_interleaved_generators_do_not_meet(self, tele_store):
        @tele.span("g")
        def g(name):
            for n in range(3):
                with tele.span(f"{name}{n}"):
                    yield n

        list(zip(g("a"), g("b"), strict=True))
        parents = tele_store.rows(
            "SELECT name[1], count(DISTINCT parent_id), count(*) FROM spans WHERE name <> 'g' GROUP BY 1 ORDER BY 1"
        )
        assert parents == [("a", 1, 3), ("b", 1, 3)]
        assert tele_store.rows("SELECT count(DISTINCT parent_id) FROM spans WHERE name <> 'g'") == [(2,)]

    def test_send_throw_return_and_close_go_through(self, tele_store):
        seen = []

        @tele.span("g")
        def g():
            try:
                seen.append((yield 1))
                try:
                    yield 2
                except KeyError as error:
                    seen.append(error)
                return_value = yield 3
                return return_value
            finally:
                seen.append("closed")

        error = KeyError("k")
        steps = g()
        assert (next(steps), steps.send("sent"), steps.throw(error)) == (1, 2, 3)
        with pytest.raises(StopIteration) as stop:
            steps.send("result")
        assert stop.value.value == "result"
        assert seen == ["sent", error, "closed"]
        early = g()
        next(early)
        early.close()
        assert seen[-1] == "closed"
        assert tree(tele_store) == [("g", None, "ok"), ("g", None, "ok")]

    def test_yield_from_gives_the_return_value(self, tele_store):
        @tele.span("g")
        def g():
            yield 1
            return 5

        def outer():
            got = yield from g()
            yield got

        assert list(outer()) == [1, 5]

    def test_an_exception_thrown_in_and_not_handled_is_its_own(self, tele_store):
        error = ValueError("x")

        @tele.span("g")
        def g():
            yield 1

        steps = g()
        next(steps)
        with pytest.raises(ValueError) as caught:
            steps.throw(error)
        assert caught.value is error
        assert tree(tele_store) == [("g", None, "error")]

    def test_an_error_within_ends_it(self, tele_store):
        @tele.span("g")
        def g():
            yield 1
            raise ValueError("x")

        with pytest.raises(ValueError):
            list(g())
        assert tree(tele_store) == [("g", None, "error")]

    def test_one_that_is_never_stepped_is_no_span_and_one_that_is_dropped_ends(self, tele_store):
        @tele.span("g")
        def g():
            yield 1
            yield 2

        g()
        steps = g()
        next(steps)
        del steps
        gc.collect()
        assert tree(tele_store) == [("g", None, "ok")]

    def test_a_generator_that_refuses_to_close_is_told_so_as_without_us(self, tele_store):
        @tele.span("g")
        def g():
            try:
                yield 1
            except GeneratorExit:
                yield 2

        steps = g()
        next(steps)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            steps.close()

    def test_the_users_own_context_variables_work_as_without_us(self, tele_store):
        variable = contextvars.ContextVar("variable", default="before")

        def g():
            yield variable.get()
            variable.set("by the generator")
            yield variable.get()
            yield variable.get()

        def driven(function):
            variable.set("before")
            steps = function()
            seen = [next(steps), next(steps), variable.get()]
            variable.set("by the caller")
            return [*seen, next(steps)]

        bare = contextvars.copy_context().run(driven, g)
        wrapped = contextvars.copy_context().run(driven, tele.span("g")(g))
        assert wrapped == bare

    def test_a_generator_can_end_in_another_thread_or_context(self, tele_store):
        @tele.span("g")
        def g():
            yield 1
            yield 2

        steps = g()
        contextvars.copy_context().run(next, steps)
        assert list(steps) == [2]
        assert tree(tele_store) == [("g", None, "ok")]


class TestAsyncGenerators:
    def test_between_steps_the_caller_is_where_it_was(self, tele_store):
        @tele.span("g")
        async def g():
            for n in range(2):
                with tele.span(f"inner {n}"):
                    await asyncio.sleep(0)
                    yield n

        async def main():
            with tele.span("caller"):
                async for n in g():
                    assert tele.current_span().name == "caller"
                    with tele.span(f"body {n}"):
                        await asyncio.sleep(0)

        asyncio.run(main())
        assert tree(tele_store) == [
            ("body 0", "caller", "ok"),
            ("body 1", "caller", "ok"),
            ("caller", None, "ok"),
            ("g", "caller", "ok"),
            ("inner 0", "g", "ok"),
            ("inner 1", "g", "ok"),
        ]

    def test_interleaved_ones_do_not_meet(self, tele_store):
        @tele.span("g")
        async def g(name):
            for n in range(3):
                with tele.span(f"{name}{n}"):
                    await asyncio.sleep(0)
                    yield n

        async def main():
            a, b = g("a"), g("b")
            for _ in range(3):
                await anext(a)
                await anext(b)
            for steps in (b, a):
                with pytest.raises(StopAsyncIteration):
                    await anext(steps)
            assert tele.current_span() is None

        asyncio.run(main())
        rows = tele_store.rows(
            "SELECT left(name, 1), count(DISTINCT parent_id) FROM spans WHERE name <> 'g' GROUP BY 1 ORDER BY 1"
        )
        assert rows == [("a", 1), ("b", 1)]
        assert tele_store.rows("SELECT count(*) FROM spans WHERE status = 'ok'") == [(8,)]

    def test_an_early_break_and_aclose_end_it(self, tele_store):
        closed = []

        @tele.span("g")
        async def g():
            try:
                yield 1
                yield 2
            finally:
                closed.append(tele.current_span().name)

        async def main():
            steps = g()
            async for _ in steps:
                break
            await steps.aclose()
            assert tele.current_span() is None

        asyncio.run(main())
        assert closed == ["g"]
        assert tree(tele_store) == [("g", None, "ok")]

    def test_asend_athrow_and_errors_go_through(self, tele_store):
        seen = []
        error = KeyError("k")

        @tele.span("g")
        async def g():
            seen.append((yield 1))
            try:
                yield 2
            except KeyError as caught:
                seen.append(caught)
            yield 3
            raise ValueError("end")

        async def main():
            steps = g()
            assert [await anext(steps), await steps.asend("sent"), await steps.athrow(error)] == [1, 2, 3]
            with pytest.raises(ValueError, match="end"):
                await anext(steps)

        asyncio.run(main())
        assert seen == ["sent", error]
        assert tree(tele_store) == [("g", None, "error")]

    def test_one_that_is_dropped_is_ended_by_the_loop(self, tele_store):
        @tele.span("g")
        async def g():
            yield 1
            yield 2

        async def main():
            async for _ in g():
                break
            gc.collect()
            await asyncio.sleep(0)

        asyncio.run(main())
        assert tree(tele_store) == [("g", None, "ok")]

    def test_steps_from_different_tasks(self, tele_store):
        @tele.span("g")
        async def g():
            with tele.span("inner"):
                yield 1
                yield 2

        async def main():
            steps = g()
            assert await asyncio.create_task(anext(steps)) == 1
            assert [n async for n in steps] == [2]
            assert tele.current_span() is None

        asyncio.run(main())
        assert tree(tele_store) == [("g", None, "ok"), ("inner", "g", "ok")]


class TestClasses:
    def test_each_public_method_of_its_own_body_is_a_span(self, tele_store):
        class Base:
            def inherited(self):
                return "inherited"

        @tele.span("agent", note=1)
        class Agent(Base):
            size = 3

            def __init__(self):
                self._hidden()

            def __call__(self, x):
                return x

            def _hidden(self): ...

            def plan(self):
                """Say so."""
                return self.act()

            def act(self):
                return super().inherited()

            async def aact(self):
                return "a"

            def steps(self):
                yield 1

            @classmethod
            def made(cls):
                return cls

            @staticmethod
            def load():
                return "l"

            @property
            def known(self):
                return "k"

            class Inner:
                def method(self): ...

        agent = Agent()
        assert isinstance(Agent, type)
        assert (agent.plan(), agent(1), agent.known, list(agent.steps())) == ("inherited", 1, "k", [1])
        assert (asyncio.run(agent.aact()), Agent.made(), Agent.load()) == ("a", Agent, "l")
        agent.inherited()
        agent.Inner().method()
        assert (Agent.plan.__doc__, inspect.iscoroutinefunction(Agent.aact)) == ("Say so.", True)
        names = ["__call__", "aact", "act", "load", "made", "plan", "steps"]
        assert [row[0] for row in tree(tele_store)] == [f"agent.{name}" for name in names]
        assert tele_store.rows("SELECT count(*) FROM spans WHERE attributes = '{\"note\":1}'") == [(7,)]

    def test_an_experiment_begins_with_the_method_that_runs(self, tele_store):
        @tele.experiment("e")
        class Study:
            def prepare(self):
                tele.event("prepared")

            def run(self, x):
                self.prepare()
                return x

        study = Study()
        assert (study.run(1), study.run(2)) == (1, 2)
        study.prepare()
        assert tele_store.rows("SELECT experiment, count(DISTINCT run_id) FROM events GROUP BY 1 ORDER BY 1") == [
            ("default", 0),
            ("e", 2),
        ]
        with pytest.raises(BadInput, match="Empty has none of the methods"):

            @tele.experiment("e")
            class Empty:
                pass

    def test_above_a_class_method_and_a_static_method(self, tele_store):
        class Model:
            @tele.span("class")
            @classmethod
            def made(cls):
                return cls

            @tele.span("static")
            @staticmethod
            def load():
                return 1

        assert (Model.made(), Model().load()) == (Model, 1)
        assert [row[0] for row in tree(tele_store)] == ["class", "static"]

    def test_a_bare_span_is_told_what_it_lacks(self, tele_store):
        @tele.span
        def f():
            return 1

        with pytest.raises(BadInput, match="takes a name"):
            f(1)


class TestDescriptors:
    def test_above_a_property_its_reading_is_a_span_and_a_property_it_stays(self, tele_store):
        class Model:
            @tele.span("size")
            @property
            def size(self):
                """How many."""
                return 3

            @tele.span("name")
            @functools.cached_property
            def name(self):
                return "m"

        model = Model()
        assert (model.size, model.name, model.name) == (3, "m", "m")
        assert Model.size.__doc__ == "How many."
        assert tele_store.rows("SELECT name FROM spans ORDER BY name") == [("name",), ("size",)]

    @pytest.mark.parametrize(
        "thing", [None, 3, property(None, lambda *_: None)], ids=["None", "a number", "a property that nobody reads"]
    )
    @pytest.mark.parametrize(
        "decorator", [tele.span("s"), tele.timer("t"), tele.metric("m"), tele.batch(), tele.experiment("e")]
    )
    def test_what_nobody_calls_is_refused_where_it_is_decorated(self, decorator, thing):
        with pytest.raises(BadInput, match="stand above functions, methods and classes"):
            decorator(thing)


class TestExperiments:
    def test_functions_of_every_sort_are_runs_and_stay_of_their_sort(self, tele_store):
        decorate = tele.experiment("e")

        @decorate
        async def coroutine():
            tele.event("x")

        @decorate
        def steps():
            tele.event("x")
            yield 1

        @decorate
        async def asteps():
            tele.event("x")
            yield 1

        async def main():
            await coroutine()
            return [n async for n in asteps()]

        assert (asyncio.run(main()), list(steps())) == ([1], [1])
        assert inspect.isasyncgenfunction(asteps)
        assert tele_store.rows("SELECT count(DISTINCT run_id), count(*) FROM events WHERE name = 'x'") == [(3, 3)]
