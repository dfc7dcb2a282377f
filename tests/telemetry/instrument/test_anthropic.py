"""What Anthropic's own library asks and gets is a span; the server is a transport in this process."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

import tele
from tele.telemetry.instrument import instrument
from tele.telemetry.instrument.told import told

anthropic = pytest.importorskip("anthropic")
http = pytest.importorskip("httpx2")  # what this library is built on

KEY = "canary-key-0123456789"
MESSAGES = [{"role": "user", "content": "say hi"}]
ASK = {"model": "claude-opus-4-7", "max_tokens": 50, "messages": MESSAGES}
USAGE = {
    "input_tokens": 10,
    "output_tokens": 6,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 20,
}


def message(**more):
    facts = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-7-20250929"}
    said = {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": None}
    return facts | said | {"usage": USAGE} | more


def events():
    yield {
        "type": "message_start",
        "message": message(content=[], stop_reason=None, usage=USAGE | {"output_tokens": 1}),
    }
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for word in ("one ", "two"):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 6},
    }
    yield {"type": "message_stop"}


def answer(request):
    body = json.loads(request.content)
    if body["model"] == "limited":
        said = {"type": "error", "error": {"type": "rate_limit_error", "message": f"slow down, {KEY}"}}
        return http.Response(429, json=said)
    if body["model"] == "slow":
        raise http.ReadTimeout("too slow", request=request)
    if body.get("stream"):
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events())
        return http.Response(200, text=text, headers={"content-type": "text/event-stream"})
    return http.Response(200, json=message())


@pytest.fixture
def watched(tele_store):
    with instrument("anthropic"):
        yield tele_store


@pytest.fixture
def client():
    with http.Client(transport=http.MockTransport(answer)) as inner:
        yield anthropic.Anthropic(api_key=KEY, http_client=inner, max_retries=0)


def spans(store, columns):
    return store.rows(f"SELECT {columns} FROM spans WHERE name <> 'outer' ORDER BY start_ns")


# Anthropic counts what was cached beside the input; the columns count it within: 10 + 100 + 20
COUNTS = "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens"
USED = (130, 6, 100, 20)


class TestCalls:
    def test_a_message_is_a_span_whose_input_includes_what_was_cached(self, watched, client):
        with tele.experiment("e"), tele.span("outer"):
            assert client.messages.create(**ASK, system="be kind").content[0].text == "hi"
        assert spans(
            watched, f"name, operation, provider, model, {COUNTS}, input, output, experiment, parent_id IS NOT NULL"
        ) == [
            (
                *("chat claude-opus-4-7", "chat", "anthropic", "claude-opus-4-7-20250929", *USED),
                '[{"role":"system","content":"be kind"},{"role":"user","content":"say hi"}]',
                *('[{"role":"assistant","content":"hi"}]', "e", True),
            )
        ]

    def test_both_ways_to_stream_are_one_call_each_that_ends_when_read(self, watched, client):
        with tele.span("outer"):
            assert [event.type for event in client.messages.create(**ASK, stream=True)][-1] == "message_stop"
            with client.messages.stream(**ASK) as stream:
                assert list(stream.text_stream) == ["one ", "two"]
                assert stream.get_final_message().usage.output_tokens == 6
        found = spans(watched, f"name, {COUNTS}, output, ttft_ms > 0, parent_id IS NOT NULL")
        said = '[{"role":"assistant","content":"one two"}]'
        assert found == [("chat claude-opus-4-7", *USED, said, True, True)] * 2

    def test_an_async_client_is_watched_as_well(self, watched):
        async def main():
            async with http.AsyncClient(transport=http.MockTransport(answer)) as inner:
                asked = anthropic.AsyncAnthropic(api_key=KEY, http_client=inner, max_retries=0)
                with tele.span("outer"):
                    await asked.messages.create(**ASK)
                    async with asked.messages.stream(**ASK) as stream:
                        return [text async for text in stream.text_stream]

        assert asyncio.run(main()) == ["one ", "two"]
        assert spans(watched, f"{COUNTS}, parent_id IS NOT NULL") == [(*USED, True)] * 2

    def test_a_stream_that_nobody_enters_asks_nothing_and_records_nothing(self, watched, client):
        tele.event("so that there is a store")
        client.messages.stream(**ASK)
        gc.collect()
        assert spans(watched, "name") == []

    def test_the_beta_messages_are_watched(self, watched, client):
        client.beta.messages.create(**ASK)
        assert spans(watched, "name, input_tokens") == [("chat claude-opus-4-7", 130)]


class TestFailures:
    @pytest.mark.parametrize(("model", "error"), [("limited", "RateLimitError"), ("slow", "APITimeoutError")])
    @pytest.mark.parametrize("stream", [False, True])
    def test_a_refusal_is_recorded_and_goes_on_unchanged(self, watched, client, model, error, stream):
        def ask():
            if not stream:
                return client.messages.create(**ASK | {"model": model})
            with client.messages.stream(**ASK | {"model": model}) as told_:
                return told_.get_final_text()

        with pytest.raises(getattr(anthropic, error)):
            ask()
        assert spans(watched, "error_type, success, input_tokens") == [(f"anthropic.{error}", False, None)]
        assert KEY.encode() not in b"".join(p.read_bytes() for p in watched.path.rglob("*") if p.is_file())


def test_a_bridge_can_ask_whether_the_call_of_a_foreign_span_is_told(watched, client):
    """Anthropic's library makes OpenTelemetry spans of its own, with the id of the response in them."""
    assert not told({"gen_ai.response.id": "msg_other"})
    client.messages.create(**ASK)
    assert told({"gen_ai.response.id": "msg_1", "gen_ai.provider.name": "anthropic"})
