"""What OpenAI's own library asks and gets is a span; the server is an httpx transport in this process."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from pathlib import Path

import pytest

import tele
from tele.telemetry.instrument import instrument

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx")

KEY = "canary-key-0123456789"
MESSAGES = [{"role": "user", "content": "say hi"}]
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chat(**more):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    facts = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06"}
    return facts | {"choices": [choice], "usage": USAGE} | more


def chunks():
    facts = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    for word in ("one ", "two"):
        yield facts | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
    yield facts | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield facts | {"choices": [], "usage": USAGE}


def sse(events):
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def answer(request):
    """What the server says, by path and by what the model is called."""
    body = json.loads(request.content)
    model = body["model"]
    if model == "limited":
        return httpx.Response(429, json={"error": {"message": f"slow down, {KEY}", "type": "rate", "code": "rate"}})
    if model == "broken":
        return httpx.Response(500, text="oh no")
    if model == "slow":
        raise httpx.ReadTimeout("too slow", request=request)
    if request.url.path.endswith("/embeddings"):
        row = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return httpx.Response(200, json={"object": "list", "data": [row], "model": model, "usage": usage})
    if request.url.path.endswith("/responses"):
        text = {"type": "output_text", "text": "hello", "annotations": []}
        item = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        facts = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "status": "completed"}
        more = {"output": [item], "usage": usage, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
        return httpx.Response(200, json=facts | more)
    if body.get("stream"):
        return httpx.Response(200, text=sse(chunks()), headers={"content-type": "text/event-stream"})
    content = '{"n": 3}' if "response_format" in body else "hi"
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    return httpx.Response(200, json=chat(choices=[choice]))


@pytest.fixture
def watched(tele_store):
    with instrument("openai"):
        yield tele_store


@pytest.fixture
def client():
    with httpx.Client(transport=httpx.MockTransport(answer)) as inner:
        yield openai.OpenAI(api_key=KEY, http_client=inner, max_retries=0)


def spans(store, columns):
    return store.rows(f"SELECT {columns} FROM spans ORDER BY start_ns")


COUNTS = "input_tokens, output_tokens, cache_read_tokens, reasoning_tokens"


class TestCalls:
    def test_a_chat_is_a_span_below_the_callers_with_model_tokens_and_what_was_said(self, watched, client):
        with tele.experiment("e", condition="c"), tele.span("outer", item_id="i"):
            given = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.5)
        assert given.choices[0].message.content == "hi"
        [_, found] = spans(
            watched,
            f"""name, operation, provider, model, request_model, {COUNTS}, input, output, condition, item_id,
            parent_id IS NOT NULL, success, cost_usd > 0, attributes->>'$."gen_ai.response.id"',
            attributes->>'$."gen_ai.request.temperature"', attributes->>'$."server.address"'""",
        )
        assert found == (
            *("chat gpt-4o", "chat", "openai", "gpt-4o-2024-08-06", "gpt-4o", 12, 7, 4, 2),
            *(json.dumps(MESSAGES, separators=(",", ":")), '[{"role":"assistant","content":"hi"}]', "c", "i"),
            *(True, True, True, "chatcmpl-1", "0.5", "api.openai.com"),
        )

    def test_structured_answers_responses_and_embeddings_are_calls_too(self, watched, client):
        pydantic = pytest.importorskip("pydantic")

        class Number(pydantic.BaseModel):
            n: int

        parsed = client.chat.completions.parse(model="gpt-4o", messages=MESSAGES, response_format=Number)
        assert parsed.choices[0].message.parsed == Number(n=3)
        assert client.responses.create(model="gpt-4o", input="hi", instructions="be kind").output_text == "hello"
        client.embeddings.create(model="text-embedding-3-small", input="a")
        assert spans(watched, "name, operation, input_tokens, output_tokens") == [
            ("chat gpt-4o", "chat", 12, 7),
            ("chat gpt-4o", "chat", 5, 2),
            ("embeddings text-embedding-3-small", "embeddings", 3, None),
        ]

    def test_an_async_client_is_watched_as_well(self, watched):
        async def main():
            async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as inner:
                asked = openai.AsyncOpenAI(api_key=KEY, http_client=inner, max_retries=0)
                with tele.span("outer"):
                    await asyncio.gather(
                        *(asked.chat.completions.create(model="gpt-4o", messages=MESSAGES) for _ in range(3))
                    )
                    stream = await asked.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
                    return [chunk async for chunk in stream]

        assert len(asyncio.run(main())) == 4
        query = """SELECT s.name, p.name, s.input_tokens, s.output IS NOT NULL FROM spans s JOIN spans p
            ON s.parent_id = p.span_id"""
        assert watched.rows(query) == [("chat gpt-4o", "outer", 12, True)] * 4

    def test_an_answer_in_its_envelope_is_read_and_stays_whole(self, watched, client):
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
        assert raw.parse().choices[0].message.content == "hi"
        with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=MESSAGES) as body:
            assert json.loads(body.read())["id"] == "chatcmpl-1"
        assert spans(watched, "input_tokens") == [(12,), (None,)]

    def test_content_is_left_out_where_it_is_not_wanted(self, tele_store, client):
        with instrument("openai", content=False):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert spans(tele_store, "input, output, input_tokens") == [(None, None, 12)]
        assert b"say hi" not in everything(tele_store.path)


class TestStreams:
    def test_a_stream_ends_its_span_when_it_is_read_and_stays_the_librarys_own(self, watched, client):
        with tele.span("outer"):
            stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            assert isinstance(stream, openai.Stream)
            tele.event("the stream is there")
            assert watched.rows("SELECT count(*) FROM spans WHERE end_ns IS NOT NULL") == [(0,)]
            with tele.span("between"):
                words = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
        assert words == ["one ", "two", None]
        query = """SELECT p.name, s.input_tokens, s.output, s.ttft_ms > 0, s.ttft_ms <= s.duration_ms
            FROM spans s JOIN spans p ON s.parent_id = p.span_id WHERE s.name LIKE 'chat%'"""
        assert watched.rows(query) == [("outer", 12, '[{"role":"assistant","content":"one two"}]', True, True)]
        assert watched.rows("SELECT count(*) FROM spans WHERE name = 'between' AND parent_id IS NOT NULL") == [(1,)]

    def test_the_stream_helper_is_one_call(self, watched, client):
        with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
            assert stream.get_final_completion().choices[0].message.content == "one two"
        del stream
        assert spans(watched, "name, input_tokens") == [("chat gpt-4o", 12)]

    def test_a_stream_that_is_closed_early_says_so(self, watched, client):
        with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as stream:
            next(stream)
        [(text, output)] = spans(watched, "attributes, output")
        assert json.loads(text)["tele.stream.complete"] is False
        assert "one " in output


class TestFailures:
    @pytest.mark.parametrize(
        ("model", "error", "status"),
        [
            ("limited", "RateLimitError", 429),
            ("broken", "InternalServerError", 500),
            ("slow", "APITimeoutError", None),
        ],
    )
    def test_a_refusal_is_recorded_and_goes_on_unchanged(self, watched, client, model, error, status):
        with pytest.raises(getattr(openai, error)) as raised:
            client.chat.completions.create(model=model, messages=MESSAGES)
        assert getattr(raised.value, "status_code", None) == status
        [(kind, success, operation, text, tokens)] = spans(
            watched, "error_type, success, operation, attributes, input_tokens"
        )
        assert (kind, success, operation, tokens) == (f"openai.{error}", False, "chat", None)
        assert json.loads(text).get("http.response.status_code") == status

    def test_a_missing_argument_raises_what_the_library_raises(self, watched, client):
        with pytest.raises(TypeError, match="Missing required arguments"):
            client.chat.completions.create(messages=MESSAGES)
        assert spans(watched, "name, error_type") == [("chat", "TypeError")]

    def test_no_key_reaches_the_store_by_any_way(self, watched, client):
        for model in ("gpt-4o", "limited", "slow", "broken"):
            try:
                client.chat.completions.create(model=model, messages=MESSAGES, extra_headers={"X-Key": KEY})
            except openai.APIError:
                pass
        assert spans(watched, "count(*) OVER ()")[0] == (4,)
        assert KEY.encode() not in everything(watched.path)

    def test_nor_by_the_spans_around_the_call(self, watched, client):
        """The error that a server put the key into goes through the caller's own spans too."""
        with pytest.raises(openai.RateLimitError, match=KEY), tele.span("mine"):
            client.chat.completions.create(model="limited", messages=MESSAGES)
        assert spans(watched, "name, error_type") == [
            ("mine", "openai.RateLimitError"),
            ("chat limited", "openai.RateLimitError"),
        ]
        assert KEY.encode() not in everything(watched.path)

    def test_an_adapter_that_fails_leaves_the_call_alone(self, watched, client, monkeypatch):
        monkeypatch.setattr("tele.telemetry.instrument.resources.read", lambda _: 1 / 0)
        assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).id == "chatcmpl-1"
        assert spans(watched, "success") == [(True,)]


