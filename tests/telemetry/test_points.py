"""Events, metrics and scores are one row each and raise nothing."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping

import pytest

import tele


class TestEvent:
    def test_it_belongs_to_the_span_around_it(self, tele_store):
        with tele.span("s", item_id="i") as span:
            identity = tele.event("e", {"a.b": 1}, model="m", note=2)
        assert tele_store.rows("""SELECT event_id, kind, trace_id, span_id, parent_id, item_id, model, success, status,
            end_ns, duration_ms, attributes FROM events WHERE name = 'e'""") == [
            (
                identity,
                "event",
                span.trace_id,
                span.span_id,
                None,
                "i",
                "m",
                None,
                None,
                None,
                None,
                '{"a.b":1,"note":2}',
            )
        ]

    def test_outside_any_span_it_belongs_to_none(self, tele_store):
        tele.event("e")
        assert tele_store.rows("SELECT trace_id, span_id, experiment FROM events") == [(None, None, "default")]

    def test_genai_attributes_fill_columns_also_those_that_are_inherited(self, tele_store):
        tele.event("e", {"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "c"})
        assert tele_store.rows("SELECT operation, conversation_id FROM events") == [("chat", "c")]


class TestMetric:
    @pytest.mark.parametrize(
        ("value", "expected"), [(1, 1.0), (True, 1.0), (False, 0.0), (-0.5, -0.5), (2**53, 2.0**53), (10**300, 1e300)]
    )
    def test_a_number_is_the_value(self, tele_store, value, expected):
        tele.metric("m", value, unit="ms", step=3)
        assert tele_store.rows("SELECT kind, name, value, unit, step FROM events") == [
            ("metric", "m", expected, "ms", 3)
        ]

    @pytest.mark.parametrize(
        ("value", "kept"),
        [
            (float("nan"), {"$float": "nan"}),
            (float("inf"), {"$float": "inf"}),
            ("good", "good"),
            (None, None),
            ([1], [1]),
            (10**400, {"$int": str(10**400)}),
        ],
    )
    def test_what_is_no_number_is_kept_beside_it(self, tele_store, value, kept):
        tele.metric("m", value, step=3)
        [(number, step, text)] = tele_store.rows("SELECT value, step, attributes FROM events")
        assert (number, step, json.loads(text)) == (None, 3, {"user.value": kept})

    def test_as_a_decorator_it_records_and_gives_back(self, tele_store):
        results = [0.5, {"value": 2, "note": "n"}, (3, {"other": [1]})]
        for result in results:
            assert tele.metric("m", unit="s")(lambda result=result: result)() is result
        assert tele_store.rows("SELECT value, unit, attributes FROM events ORDER BY value") == [
            (0.5, "s", None),
            (2.0, "s", '{"note":"n"}'),
            (3.0, "s", '{"other":[1]}'),
        ]

    def test_as_a_decorator_of_a_coroutine(self, tele_store):
        @tele.metric("m")
        async def f(x):
            await asyncio.sleep(0)
            return x

        assert asyncio.run(f(4)) == 4
        assert tele_store.rows("SELECT value FROM events") == [(4.0,)]

    def test_as_a_decorator_without_a_name_it_goes_by_the_functions(self, tele_store):
        @tele.metric
        def accuracy():
            return 0.85

        @tele.metric()
        def f1():
            return 0.5

        @tele.metric(name="named", metric_type="accuracy")
        def other():
            return 1

        assert (accuracy(), f1(), other()) == (0.85, 0.5, 1)
        assert tele_store.rows("SELECT name, value, attributes FROM metrics ORDER BY start_ns") == [
            ("accuracy", 0.85, None),
            ("f1", 0.5, None),
            ("named", 1.0, '{"metric_type":"accuracy"}'),
        ]

    def test_of_a_generator_each_value_is_a_step(self, tele_store):
        @tele.metric("loss")
        def train():
            yield 3.0
            yield 2.0

        @tele.metric("aloss", step=7)
        async def atrain():
            yield 1.0

        async def main():
            return [value async for value in atrain()]

        assert (list(train()), list(train()), asyncio.run(main())) == ([3.0, 2.0], [3.0, 2.0], [1.0])
        assert inspect.isgeneratorfunction(train)
        assert inspect.isasyncgenfunction(atrain)
        assert tele_store.rows("SELECT name, step, value FROM metrics ORDER BY start_ns, event_id") == [
            ("loss", 0, 3.0),
            ("loss", 1, 2.0),
            ("loss", 0, 3.0),
            ("loss", 1, 2.0),
            ("aloss", 7, 1.0),
        ]

    def test_of_a_class_each_public_method_is_a_metric(self, tele_store):
        @tele.metric("scores", unit="1")
        class Scores:
            def accuracy(self):
                return 0.5

            @staticmethod
            def recall():
                return {"value": 0.25, "support": 4}

        assert (Scores().accuracy(), Scores.recall()) == (0.5, {"value": 0.25, "support": 4})
        assert tele_store.rows("SELECT name, value, unit, attributes FROM metrics ORDER BY start_ns") == [
            ("scores.accuracy", 0.5, "1", None),
            ("scores.recall", 0.25, "1", '{"support":4}'),
        ]

    def test_an_error_records_nothing_and_passes(self, tele_store):
        @tele.metric("m")
        def f():
            raise ValueError("x")

        with pytest.raises(ValueError, match="x"):
            f()
        tele.event("e")
        assert tele_store.rows("SELECT name FROM events") == [("e",)]

    def test_a_result_that_cannot_be_read_is_given_back_all_the_same(self, tele_store):
        class Odd(Mapping):
            def __getitem__(self, key):
                raise RuntimeError("getitem")

            def __iter__(self):
                raise RuntimeError("iter")

            def __len__(self):
                raise RuntimeError("len")

        odd = Odd()
        pair = (1, odd)
        assert tele.metric("m")(lambda: odd)() is odd
        assert tele.metric("m")(lambda: pair)() is pair


class TestScore:
    def test_a_column_and_an_attribute_are_set_from_then_on(self, tele_store):
        with tele.span("s", model="old") as span:
            pass
        tele.score(span, "model", "new")
        tele.score(span.span_id, "quality", 0.5, reason="read by Ann")
        query = "SELECT model, attributes->>'$.quality' FROM {} WHERE name = 's'"
        assert tele_store.rows(query.format("events")) == [("new", "0.5")]
        assert tele_store.rows(query.format("events_raw")) == [("old", None)]

    def test_the_latest_stands(self, tele_store):
        with tele.span("s") as span:
            pass
        for value in (1, 3, 2):
            tele.score(span, "quality", value)
        assert tele_store.rows("SELECT attributes->>'$.quality' FROM events WHERE name = 's'") == [("2",)]

    def test_a_target_that_is_nothing_raises_nothing(self, tele_store):
        for target in ("", "\ud800", None, 5, object()):
            tele.score(target, "quality", 1)
        assert tele_store.rows("SELECT count(*) FROM events") == [(5,)]

    def test_a_score_given_within_an_unsampled_span_is_kept(self, tele_store):
        with tele.span("kept") as kept:
            pass
        tele.configure(sampling_rate=1e-12)
        with tele.experiment("e"), tele.span("dropped"):
            tele.score(kept, "quality", 1)
        assert tele_store.rows("SELECT attributes->>'$.quality' FROM events WHERE name = 'kept'") == [("1",)]
