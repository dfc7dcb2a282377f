"""A stream is read as without us, and the span tells of it: first token, pace, text, usage, and how it ended."""

from __future__ import annotations

import asyncio
import contextvars
import csv
import gc
import inspect
import io
import json

import pytest

import tele
from tele.telemetry.calls.streams import is_stream
from tele.telemetry.scope import OUTSIDE, here
from tele.testing import temporary_store

from . import wire

ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Weather?"}], "stream": True}
SAID = """SELECT name, provider, model, output_tokens, input_tokens, cache_read_tokens, output, status,
    attributes->'$."gen_ai.response.finish_reasons"' FROM spans"""
PARTS = [{"type": "text", "content": "Let me see."}, {"type": "tool_call", **wire.OPENAI_TOOLS[0]}]


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert here.get() is OUTSIDE


def attributes(store):
    return json.loads(store.rows("SELECT attributes FROM spans")[0][0])


class TestOpenAI:
    def check(self, store, tokens=21):
        [row] = store.rows(SAID)
        assert row[:6] == ("chat gpt-4o", "openai", "gpt-4o-2024-08-06", tokens, 100, 64)
        assert json.loads(row[6]) == [{"role": "assistant", "parts": PARTS}]
        assert row[7:] == ("ok", '["tool_calls"]')
        found = attributes(store)
        assert (found["tele.stream.chunks"], found["gen_ai.request.stream"]) == (7, True)
        assert found["tele.tool_calls"] == ["weather"]
        assert "tele.stream.complete" not in found
        assert store.rows("SELECT ttft_ms > 0 AND ttft_ms <= duration_ms FROM spans") == [(True,)]

    def test_the_very_stream_of_the_client_comes_back(self, tele_store):
        openai = pytest.importorskip("openai")
        with wire.openai_client(wire.sse(wire.openai_chunks())) as client:
            made = []

            @tele.llm_call("gpt-4o")
            def ask(prompt):
                made.append(client.chat.completions.create(**ASK))
                return made[0]

            stream = ask("Weather?")
            assert stream is made[0]
            assert isinstance(stream, openai.Stream)
            assert tele.current_span() is None
            words = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert words == "Let me see."
        self.check(tele_store)

    def test_as_a_context_manager_closed_before_its_end(self, tele_store):
        with wire.openai_client(wire.sse(wire.openai_chunks())) as client:
            ask = tele.llm_call("gpt-4o")(lambda: client.chat.completions.create(**ASK))
            with ask() as stream:
                next(stream)
                next(stream)
        [(output, status)] = tele_store.rows("SELECT output, status FROM spans")
        assert (output, status) == ('"Let me "', "ok")
        assert attributes(tele_store)["tele.stream.complete"] is False

    def test_the_async_stream(self, tele_store):
        async def main():
            async with wire.openai_client(wire.sse(wire.openai_chunks()), asynchronous=True) as client:

                @tele.llm_call("gpt-4o")
                async def ask(prompt):
                    return await client.chat.completions.create(**ASK)

                stream = await ask("Weather?")
                assert tele.current_span() is None
                return [chunk async for chunk in stream]

        assert len(asyncio.run(main())) == 7
        self.check(tele_store)

    def test_a_plain_function_that_returns_what_is_to_be_awaited(self, tele_store):
        async def main():
            async with wire.openai_client(wire.sse(wire.openai_chunks()), asynchronous=True) as client:
                ask = tele.llm_call("gpt-4o")(lambda prompt: client.chat.completions.create(**ASK))
                async for _ in await ask("Weather?"):
                    assert tele.current_span() is None

        asyncio.run(main())
        self.check(tele_store)

    def test_the_helper_over_the_stream(self, tele_store):
        with wire.openai_client(wire.sse(wire.openai_chunks())) as client:
            more = {key: value for key, value in ASK.items() if key != "stream"}

            @tele.llm_call("gpt-4o")
            def ask():
                return client.chat.completions.stream(**more).__enter__()

            with ask() as stream:
                final = stream.get_final_completion()
        assert final.choices[0].message.content == "Let me see."
        assert tele_store.rows("SELECT input_tokens, output_tokens FROM spans") == [(100, 21)]

    def test_the_responses_api(self, tele_store):
        with wire.openai_client(wire.sse(wire.response_events(), named=True)) as client:
            ask = tele.llm_call("gpt-5")(lambda: client.responses.create(model="gpt-5", input="x", stream=True))
            assert len(list(ask())) == 4
        assert tele_store.rows("SELECT output, input_tokens, output_tokens, reasoning_tokens FROM spans") == [
            ('"Let me see."', 100, 21, 5)
        ]

    def test_an_error_in_the_stream_is_the_callers_and_the_spans(self, tele_store):
        openai = pytest.importorskip("openai")
        broken = wire.sse([wire.openai_chunks()[1], {"error": {"message": "overloaded", "code": 529}}])
        with wire.openai_client(broken) as client:
            ask = tele.llm_call("gpt-4o")(lambda: client.chat.completions.create(**ASK))
            with pytest.raises(openai.APIError, match="overloaded"):
                list(ask())
        assert tele_store.rows("SELECT status, error_type, output FROM spans") == [
            ("error", "openai.APIError", '"Let me "')
        ]

    def test_a_call_within_a_call_gives_one_stream_to_both(self, tele_store):
        with wire.openai_client(wire.sse(wire.openai_chunks())) as client:
            inner = tele.llm_call("gpt-4o", name="inner")(lambda: client.chat.completions.create(**ASK))
            outer = tele.llm_call("gpt-4o", name="outer")(lambda _prompt: inner())
            list(outer("x"))
        rows = tele_store.rows("""SELECT s.name, p.name, s.output_tokens FROM spans s
            LEFT JOIN spans p ON p.span_id = s.parent_id ORDER BY 1""")
        assert rows == [("inner", "outer", 21), ("outer", None, 21)]
        assert tele.dropped() == {}


