"""`tele.llm_call`: the function stays what it was, its result is the same object, and the span says what it said."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings

import tele
from tele.errors import BadInput
from tele.telemetry.scope import OUTSIDE, here
from tele.testing import temporary_store

from .test_results import CHAT, MESSAGE, trees

SPAN = "SELECT name, operation, model, request_model, input, output, status FROM spans ORDER BY start_ns"


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert here.get() is OUTSIDE


class TestForms:
    def test_bare_with_arguments_and_as_a_context_manager(self, tele_store):
        @tele.llm_call
        def bare(prompt):
            return "one"

        @tele.llm_call("gpt-4o")
        def positional(prompt):
            return "two"

        @tele.llm_call(model="gpt-4")
        def keyword(prompt):
            return "three"

        assert (bare("a"), positional("b"), keyword("c")) == ("one", "two", "three")
        with tele.llm_call("embeddings", model="m") as call:
            call.asked("d")
            assert call.answered({"data": [{"embedding": [1.0]}]}) == {"data": [{"embedding": [1.0]}]}
        with tele.llm_call("plan the trip", model="m"):
            pass
        assert tele_store.rows(SPAN) == [
            ("chat", "chat", None, None, '"a"', '"one"', "ok"),
            ("chat gpt-4o", "chat", "gpt-4o", "gpt-4o", '"b"', '"two"', "ok"),
            ("chat gpt-4", "chat", "gpt-4", "gpt-4", '"c"', '"three"', "ok"),
            ("embeddings m", "embeddings", "m", "m", '"d"', None, "ok"),
            ("plan the trip", "chat", "m", "m", None, None, "ok"),
        ]

    def test_the_documented_example_of_scryptorum(self, tele_store):
        @tele.llm_call(model="gpt-4", log_input=True, log_output=False)
        def analyze_sentiment(review: str) -> str:
            return f"Analyze sentiment of: {review}"

        assert analyze_sentiment("Great product!") == "Analyze sentiment of: Great product!"
        assert tele_store.rows("SELECT model, input, output FROM spans") == [("gpt-4", '"Great product!"', None)]

    def test_name_signature_text_and_sort_stay(self):
        @tele.llm_call("m")
        def plain(a: int, *, b: str = "x") -> None:
            """Say so."""

        @tele.llm_call("m")
        async def coroutine(): ...

        @tele.llm_call("m")
        def steps():
            yield

        @tele.llm_call("m")
        async def asteps():
            yield

        assert (plain.__name__, plain.__doc__) == ("plain", "Say so.")
        assert str(inspect.signature(plain)) == "(a: 'int', *, b: 'str' = 'x') -> 'None'"
        assert inspect.iscoroutinefunction(coroutine)
        assert inspect.isgeneratorfunction(steps)
        assert inspect.isasyncgenfunction(asteps)

    def test_methods_and_classes(self, tele_store):
        class Model:
            @tele.llm_call("a")
            def method(self, prompt):
                return prompt

            @classmethod
            @tele.llm_call("b")
            def of_class(cls, prompt):
                return prompt

            @tele.llm_call("c")
            @staticmethod
            def of_none(prompt):
                return prompt

        @tele.llm_call("d")
        class Client:
            def __init__(self):
                self.hidden = self._hidden()

            def __call__(self, prompt):
                return prompt

            def ask(self, prompt):
                return prompt

            async def aask(self, prompt):
                return prompt

            def _hidden(self):
                return 1

        assert [Model().method("x"), Model.of_class("x"), Model.of_none("x")] == ["x"] * 3
        assert [Client()("x"), Client().ask("x"), asyncio.run(Client().aask("x"))] == ["x"] * 3
        assert tele_store.rows("SELECT name, input FROM spans ORDER BY start_ns") == [
            (f"chat {model}", '"x"') for model in "abcddd"
        ]

    def test_a_partial_and_an_object_that_is_called(self, tele_store):
        class Asked:
            async def __call__(self, prompt):
                return f"{prompt}!"

        assert tele.llm_call("p")(functools.partial("{}{}".format, "a"))("b") == "ab"
        called = tele.llm_call("o")(Asked())
        assert inspect.iscoroutinefunction(called)
        assert asyncio.run(called("x")) == "x!"
        assert tele_store.rows("SELECT name, output FROM spans ORDER BY start_ns") == [
            ("chat p", '"ab"'),
            ("chat o", '"x!"'),
        ]


class TestModel:
    def test_given_else_the_argument_else_the_answers(self, tele_store):
        @tele.llm_call
        def ask(prompt, model="default", **kwargs):
            return CHAT

        @tele.llm_call
        def silent(prompt, **kwargs):
            return CHAT

        @tele.llm_call("given")
        def fixed(prompt, model="default"):
            return "x"

        ask("p")
        ask("p", "positional")
        ask("p", model="keyword")
        silent("p")
        silent("p", model="keyword")
        fixed("p", model="keyword")
        assert tele_store.rows("SELECT name, request_model, model FROM spans ORDER BY start_ns") == [
            ("chat default", "default", "gpt-4o-2024-08-06"),
            ("chat positional", "positional", "gpt-4o-2024-08-06"),
            ("chat keyword", "keyword", "gpt-4o-2024-08-06"),
            ("chat gpt-4o-2024-08-06", None, "gpt-4o-2024-08-06"),
            ("chat keyword", "keyword", "gpt-4o-2024-08-06"),
            ("chat given", "given", "given"),
        ]

    def test_what_was_said_by_hand_stands(self, tele_store):
        @tele.llm_call("m", provider="mine", operation="text_completion")
        def ask(prompt):
            tele.current_span().usage(input_tokens=1, output_tokens=2).set(output="mine", model="mine-1")
            return CHAT

        ask("p")
        assert tele_store.rows("SELECT name, provider, model, input_tokens, output_tokens, output FROM spans") == [
            ("text_completion m", "mine", "mine-1", 1, 2, '"mine"')
        ]


class TestAnswer:
    def test_tokens_cost_tools_and_reasons_come_from_the_result(self, tele_store):
        tele.llm_call(lambda prompt: MESSAGE)("p")
        [row] = tele_store.rows("""SELECT provider, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
            reasoning_tokens, cost_usd > 0, output, attributes FROM spans""")
        assert row[:7] == ("anthropic", 950, 200, 800, 50, 150, True)
        parts = json.loads(row[7])[0]["parts"]
        assert parts == [
            {"type": "text", "content": "Let me see."},
            {"type": "tool_call", "id": "t1", "name": "weather", "arguments": {"city": "Paris"}},
        ]
        assert json.loads(row[8]) == {
            "gen_ai.response.id": "msg_1",
            "gen_ai.response.finish_reasons": ["tool_use"],
            "tele.tool_calls": ["weather"],
        }

    def test_litellm(self, tele_store, monkeypatch):
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own
            litellm = pytest.importorskip("litellm")
            given = {"messages": [{"role": "user", "content": "x"}], "mock_response": "hello there"}

            @tele.llm_call
            def ask(model, stream):
                return litellm.completion(model=model, stream=stream, **given)

            result = ask("anthropic/claude-3-5-sonnet-20241022", stream=False)
            stream = ask("gpt-4o", stream=True)
            chunks = list(stream)
        assert type(result) is litellm.ModelResponse
        assert isinstance(stream, litellm.CustomStreamWrapper)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there"
        rows = tele_store.rows("""SELECT name, provider, model, input_tokens, output_tokens, output, ttft_ms > 0
            FROM spans ORDER BY start_ns""")
        sonnet = "claude-3-5-sonnet-20241022"
        assert rows[0] == (f"chat anthropic/{sonnet}", "anthropic", sonnet, 10, 20, '"hello there"', None)
        assert rows[1][:3] + rows[1][5:] == ("chat gpt-4o", "openai", "gpt-4o", '"hello there"', True)

    def test_what_was_not_understood_is_kept_as_it_is(self, tele_store):
        tele.llm_call("m")(lambda: {"label": "good", "usage": {"prompt_tokens": 3, "completion_tokens": 4}})()
        assert tele_store.rows("SELECT json(output), input_tokens FROM spans") == [
            ('{"label":"good","usage":{"prompt_tokens":3,"completion_tokens":4}}', 3)
        ]

    def test_an_answer_that_is_an_error_marks_the_span(self, tele_store):
        tele.llm_call("m")(lambda: {"error": {"message": "slow down", "code": 429}})()
        assert tele_store.rows("SELECT status, error_type, error_message FROM spans") == [("error", "429", "slow down")]

    def test_an_exception_leaves_no_output_and_is_the_same_object(self, tele_store):
        error = ValueError("x")

        @tele.llm_call("m")
        def ask(prompt):
            raise error

        with pytest.raises(ValueError) as caught:
            ask("p")
        assert caught.value is error
        assert tele_store.rows("SELECT input, output, status, error_type FROM spans") == [
            ('"p"', None, "error", "ValueError")
        ]

    @settings(max_examples=25, deadline=None)
    @given(trees)
    def test_the_result_is_the_very_object(self, result):
        with temporary_store():
            assert tele.llm_call("m")(lambda _prompt: result)("x") is result
            assert asyncio.run(tele.llm_call("m")(_coroutine)(result)) is result
            assert tele.dropped() == {}


async def _coroutine(value):
    return value


class TestInput:
    @pytest.mark.parametrize(
        ("args", "kwargs", "expected"),
        [
            (("a",), {}, "a"),
            (("a",), {"temperature": 0}, "a"),
            (("a", "b"), {}, ["a", "b"]),
            ((), {"prompt": "p", "x": 1}, "p"),
            ((), {"input": "i", "x": 1}, "i"),
            ((), {"messages": [{"role": "user"}], "x": 1}, [{"role": "user"}]),
            ((), {"prompt": "p", "input": "i"}, "p"),
            ((), {"x": 1, "y": 2}, {"x": 1, "y": 2}),
            ((), {}, None),
        ],
    )
    def test_is_by_the_rule(self, tele_store, args, kwargs, expected):
        tele.llm_call("m")(lambda *args, **kwargs: "x")(*args, **kwargs)
        [(kept,)] = tele_store.rows("SELECT input FROM spans")
        assert (None if kept is None else json.loads(kept)) == expected

    def test_is_as_it_was_when_the_call_began(self, tele_store):
        @tele.llm_call("m")
        def ask(messages):
            messages.append({"role": "assistant"})

        ask([{"role": "user"}])
        assert tele_store.rows("SELECT json(input) FROM spans") == [('[{"role":"user"}]',)]

    def test_secrets_in_input_and_output_are_taken_out(self, tele_store):
        secret = "sk-ant-" + "a" * 40
        tele.llm_call("m")(lambda prompt: f"your key is {secret}")(f"my key is {secret}")
        assert tele_store.rows("SELECT input LIKE '%REDACTED%', output LIKE '%REDACTED%' FROM spans") == [(True, True)]


class TestCapture:
    def test_off_keeps_neither_and_hashed_tells_equal_ones(self, tele_store):
        for how in ("off", False):
            tele.llm_call("off", capture_input=how, capture_output=how)(lambda prompt: "answer")("p")
        for prompt in ("p", "p", "q"):
            tele.llm_call("hashed", capture_input="hashed", capture_output="hashed")(lambda prompt: "answer")(prompt)
        assert tele_store.rows("SELECT input, output FROM spans WHERE model = 'off'") == [(None, None)] * 2
        rows = tele_store.rows("SELECT input, output FROM spans WHERE model = 'hashed' ORDER BY start_ns")
        assert (rows[0] == rows[1], rows[1][0] == rows[2][0], rows[1][1] == rows[2][1]) == (True, False, True)
        kept = json.loads(rows[0][1])
        assert (set(kept), len(kept["$hash"]), kept["length"]) == ({"$hash", "length"}, 32, len('"answer"'))

    def test_tool_calls_keep_their_names_and_not_their_arguments(self, tele_store):
        tele.llm_call("m", capture_output="off")(lambda: CHAT)()
        [(output, text)] = tele_store.rows("SELECT output, attributes FROM spans")
        assert output is None
        assert "Paris" not in text
        assert json.loads(text)["tele.tool_calls"] == ["weather"]

    def test_of_a_process_and_of_one_function(self, tele_store):
        late = tele.llm_call("late")(lambda prompt: "a")
        tele.configure(capture_input="off", capture_output="hashed")
        late("p")
        tele.llm_call("own", capture_input="on", capture_output="on")(lambda prompt: "a")("p")
        with tele.llm_call("block") as call:
            call.asked("p")
            call.answered("a")
        rows = tele_store.rows("SELECT model, input, output LIKE '%$hash%' FROM spans ORDER BY start_ns")
        assert rows == [("late", None, True), ("own", '"p"', False), ("block", None, True)]

    def test_a_choice_that_is_none_is_refused(self, tele_store):
        with pytest.raises(BadInput, match="'on', 'off' or 'hashed', not 'some'"):
            tele.llm_call("m", capture_input="some")
        with pytest.raises(BadInput, match="capture_output is 'on', 'off' or 'hashed', not 'some'"):
            tele.configure(capture_output="some")


class TestAtOnce:
    def test_threads(self, tele_store):
        barrier = threading.Barrier(8)

        @tele.llm_call("m")
        def ask(prompt):
            barrier.wait()
            tele.event(f"in {prompt}")
            return f"answer {prompt}"

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, "abcdefgh")) == [f"answer {name}" for name in "abcdefgh"]
        rows = tele_store.rows("""SELECT s.input, s.output, e.name FROM spans s JOIN events e ON e.span_id = s.span_id
            WHERE e.kind = 'event' ORDER BY 1""")
        assert rows == [(f'"{name}"', f'"answer {name}"', f"in {name}") for name in "abcdefgh"]

    def test_tasks_with_streams_read_side_by_side(self, tele_store):
        @tele.llm_call("m")
        async def ask(prompt):
            for n in range(3):
                await asyncio.sleep(0)
                yield f"{prompt}{n}"

        async def read(prompt):
            with tele.span(f"reader {prompt}"):
                return [word async for word in ask(prompt)]

        async def main():
            return await asyncio.gather(*(read(prompt) for prompt in "abc"))

        assert asyncio.run(main()) == [[f"{prompt}{n}" for n in range(3)] for prompt in "abc"]
        rows = tele_store.rows("""SELECT s.output, p.name FROM spans s JOIN spans p ON p.span_id = s.parent_id
            ORDER BY 1""")
        assert rows == [(f'"{prompt}0{prompt}1{prompt}2"', f"reader {prompt}") for prompt in "abc"]

    def test_a_call_entered_while_it_runs_is_a_call_of_its_own(self, tele_store):
        call = tele.llm_call("m", capture_input="off")
        with call, call as inner:
            inner.asked("p")
        assert tele_store.rows("SELECT name, input FROM spans") == [("chat m", None)] * 2

    def test_a_call_used_again_begins_anew(self, tele_store):
        call = tele.llm_call("m")
        for word in "ab":
            with call:
                call.asked(word)
                call.answered(f"{word}!")
        assert tele_store.rows("SELECT input, output FROM spans ORDER BY start_ns") == [
            ('"a"', '"a!"'),
            ('"b"', '"b!"'),
        ]

    def test_a_block_that_hands_on_a_stream_lasts_until_its_end(self, tele_store):
        def words():
            yield from "ab"

        with tele.llm_call("m") as call:
            stream = call.stream(words())
        assert tele.current_span() is None
        assert list(stream) == ["a", "b"]
        with tele.llm_call("n") as call:
            assert list(call.stream(words())) == ["a", "b"]
        call = tele.llm_call("o").__enter__()
        kept = call.stream(words())
        call.__exit__(KeyError, KeyError("k"), None)
        assert list(kept) == ["a", "b"]
        assert tele_store.rows("SELECT model, output, status, ttft_ms > 0 FROM spans ORDER BY 1") == [
            ("m", '"ab"', "ok", True),
            ("n", '"ab"', "ok", True),
            ("o", None, "error", None),
        ]

    def test_a_store_that_cannot_be_written_does_not_reach_the_program(self, tele_store, tmp_path):
        blocked = tmp_path / "file"
        blocked.write_text("")
        tele.configure(store=blocked / ".tele")

        @tele.llm_call("m", capture_input="hashed", capture_output="hashed")
        def ask(prompt):
            return "answer"

        assert ask("p") == "answer"
        assert list(tele.llm_call("m")(lambda: iter("ab"))()) == ["a", "b"]
        assert sum(tele.dropped().values()) == 2

    def test_an_unsampled_call_is_not_read(self, tele_store):
        tele.configure(sampling_rate=1e-12)

        class Watched:
            def __getattr__(self, name):
                raise AssertionError("it was read")

        made = Watched()
        assert tele.llm_call("m", capture_output="off")(lambda: made)() is made
        tele.score("target", "quality", 1)  # a correction is always written, so that there is a store to look into
        assert tele_store.rows("SELECT count(*) FROM spans") == [(0,)]


@pytest.mark.parametrize("is_async", [False, True])
def test_an_interrupt_while_the_answer_is_read_ends_the_call(tele_store, is_async):
    class Answer:
        @property
        def choices(self):
            raise KeyboardInterrupt

    @tele.llm_call("m")
    def ask():
        return Answer()

    @tele.llm_call("m")
    async def ask_async():
        return Answer()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(ask_async()) if is_async else ask()
    assert tele.current_span() is None
    assert tele_store.rows("SELECT status, error_type FROM spans") == [("error", "KeyboardInterrupt")]