class TestHandle:
    def test_removing_puts_every_method_back(self, tele_store, client):
        from openai.resources.chat.completions import completions

        before = dict(vars(completions.Completions)), dict(vars(completions.AsyncCompletions))
        tele.event("so that there is a store")
        handle = instrument("openai")
        assert instrument("openai") is handle
        assert vars(completions.Completions)["create"] is not before[0]["create"]
        handle.remove()
        handle.remove()
        assert (dict(vars(completions.Completions)), dict(vars(completions.AsyncCompletions))) == before
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        with instrument("openai"):
            kept = client.chat.completions.with_raw_response  # holds the method that was wrapped
        kept.create(model="gpt-4o", messages=MESSAGES)
        assert spans(tele_store, "name") == []

    def test_a_method_that_somebody_else_wrapped_meanwhile_is_left_to_them(self, tele_store, monkeypatch):
        from openai.resources.embeddings import Embeddings

        original = Embeddings.create
        handle = instrument("openai")
        ours = Embeddings.create
        monkeypatch.setattr(Embeddings, "create", functools.partialmethod(ours))
        theirs = vars(Embeddings)["create"]
        handle.remove()
        assert vars(Embeddings)["create"] is theirs
        monkeypatch.undo()
        Embeddings.create = original


def everything(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


def test_importing_tele_and_asking_for_the_adapter_imports_the_library_only_then():
    import subprocess

    script = """
import sys, tele
from tele.telemetry.instrument import instrument
assert not {"openai", "litellm", "dspy", "torch", "anthropic"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