class TestAnthropic:
    def check(self, store):
        [row] = store.rows(SAID)
        assert row[:6] == ("chat claude", "anthropic", "claude-sonnet-4-5", 21, 950, 800)
        assert json.loads(row[6])[0]["parts"][0] == PARTS[0]
        assert json.loads(row[6])[0]["parts"][1] == PARTS[1] | {"id": "t1"}
        assert row[7:] == ("ok", '["tool_use"]')

    def test_events(self, tele_store):
        body = wire.sse(wire.anthropic_events(), named=True)
        with wire.anthropic_client(body) as client:

            @tele.llm_call("claude")
            def ask(messages):
                return client.messages.create(model="claude", max_tokens=9, messages=messages, stream=True)

            assert len(list(ask([{"role": "user", "content": "x"}]))) == 11  # the client keeps the ping to itself
        self.check(tele_store)

    def test_the_helper_and_its_text_stream(self, tele_store):
        with wire.anthropic_client(wire.sse(wire.anthropic_events(), named=True)) as client:

            @tele.llm_call("claude")
            def ask(messages):
                return client.messages.stream(model="claude", max_tokens=9, messages=messages).__enter__()

            with ask([{"role": "user", "content": "x"}]) as stream:
                assert "".join(stream.text_stream) == "Let me see."
                assert stream.get_final_message().stop_reason == "tool_use"
        self.check(tele_store)

    def test_the_async_stream(self, tele_store):
        async def main():
            body = wire.sse(wire.anthropic_events(), named=True)
            async with wire.anthropic_client(body, asynchronous=True) as client:

                @tele.llm_call("claude")
                async def ask(messages):
                    return await client.messages.create(model="claude", max_tokens=9, messages=messages, stream=True)

                async with await ask([{"role": "user", "content": "x"}]) as stream:
                    return [event.type async for event in stream]

        assert len(asyncio.run(main())) == 11
        self.check(tele_store)


