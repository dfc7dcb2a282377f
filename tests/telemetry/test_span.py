"""A span is one row, under the right parent, however the program around it runs and ends."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import json
import logging
import threading
from decimal import Decimal

import pytest

import tele
from tele.telemetry import fields
from tele.telemetry.ambient import ambient
from tele.telemetry.scope import OUTSIDE, here
from tele.telemetry.ticker import ticker
from tele.testing import FrozenClock, temporary_store


def tree(store):
    """Name of each span with the name of its parent."""
    query = """SELECT s.name, p.name FROM spans s LEFT JOIN spans p ON p.span_id = s.parent_id
        AND p.trace_id = s.trace_id ORDER BY s.name"""
    return store.rows(query)


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    token = here.set(OUTSIDE)
    yield
    left = here.get()
    here.reset(token)
    assert left is OUTSIDE


class TestRow:
    def test_whole_row_with_a_frozen_clock(self):
        with temporary_store(frozen=True) as store:
            with tele.span("chat gpt-4o", item_id="i1", temperature=0.5) as span:
                store.clock.advance(1.25)
                span.set(output="yes").set_attribute("a.b", [1])
            [(text, *found)] = store.rows("""SELECT attributes, event_id, kind, name, start_ns, end_ns, duration_ms,
                trace_id, span_id, parent_id, item_id, experiment, run_id, status, success, output FROM events""")
        start = 1_750_000_000_000_000_000
        assert json.loads(text) == {"temperature": 0.5, "a.b": [1]}
        assert found == [
            f"{1:032x}",
            "span",
            "chat gpt-4o",
            start,
            start + 1_250_000_000,
            1250.0,
            f"{1:032x}",
            f"{1:016x}",
            None,
            "i1",
            "default",
            None,
            "ok",
            True,
            '"yes"',
        ]

    def test_ids_have_the_lengths_that_opentelemetry_asks_for_and_are_unique(self, tele_store):
        for _ in range(200):
            with tele.span("s"):
                pass
        rows = tele_store.rows("SELECT event_id, trace_id, span_id FROM events")
        assert {tuple(map(len, row)) for row in rows} == {(32, 32, 16)}
        assert [len(set(column)) for column in zip(*rows, strict=True)] == [200, 200, 200]

    def test_the_duration_is_the_monotonic_clocks_when_wall_time_jumps_back(self, tele_store, monkeypatch):
        wall, steady = FrozenClock(), FrozenClock(5)
        monkeypatch.setattr(ambient, "now", wall)
        monkeypatch.setattr(ambient, "monotonic", steady)
        with tele.span("s"):
            wall.advance(-3600)
            steady.advance(2)
        assert tele_store.rows("SELECT duration_ms, end_ns - start_ns FROM events") == [(2000.0, 2_000_000_000)]

    def test_later_values_stand_over_earlier_ones(self, tele_store):
        with tele.span("s", model="a", note=1) as span:
            span.set(model="b", note=2)
        assert tele_store.rows("SELECT model, attributes FROM events") == [("b", '{"note":2}')]

    def test_set_after_the_end_changes_nothing(self, tele_store):
        with tele.span("s") as span:
            pass
        span.set(model="late", seed=5).set_attribute("late", 1)
        span.usage(input_tokens=5)
        span.fail("late")
        assert tele_store.rows("SELECT model, seed, attributes, success FROM events") == [(None, None, None, True)]

    def test_fail_marks_without_an_exception(self, tele_store):
        with tele.span("s") as span:
            span.fail("refused", "no answer")
        assert tele_store.rows("SELECT status, success, error_type, error_message FROM events") == [
            ("error", False, "refused", "no answer")
        ]


class TestColumns:
    def test_keywords_fill_columns_and_others_become_attributes(self, tele_store):
        with tele.span("s", model="m", tags=("a", "b"), seed=3, cost_usd=1, success=None, other=1):
            pass
        assert tele_store.rows("SELECT model, tags, seed, cost_usd, success, attributes FROM events") == [
            ("m", ["a", "b"], 3, 1.0, True, '{"other":1}')
        ]

    @pytest.mark.parametrize(
        ("column", "value", "kept"),
        [
            ("seed", "abc", "abc"),
            ("replicate", 1.5, 1.5),
            ("input_tokens", "many", "many"),
            ("cost_usd", "free", "free"),
            ("success", "yes", "yes"),
            ("step", [1], [1]),
            ("seed", 2**63, {"$int": str(2**63)}),
            ("input_tokens", 2**63, {"$int": str(2**63)}),
            ("output_tokens", -(2**70), {"$int": str(-(2**70))}),
            ("ttft_ms", float("nan"), {"$float": "nan"}),
            ("cost_usd", float("inf"), {"$float": "inf"}),
        ],
    )
    @pytest.mark.parametrize("kind", ["span", "event", "metric"])
    def test_a_value_that_does_not_fit_its_column_is_kept_as_an_attribute(self, tele_store, kind, column, value, kept):
        if kind == "span":
            with tele.span("s", **{column: value}):
                pass
        elif kind == "event":
            tele.event("s", **{column: value})
        else:
            tele.metric("s", 1, **{column: value})
        [(found, text)] = tele_store.rows(f"SELECT {column}, attributes FROM events")
        assert found is (True if (kind, column) == ("span", "success") else None)
        assert json.loads(text or "{}") == {f"user.{column}": kept}

    def test_an_inherited_column_set_later_to_what_does_not_fit_is_kept_too(self, tele_store):
        with tele.span("s") as span:
            span.set(seed="abc")
        assert tele_store.rows("SELECT seed, attributes FROM events") == [(None, '{"user.seed":"abc"}')]

    def test_an_enum_of_strings_is_its_value(self, tele_store):
        class Model(str, enum.Enum):  # noqa: UP042  # the older spelling is what many programs have
            BIG = "gpt-4o"

        with tele.span("s", model=Model.BIG, condition=Model.BIG, tags=[Model.BIG]):
            pass
        assert tele_store.rows("SELECT model, condition, tags FROM events") == [("gpt-4o", "gpt-4o", ["gpt-4o"])]

    def test_dollars_as_a_decimal_are_dollars(self, tele_store):
        with tele.span("s") as span:
            span.usage(cost_usd=Decimal("0.1"))
        assert tele_store.rows("SELECT cost_usd FROM events") == [(0.1,)]

    def test_numbers_of_numpy_fit(self, tele_store):
        np = pytest.importorskip("numpy")
        with tele.span(
            "s", seed=np.int64(3), ttft_ms=np.float32(0.5), success=np.bool_(False), input_tokens=np.int32(7)
        ):
            pass
        assert tele_store.rows("SELECT seed, ttft_ms, success, input_tokens FROM events") == [(3, 0.5, False, 7)]

    def test_a_reserved_keyword_becomes_an_attribute_and_is_warned_of_once(self, tele_store, caplog, monkeypatch):
        monkeypatch.setattr(fields, "_warned", set())
        with caplog.at_level(logging.WARNING, logger="tele"):
            for _ in range(3):
                with tele.span("s", trace_id="mine", seq=5):
                    pass
        assert [record.name for record in caplog.records] == ["tele", "tele"]
        assert tele_store.rows("SELECT DISTINCT attributes FROM events") == [('{"user.trace_id":"mine","user.seq":5}',)]

    def test_bad_attributes_raise_nothing(self, tele_store):
        for bad in (5, [1, 2], "text", object()):
            with tele.span("s", bad):
                tele.event("e", bad)
                tele.metric("m", 1, bad)
        assert tele_store.rows("SELECT kind, count(*) FROM events GROUP BY 1 ORDER BY 1") == [
            ("event", 4),
            ("metric", 4),
            ("span", 4),
        ]

    def test_a_value_that_cannot_be_compared_raises_nothing(self, tele_store):
        class Odd:
            def __int__(self):
                return 3

            def __eq__(self, other):
                raise ValueError("eq")

            __hash__ = None

        with tele.span("s", seed=Odd()) as span:
            span.set(replicate=Odd())
            tele.event("e", seed=Odd())
        assert tele_store.rows("SELECT count(*) FROM events") == [(2,)]


class TestInheritance:
    def test_children_events_and_metrics_take_over_what_pairs_and_clusters(self, tele_store):
        given = {
            "condition": "c",
            "replicate": 2,
            "item_id": "i",
            "seed": 7,
            "cluster": "k",
            "conversation_id": "v",
        }
        with tele.span("parent", model="m", **given), tele.span("child"):
            tele.event("e")
            tele.metric("m", 1)
        names = ", ".join(given)
        rows = tele_store.rows(f"SELECT name, {names} FROM events ORDER BY name")
        assert rows == [(name, *given.values()) for name in ("child", "e", "m", "parent")]
        assert tele_store.rows("SELECT name FROM events WHERE model IS NOT NULL") == [("parent",)]

    def test_the_nearest_stands_and_does_not_reach_siblings(self, tele_store):
        with tele.span("parent", item_id="p", seed=1):
            with tele.span("a", item_id="a"):
                tele.event("in a")
            with tele.span("b"):
                pass
            tele.event("own", item_id="e")
            tele.event("after")
        assert tele_store.rows("SELECT name, item_id, seed FROM events ORDER BY name") == [
            ("a", "a", 1),
            ("after", "p", 1),
            ("b", "p", 1),
            ("in a", "a", 1),
            ("own", "e", 1),
            ("parent", "p", 1),
        ]

    def test_set_reaches_what_comes_later(self, tele_store):
        with tele.span("parent") as span:
            with tele.span("before"):
                pass
            span.set(item_id="i")
            with tele.span("later"):
                pass
        assert tele_store.rows("SELECT name, item_id FROM events ORDER BY name") == [
            ("before", None),
            ("later", "i"),
            ("parent", "i"),
        ]


class TestErrors:
    def test_the_exception_is_the_same_and_the_context_is_restored(self, tele_store):
        error = LookupError("gone")
        with pytest.raises(LookupError) as caught, tele.span("s"):
            raise error
        assert caught.value is error
        assert tele.current_span() is None
        [row] = tele_store.rows("SELECT status, success, error_type, error_message, attributes FROM events")
        assert row[:4] == ("error", False, "LookupError", "gone")
        assert "raise error" in json.loads(row[4])["exception.stacktrace"]

    @pytest.mark.parametrize(
        ("error", "status", "kind"),
        [
            (GeneratorExit(), "ok", None),
            (SystemExit(), "ok", None),
            (SystemExit(0), "ok", None),
            (SystemExit(3), "error", "SystemExit"),
            (KeyboardInterrupt(), "error", "KeyboardInterrupt"),
            (asyncio.CancelledError(), "error", "asyncio.exceptions.CancelledError"),
            (StopIteration(5), "error", "StopIteration"),
            (ExceptionGroup("many", [ValueError("a")]), "error", "ExceptionGroup"),
        ],
    )
    def test_how_it_was_left_is_its_status(self, tele_store, error, status, kind):
        with pytest.raises(type(error)) as caught, tele.span("s"):
            raise error
        assert caught.value is error
        assert tele_store.rows("SELECT status, success, error_type FROM events") == [(status, status == "ok", kind)]

    def test_an_exception_that_cannot_be_read_is_still_a_row(self, tele_store):
        class Mute(Exception):
            def __str__(self):
                raise ValueError("no")

            __repr__ = __str__

        with pytest.raises(Mute), tele.span("s"):
            raise Mute
        assert tele_store.rows("SELECT status, error_message FROM events") == [
            ("error", "(the exception's text cannot be read)")
        ]


class TestMisuse:
    def test_an_end_without_a_start_is_harmless(self, tele_store):
        tele.span("s").__exit__(None, None, None)
        assert tele.current_span() is None

    def test_two_ends_are_one_row(self, tele_store):
        with tele.span("outer"):
            span = tele.span("s")
            span.__enter__()
            span.__exit__(None, None, None)
            span.__exit__(None, None, None)
            assert tele.current_span().name == "outer"
        assert tree(tele_store) == [("outer", None), ("s", "outer")]

    def test_one_object_entered_again_is_another_span(self, tele_store):
        span = tele.span("s", note=1)
        for _ in range(2):
            with span:
                pass
        rows = tele_store.rows("SELECT event_id, span_id FROM events")
        assert [len(set(column)) for column in zip(*rows, strict=True)] == [2, 2]

    def test_one_object_entered_within_itself_leaves_nothing_behind(self, tele_store):
        token = here.set(OUTSIDE)
        span = tele.span("s")
        try:
            with span, span:
                pass
            left = here.get()
        finally:
            here.reset(token)
        assert left is OUTSIDE
        assert tele_store.rows("SELECT count(*) FROM events WHERE parent_id = span_id") == [(0,)]
        assert tele_store.rows("SELECT count(DISTINCT event_id) FROM events") == [(2,)]

    def test_an_error_of_the_first_use_is_not_told_of_the_second(self, tele_store):
        span = tele.span("s")
        with pytest.raises(ValueError), span:
            raise ValueError("first")
        with span:
            pass
        assert tele_store.rows("SELECT status, attributes FROM events WHERE status = 'ok'") == [("ok", None)]

    def test_what_is_asked_before_the_start_raises_nothing(self, tele_store):
        span = tele.span("s")
        assert isinstance(span.event_id, str)
        tele.score(span, "quality", 1)

    def test_a_span_closed_in_another_thread_is_one_row(self, tele_store):
        token = here.set(OUTSIDE)
        span = tele.span("s").__enter__()
        thread = threading.Thread(target=span.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        here.reset(token)
        assert tele_store.rows("SELECT name, status FROM events") == [("s", "ok")]

    def test_a_span_closed_in_another_context_is_one_row(self, tele_store):
        context = contextvars.copy_context()
        span = tele.span("s")
        context.run(span.__enter__)
        span.__exit__(None, None, None)
        assert tele.current_span() is None
        assert tele_store.rows("SELECT name, status FROM events") == [("s", "ok")]

    def test_spans_closed_in_the_wrong_order_are_each_one_row(self, tele_store):
        context = contextvars.copy_context()

        def crossed():
            a, b = tele.span("a"), tele.span("b")
            a.__enter__()
            b.__enter__()
            a.__exit__(None, None, None)
            b.__exit__(None, None, None)

        context.run(crossed)
        assert tree(tele_store) == [("a", None), ("b", "a")]


class TestConcurrency:
    def test_parents_of_nested_spans(self, tele_store):
        with tele.span("a"):
            with tele.span("b"), tele.span("c"):
                assert tele.current_span().name == "c"
            with tele.span("d"):
                pass
        assert tree(tele_store) == [("a", None), ("b", "a"), ("c", "b"), ("d", "a")]
        assert tele_store.rows("SELECT count(DISTINCT trace_id) FROM events") == [(1,)]

    def test_tasks_have_the_parent_where_they_were_made(self, tele_store):
        async def work(number):
            with tele.span(f"task {number}"):
                await asyncio.sleep(0.001 * (5 - number))
                with tele.span(f"inner {number}"):
                    await asyncio.sleep(0)

        async def main():
            with tele.span("main"):
                await asyncio.gather(*(work(number) for number in range(5)))
                assert tele.current_span().name == "main"

        asyncio.run(main())
        inner = [(f"inner {number}", f"task {number}") for number in range(5)]
        tasks = [(f"task {number}", "main") for number in range(5)]
        assert tree(tele_store) == [*inner, ("main", None), *tasks]

    def test_a_cancelled_task_is_an_error_and_is_cancelled(self, tele_store):
        async def main():
            async def sleeps():
                with tele.span("sleeps"):
                    await asyncio.sleep(60)

            task = asyncio.create_task(sleeps())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()

        asyncio.run(main())
        assert tele_store.rows("SELECT status FROM events") == [("error",)]

    def test_threads_do_not_inherit_by_themselves_and_do_with_a_copied_context(self, tele_store):
        def work(name):
            with tele.span(name):
                pass

        with tele.span("main"):
            context = contextvars.copy_context()
            threads = [
                threading.Thread(target=work, args=("bare",)),
                threading.Thread(target=context.run, args=(work, "copied")),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert tree(tele_store) == [("bare", None), ("copied", "main"), ("main", None)]

    def test_many_threads_lose_nothing(self, tele_store):
        def work():
            for _ in range(200):
                with tele.span("outer"), tele.span("inner"):
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert tele_store.rows("""SELECT count(*), count(DISTINCT event_id), count(DISTINCT (trace_id, span_id))
            FROM events""") == [(3200, 3200, 3200)]
        query = """SELECT count(*) FROM spans c JOIN spans p ON p.span_id = c.parent_id AND p.trace_id = c.trace_id
            WHERE c.name = 'inner' AND p.name = 'outer'"""
        assert tele_store.rows(query) == [(1600,)]


class TestOpen:
    """Spans that last are told of before they end; `tick` is what the thread does every 50 ms."""

    def state(self, store):
        return store.rows("SELECT name, status, end_ns IS NULL, duration_ms IS NULL, success FROM events ORDER BY name")

    def test_a_span_is_open_until_it_ends_and_then_one_row(self, tele_store):
        with tele.span("s", note=1) as span:
            ticker.tick(0)
            assert self.state(tele_store) == [("s", "open", True, True, None)]
            span.set(model="m")
        assert self.state(tele_store) == [("s", "ok", False, False, True)]
        assert tele_store.rows("SELECT model, attributes FROM events") == [("m", '{"note":1}')]

    def test_also_when_it_was_sealed_in_between(self, tele_store):
        with tele.span("outer"):
            with tele.span("done"):
                pass
            ticker.tick(0)
            tele_store.seal()
            assert [row[:2] for row in self.state(tele_store)] == [("done", "ok"), ("outer", "open")]
        assert [row[:2] for row in self.state(tele_store)] == [("done", "ok"), ("outer", "ok")]
        tele_store.seal()
        assert [row[:2] for row in self.state(tele_store)] == [("done", "ok"), ("outer", "ok")]

    def test_a_young_span_writes_no_start(self):
        with temporary_store(frozen=True) as store, tele.span("s"):
            store.clock.advance(0.099)
            ticker.tick()
            tele.event("e")
            assert store.rows("SELECT name FROM events") == [("e",)]
            store.clock.advance(0.001)
            ticker.tick()
            assert store.rows("SELECT name FROM events ORDER BY name") == [("e",), ("s",)]

    def test_the_thread_does_it_by_itself(self, tele_store):
        with tele.span("s"):
            waited = threading.Event()
            for _ in range(100):
                waited.wait(0.05)
                if list((tele_store.path / "journal").glob("*.jsonl")):
                    break
            assert self.state(tele_store) == [("s", "open", True, True, None)]

    def test_a_value_that_cannot_be_read_does_not_stop_the_thread(self, tele_store):
        class Odd:
            def __float__(self):
                return 1.0

            def __eq__(self, other):
                raise ValueError("eq")

            __hash__ = None

        with tele.span("bad", cost_usd=Odd()):
            ticker.tick(0)
            with tele.span("good"):
                ticker.tick(0)
                assert [row[:2] for row in self.state(tele_store)] == [("bad", "open"), ("good", "open")]

    def test_a_span_used_twice_tells_each_start(self, tele_store):
        span = tele.span("s")
        with span:
            ticker.tick(0)
        with span:
            ticker.tick(0)
            assert sorted(row[1] for row in self.state(tele_store)) == ["ok", "open"]
        assert [row[1] for row in self.state(tele_store)] == ["ok", "ok"]
