"""LiteLLM's calls, by its own callbacks, land where they were made, once, without its secrets."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from importlib.util import find_spec

import pytest

import tele
from tele.telemetry.instrument import instrument
from tele.telemetry.instrument.litellm import _take_out
from tele.telemetry.instrument.told import told

if find_spec("litellm") is None:
    pytest.skip("litellm is not installed", allow_module_level=True)
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import fetches prices over the network
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    litellm = pytest.importorskip("litellm")
pytestmark = [
    pytest.mark.filterwarnings("ignore::Warning:(litellm|pydantic)"),  # its own models' noise
    pytest.mark.filterwarnings(  # loops that it leaves open, where they are collected before we can close them
        r"ignore:Exception ignored in. <(socket.socket|function BaseEventLoop):pytest.PytestUnraisableExceptionWarning"
    ),
]

KEY = "canary-key-0123456789"
OTHER = "canary-elsewhere-0123"
"""Not known as a key: only what is taken of a call keeps it out."""
MESSAGES = [{"role": "user", "content": "say hi"}]
ASK = {"model": "gpt-4o", "messages": MESSAGES}
PER_MILLION = 2.5, 10.0  # dollars for gpt-4o's input and output, as OpenAI lists them
MOCKED = 10, 20  # tokens that a mocked answer counts


@pytest.fixture(scope="module", autouse=True)
def loops_that_litellm_leaves_open():
    """Its worker threads make event loops and never close them; the next test would be warned of it."""
    before = {id(loop) for loop in loops()}
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for loop in loops():
            if id(loop) not in before and not loop.is_running():
                with contextlib.suppress(ValueError):  # of one that is half collected
                    loop.close()
        gc.collect()


def loops():
    return [thing for thing in gc.get_objects() if issubclass(type(thing), asyncio.BaseEventLoop)]


@pytest.fixture
def watched(tele_store):
    handle = instrument("litellm")
    yield tele_store
    handle.remove()
    for _ in range(100):  # or what is still to be told would stand in the store of another test
        if not any(type(callback).__name__ == "TeleCallback" for callback in litellm.callbacks):
            break
        time.sleep(0.02)


def refused():
    return litellm.RateLimitError(f"slow down, {KEY}", "openai", "gpt-4o")


def settled(store, count):
    """Wait for the callbacks, which come after the calls returned."""
    for _ in range(200):
        tele.event("tick")
        [(ended,)] = store.rows("SELECT count(*) FROM spans WHERE operation IS NOT NULL AND end_ns IS NOT NULL")
        if ended >= count:
            break
        time.sleep(0.02)
    time.sleep(0.05)  # and a little more, for one that would come twice


def calls(store, columns, count=1):
    settled(store, count)
    return store.rows(f"SELECT {columns} FROM spans WHERE operation IS NOT NULL ORDER BY start_ns")


class TestCalls:
    def test_a_call_is_a_span_below_the_callers_with_tokens_dollars_and_where_they_come_from(self, watched):
        with tele.experiment("e", condition="c"), tele.span("outer", item_id="i") as outer:
            litellm.completion(**ASK, mock_response="hi", temperature=0.5)
        [found] = calls(
            watched,
            """name, provider, model, input_tokens, output_tokens, experiment, condition, item_id, parent_id, success,
            input, output::JSON->>'$[0].content', attributes->>'$."gen_ai.request.temperature"', trace_id""",
        )
        said = '[{"role":"user","content":"say hi"}]'
        assert found == (
            *("chat gpt-4o", "openai", "gpt-4o", *MOCKED, "e", "c", "i", outer.span_id, True, said, "hi", "0.5"),
            outer.trace_id,
        )
        [(cost, ref)] = calls(watched, "cost_usd, price_ref")
        assert cost == pytest.approx(sum(n * usd / 1e6 for n, usd in zip(MOCKED, PER_MILLION, strict=True)))
        assert ref.startswith("litellm ")
        assert ref.endswith(" openai/gpt-4o")

    def test_a_stream_has_a_time_to_its_first_token(self, watched):
        with tele.experiment("e"), tele.span("outer"):
            assert len(list(litellm.completion(**ASK, mock_response="one two three", stream=True))) > 1
        assert calls(watched, "experiment, parent_id IS NOT NULL, ttft_ms > 0, ttft_ms <= duration_ms") == [
            ("e", True, True, True)
        ]

    def test_async_calls_in_one_loop_stay_apart(self, watched):
        async def one(number):
            with tele.span(f"outer {number}", item_id=str(number)):
                if number % 2:
                    stream = await litellm.acompletion(**ASK, mock_response="a b", stream=True)
                    return [chunk async for chunk in stream]
                return await litellm.acompletion(**ASK, mock_response="a b")

        async def main():
            with tele.experiment("e"):
                await asyncio.gather(*(one(number) for number in range(6)))
            await asyncio.sleep(0.2)

        asyncio.run(main())
        settled(watched, 6)
        query = """SELECT p.name, s.item_id, s.experiment FROM spans s JOIN spans p ON s.parent_id = p.span_id
            ORDER BY p.name"""
        assert watched.rows(query) == [(f"outer {n}", str(n), "e") for n in range(6)]

    def test_threads_with_experiments_of_their_own_stay_apart(self, watched):
        def work(name):
            with tele.experiment(name):
                for _ in range(3):
                    litellm.completion(**ASK, mock_response=name)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (
            sorted(calls(watched, "experiment, output::JSON->>'$[0].content'", 6))
            == [("a", "a")] * 3 + [("b", "b")] * 3
        )

    def test_an_embedding_is_recorded_without_its_vector(self, watched):
        with tele.experiment("e"):
            litellm.embedding(model="text-embedding-3-small", input=["a"], mock_response=[0.123456789])
        assert calls(watched, "operation, experiment, output, input_tokens") == [("embeddings", "e", None, 10)]

    def test_content_is_left_out_where_it_is_not_wanted(self, tele_store):
        with instrument("litellm", content=False):
            litellm.completion(**ASK, mock_response="hi")
            assert calls(tele_store, "input, output, input_tokens") == [(None, None, 10)]


class TestCost:
    def test_an_unknown_model_costs_null_and_not_zero(self, watched):
        litellm.completion(model="openai/nobody-knows-this", messages=MESSAGES, mock_response="hi")
        assert calls(watched, "input_tokens, cost_usd, price_ref") == [(10, None, None)]

    def test_an_answer_from_the_cache_costs_nothing_is_marked_and_stands_where_it_was_asked_for(
        self, watched, monkeypatch
    ):
        """LiteLLM tells of a hit on a thread that knows nothing of the caller, and without a request before."""
        # this version imports its proxy, and all that needs, to look whether the answer is one of Anthropic's streams
        deferred = "litellm.caching.caching_handler._should_defer_streaming_cache_hit_callbacks"
        monkeypatch.setattr(deferred, lambda cached_result: cached_result is None)
        monkeypatch.setattr(litellm, "cache", litellm.Cache())
        with tele.experiment("e"), tele.span("outer") as outer:
            for _ in range(2):
                litellm.completion(**ASK, mock_response="hi", caching=True)
        found = calls(
            watched, "cost_usd > 0, price_ref = 'client-cache', attributes->>'$.cache_hit', experiment, parent_id", 2
        )
        assert found == [(True, False, None, "e", outer.span_id), (False, True, "true", "e", outer.span_id)]


class TestFailures:
    @pytest.mark.parametrize("retries", [0, 2])
    def test_a_refusal_is_one_span_with_its_type_and_no_usage(self, watched, retries):
        with tele.experiment("e"), pytest.raises(litellm.RateLimitError):
            litellm.completion(**ASK, mock_response=refused(), num_retries=retries)
        found = calls(
            watched,
            "experiment, success, error_type, input_tokens, cost_usd, attributes->>'$.\"http.response.status_code\"'",
        )
        assert found == [("e", False, "litellm.exceptions.RateLimitError", None, None, "429")]

    def test_an_async_refusal_too(self, watched):
        async def main():
            with tele.experiment("e"), pytest.raises(litellm.RateLimitError):
                await litellm.acompletion(**ASK, mock_response=refused())
            await asyncio.sleep(0.1)

        asyncio.run(main())
        assert calls(watched, "experiment, success") == [("e", False)]

    def test_no_key_reaches_the_store_by_any_way(self, watched):
        secrets = {
            "api_key": KEY,
            "headers": {"x-custom": OTHER},
            "extra_headers": {"x-other": OTHER},
            "metadata": {"anything": OTHER},
        }
        litellm.completion(**ASK, mock_response="hi", **secrets)
        list(litellm.completion(**ASK, mock_response="a b", stream=True, **secrets))
        with pytest.raises(litellm.RateLimitError):
            litellm.completion(**ASK, mock_response=refused(), **secrets)
        assert len(calls(watched, "name", 3)) == 3
        written = b"".join(p.read_bytes() for p in watched.path.rglob("*") if p.is_file())
        assert KEY.encode() not in written
        assert OTHER.encode() not in written

    def test_an_adapter_that_fails_leaves_the_call_alone_and_is_counted_as_trouble(self, watched, monkeypatch, caplog):
        monkeypatch.setattr("tele.telemetry.instrument.litellm.normalise", lambda _: 1 / 0)
        assert litellm.completion(**ASK, mock_response="hi").choices[0].message.content == "hi"
        for _ in range(100):
            if "ZeroDivisionError" in caplog.text:
                break
            time.sleep(0.02)
        assert "ZeroDivisionError" in caplog.text


class TestOnce:
    def test_the_callbacks_bear_the_names_that_litellm_calls_them_by(self):
        import inspect

        from litellm.integrations.custom_logger import CustomLogger

        from tele.telemetry.instrument.litellm import _Callback

        for name, method in vars(_Callback).items():
            if callable(method) and not name.startswith("__"):
                theirs = inspect.signature(getattr(CustomLogger, name)).parameters
                assert list(inspect.signature(method).parameters) == list(theirs), name

    def test_the_span_of_its_own_otel_callback_is_known_to_be_of_a_call_that_is_told(self, watched):
        """What brings OpenTelemetry's spans into the log asks so, and leaves it out."""
        memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig

        exporter = memory.InMemorySpanExporter()
        theirs = OpenTelemetry(config=OpenTelemetryConfig(exporter=exporter))
        litellm.callbacks.append(theirs)
        try:
            response = litellm.completion(**ASK, mock_response="hi")
            assert len(calls(watched, "name")) == 1
            for _ in range(200):
                if spans := [span for span in exporter.get_finished_spans() if span.name == "litellm_request"]:
                    break
                time.sleep(0.02)
        finally:
            _take_out(litellm, theirs)
        [span] = spans
        assert told(span.attributes)
        assert told({"gen_ai.response.id": response.id})
        assert not told({"litellm.call_id": "another", "gen_ai.response.id": "another"})

    def test_openai_below_litellm_is_not_told_twice(self, watched):
        pytest.importorskip("openai")
        httpx = pytest.importorskip("httpx")

        def answer(_):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
            facts = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
            usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
            return httpx.Response(200, json=facts | {"choices": [choice], "usage": usage})

        with httpx.Client(transport=httpx.MockTransport(answer)) as inner, instrument("openai"):
            import openai

            client = openai.OpenAI(api_key=KEY, http_client=inner, max_retries=0)
            litellm.completion(**ASK, client=client)
            settled(watched, 1)
            client.chat.completions.create(**ASK)
        found = calls(watched, "attributes->>'$.\"litellm.call_id\"' IS NOT NULL, input_tokens", 2)
        assert found == [(True, 12), (False, 12)]

    def test_removing_ends_it(self, tele_store):
        from litellm.litellm_core_utils.litellm_logging import Logging

        before = Logging.__init__
        handle = instrument("litellm")
        assert instrument("litellm") is handle
        litellm.completion(**ASK, mock_response="hi")
        settled(tele_store, 1)
        handle.uninstrument()
        assert Logging.__init__ is before
        litellm.completion(**ASK, mock_response="hi")
        time.sleep(0.1)
        assert len(calls(tele_store, "name")) == 1
        assert not [callback for callback in litellm.callbacks if type(callback).__name__ == "TeleCallback"]

    def test_calls_on_the_way_when_it_is_removed_are_told_to_their_end_and_no_others(self, tele_store):
        with instrument("litellm"):
            litellm.completion(**ASK, mock_response="hi")  # it is told on another thread, after this block
        handle = instrument("litellm")
        stream = iter(litellm.completion(**ASK, mock_response="one two three four", stream=True))
        next(stream)
        handle.remove()
        rest = list(stream)
        litellm.completion(**ASK, mock_response="not watched")
        found = calls(tele_store, "status, output_tokens > 0", 2)
        assert (found, len(rest) > 1) == ([("ok", True)] * 2, True)
        for name in ("callbacks", "success_callback", "_async_success_callback", "input_callback"):
            assert not [each for each in getattr(litellm, name) if type(each).__name__ == "TeleCallback"]

    def test_one_that_was_removed_and_could_not_let_go_records_no_later_call(self, tele_store, monkeypatch):
        from litellm.litellm_core_utils.litellm_logging import Logging

        monkeypatch.setattr(Logging, "__init__", Logging.__init__)  # as it was is how it will be
        with instrument("litellm"):
            stream = litellm.completion(**ASK, mock_response="hi", stream=True)
            theirs = functools.partialmethod(Logging.__init__)  # somebody else watches as well
            monkeypatch.setattr(Logging, "__init__", theirs)
        with instrument("litellm"):
            litellm.completion(**ASK, mock_response="hi")
            settled(tele_store, 1)
            list(stream)
            assert len(calls(tele_store, "name", 2)) == 2