class TestTimes:
    def test_to_the_first_token_and_between_them_by_the_clock(self):
        """Role after 0.5 s, then four chunks of text, 0.1 s apart, 9 tokens in all: 0.3 s over 8 intervals."""
        with temporary_store(frozen=True) as store:

            @tele.llm_call("m")
            def ask():
                store.clock.advance(0.5)
                yield {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
                for word in "abcd":
                    store.clock.advance(0.1)
                    usage = {"prompt_tokens": 3, "completion_tokens": 9} if word == "d" else None
                    yield {"choices": [{"index": 0, "delta": {"content": word}}], "usage": usage}

            list(ask())
            [(ttft, duration)] = store.rows("SELECT ttft_ms, duration_ms FROM spans")
            assert (ttft, duration) == pytest.approx((600.0, 900.0))
            found = attributes(store)
            assert found["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.5)
            assert found["gen_ai.client.operation.time_per_output_chunk"] == pytest.approx(0.1)
            assert found["tele.stream.time_per_output_token_ms"] == pytest.approx(300 / 8)

    def test_a_stream_without_a_chunk_has_none(self, tele_store):
        list(tele.llm_call("m")(lambda: (n for n in ()))())
        assert tele_store.rows("SELECT ttft_ms, output, status FROM spans") == [(None, None, "ok")]

    def test_of_a_reasoning_model_the_first_thought_is_the_first_token(self):
        with temporary_store(frozen=True) as store:

            @tele.llm_call("m")
            def ask():
                for delta in ({"reasoning_content": "hm"}, {"content": "Hi"}):
                    store.clock.advance(1)
                    yield {"choices": [{"index": 0, "delta": delta}]}

            list(ask())
            assert store.rows("SELECT ttft_ms, output FROM spans") == [(1000.0, '"Hi"')]


class TestShapesOfStreams:
    def test_ollama_chunks(self, tele_store):
        chunks = [
            {"model": "gemma3", "message": {"role": "assistant", "content": w}, "done": False} for w in ("Hel", "lo")
        ]
        last = {"model": "gemma3", "message": {"content": ""}, "done": True, "done_reason": "stop"}
        chunks.append(last | {"prompt_eval_count": 11, "eval_count": 18, "total_duration": 2_000_000_000})
        assert list(tele.llm_call(lambda: iter(chunks))()) == chunks
        assert tele_store.rows("SELECT name, provider, input_tokens, output_tokens, output FROM spans") == [
            ("chat gemma3", "ollama", 11, 18, '"Hello"')
        ]
        assert attributes(tele_store)["gen_ai.server.request.duration"] == 2.0

    def test_google_chunks_whose_usage_grows(self, tele_store):
        def chunk(word, tokens, finish=None):
            part = {"content": {"parts": [{"text": word}]}, "finishReason": finish}
            return {"candidates": [part], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": tokens}}

        list(tele.llm_call("g")(lambda: iter([chunk("Hel", 1), chunk("lo", 2, "STOP")]))())
        assert tele_store.rows("SELECT provider, input_tokens, output_tokens, output FROM spans") == [
            ("gcp.gen_ai", 5, 2, '"Hello"')
        ]

    def test_a_generator_stays_one_and_takes_what_is_sent(self, tele_store):
        def steps():
            got = yield "a"
            try:
                yield got
            except KeyError:
                yield "caught"
            return "returned"

        def ask():
            return steps()

        stream = tele.llm_call("m")(ask)()
        assert inspect.isgenerator(stream)
        assert stream.__name__ == "steps"
        assert [next(stream), stream.send("b"), stream.throw(KeyError("k"))] == ["a", "b", "caught"]
        with pytest.raises(StopIteration) as stop:
            next(stream)
        assert stop.value.value == "returned"
        assert tele_store.rows("SELECT output, status FROM spans") == [('"abcaught"', "ok")]

    def test_an_async_generator(self, tele_store):
        async def steps():
            for word in "ab":
                await asyncio.sleep(0)
                yield word

        @tele.llm_call("m")
        async def ask():
            return steps()

        async def main():
            return [word async for word in await ask()]

        assert asyncio.run(main()) == ["a", "b"]
        assert tele_store.rows("SELECT output, status FROM spans") == [('"ab"', "ok")]

    def test_a_stream_of_a_class_of_the_users(self, tele_store):
        class Stream:
            def __init__(self):
                self.words = iter("ab")
                self.closed = False

            def __iter__(self):
                return self

            def __next__(self):
                assert tele.current_span().name == "chat m"
                return next(self.words)

            def close(self):
                self.closed = True

        made = Stream()
        stream = tele.llm_call("m")(lambda: made)()
        assert stream is made
        assert type(stream).__name__ == "Stream"
        assert next(stream) == "a"
        stream.close()
        assert made.closed
        assert tele_store.rows("SELECT output, status FROM spans") == [('"a"', "ok")]

    def test_a_stream_that_cannot_be_watched_comes_back_as_it_is(self, tele_store):
        class Slotted:
            __slots__ = ("n",)

            def __iter__(self):
                return self

            def __next__(self):
                raise StopIteration

        for made in (Slotted(), csv.reader(["a,b"]), io.StringIO("x"), [1, 2], {"a": 1}):
            assert not is_stream(made)
            assert tele.llm_call("m")(lambda made=made: made)() is made
        assert tele_store.rows("SELECT count(*) FROM spans WHERE status = 'ok'") == [(5,)]
        assert tele.dropped() == {}


class TestEnds:
    @pytest.mark.parametrize("steps", [0, 1])
    def test_a_stream_that_is_dropped_ends_its_span(self, tele_store, steps):
        def words():
            yield "a"
            yield "b"

        class Stream:
            def __next__(self):
                return "a"

        for made in (words, Stream):
            stream = tele.llm_call("m")(lambda made=made: made())()
            for _ in range(steps):
                next(stream)
            del stream
            gc.collect()
        assert tele_store.rows("SELECT status, count(*) FROM spans GROUP BY 1") == [("ok", 2)]

    def test_it_may_be_read_in_another_context(self, tele_store):
        stream = tele.llm_call("m")(lambda: (word for word in "ab"))()
        assert contextvars.copy_context().run(list, stream) == ["a", "b"]
        assert tele_store.rows("SELECT output, status FROM spans") == [('"ab"', "ok")]

    def test_what_happens_within_a_step_is_a_child_and_what_the_reader_does_is_not(self, tele_store):
        def steps():
            with tele.span("http"):
                yield "a"

        def ask():
            return steps()

        with tele.span("caller"):
            for _ in tele.llm_call("m")(ask)():
                with tele.span("reader"):
                    pass
        rows = tele_store.rows("SELECT s.name, p.name FROM spans s JOIN spans p ON p.span_id = s.parent_id ORDER BY 1")
        assert rows == [("chat m", "caller"), ("http", "chat m"), ("reader", "caller")]


def call_of(made, name="m"):
    """A call whose answer is what `made`, a class or a function, gives."""

    @tele.llm_call(name)
    def ask():
        return made()

    return ask


class TestTheUsersOwnIterators:
    """A class of the user's reads as it does without us, and each chunk is counted once."""

    def read(self, store, made):
        found = list(call_of(made)())
        return found, store.rows("SELECT output, status FROM spans"), attributes(store)["tele.stream.chunks"]

    def test_one_that_begins_anew_in_its_iter(self, tele_store):
        class Anew:
            def __iter__(self):
                self.left = ["b", "a"]
                return self

            def __next__(self):
                if not self.left:
                    raise StopIteration
                return self.left.pop()

        assert self.read(tele_store, Anew) == (["a", "b"], [('"ab"', "ok")], 2)

    def test_one_whose_iter_gives_another(self, tele_store):
        class Another:
            def __iter__(self):
                return iter("ab")

            def __next__(self):
                raise StopIteration

        assert self.read(tele_store, Another) == (["a", "b"], [('"ab"', "ok")], 2)

    def test_one_that_skips_by_calling_itself(self, tele_store):
        class Skipping:
            def __init__(self):
                self.all = iter(["a", "", "", "b"])

            def __iter__(self):
                return self

            def __next__(self):
                return next(self.all) or self.__next__()

        assert self.read(tele_store, Skipping) == (["a", "b"], [('"ab"', "ok")], 2)

    def test_an_async_one_whose_aiter_gives_another(self, tele_store):
        class Another:
            left = 3

            async def __aiter__(self):
                yield "a"
                yield await self.__anext__()

            async def __anext__(self):
                self.left -= 1
                if not self.left:
                    raise StopAsyncIteration
                return "b"

        async def read():
            return [chunk async for chunk in call_of(Another)()]

        assert asyncio.run(read()) == ["a", "b"]
        assert tele_store.rows("SELECT output, status FROM spans") == [('"ab"', "ok")]
        assert attributes(tele_store)["tele.stream.chunks"] == 2

    def test_two_tasks_that_read_one_stream_stay_where_they_are(self, tele_store):
        class Shared:
            left = 6

            def __aiter__(self):
                return self

            async def __anext__(self):
                await asyncio.sleep(0)
                self.left -= 1
                if self.left < 0:
                    raise StopAsyncIteration
                return "a"

        async def reader(stream, name):
            with tele.span(name) as span:
                async for _ in stream:
                    assert tele.current_span() is span

        async def both():
            stream = call_of(Shared)()
            await asyncio.gather(reader(stream, "one"), reader(stream, "two"))

        asyncio.run(both())
        assert tele_store.rows("SELECT output FROM llm_calls") == [('"aaaaaa"',)]

    def test_one_whose_class_cannot_be_exchanged_is_read_and_each_call_ends_at_once(self, tele_store):
        class Stubborn:
            def __init__(self):
                self.all = iter("ab")

            def __iter__(self):
                return self

            def __next__(self):
                return next(self.all)

            def __setattr__(self, name, value):
                if name == "__class__":
                    raise TypeError("it stays what it is")
                super().__setattr__(name, value)

        stream = call_of(call_of(Stubborn, "inner"), "outer")()
        assert tele_store.rows("SELECT name, status FROM spans ORDER BY 1") == [
            ("chat inner", "ok"),
            ("chat outer", "ok"),
        ]
        assert list(stream) == ["a", "b"]