def test_what_litellm_tells_when_the_process_ends_is_kept(tmp_path):
    """Its callbacks of async calls run on a loop that is gone by then, and a buffered store was flushed already."""
    script = f"""
    import asyncio
    import litellm, tele
    tele.configure(store={str(tmp_path / "s")!r}, durability="buffered", seal="manual")
    from tele.telemetry.instrument import instrument
    instrument("litellm")
    with tele.experiment("e"):
        litellm.completion(model="gpt-4o", messages={MESSAGES!r}, mock_response="hi")
        asyncio.run(litellm.acompletion(model="gpt-4o", messages={MESSAGES!r}, mock_response="hi"))
    """
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env=env, capture_output=True)
    with tele.open(tmp_path / "s") as store:
        assert store.rows("SELECT experiment, input_tokens FROM llm_calls") == [("e", 10)] * 2


def test_the_chain_in_an_answer_stands_under_its_span(tele_store):
    event = '<event type="pattern_applied" id="1"><decision>use a queue</decision><reasoning>r</reasoning></event>'
    with instrument("litellm", parse="causal"):
        litellm.completion(model="gpt-4o", messages=[{"role": "user", "content": "x"}], mock_response=event)
        settled(tele_store, 1)
    joined = "SELECT s.operation, r.decision FROM reasoning r JOIN spans s USING (trace_id, span_id)"
    assert tele_store.rows(joined) == [("chat", "use a queue")]
