"""The real clients over a transport that answers from memory."""

from __future__ import annotations

import json

import pytest

OPENAI_TOOLS = [{"id": "c1", "name": "weather", "arguments": {"city": "Paris"}}]


def sse(events, *, named=False):
    lines = []
    for event in events:
        if named:
            lines.append(f"event: {event['type']}\n")
        lines.append(f"data: {json.dumps(event)}\n\n")
    return "".join(lines) + ("" if named else "data: [DONE]\n\n")


def openai_chunks():
    def chunk(delta, finish=None, **more):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt-4o-2024-08-06",
            "choices": [choice],
        } | more

    tool = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city"'}}
    rest = {"index": 0, "function": {"arguments": ': "Paris"}'}}
    usage = {"prompt_tokens": 100, "completion_tokens": 21, "total_tokens": 121}
    usage |= {"prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 5}}
    return [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Let me "}),
        chunk({"content": "see."}),
        chunk({"tool_calls": [tool]}),
        chunk({"tool_calls": [rest]}),
        chunk({}, "tool_calls"),
        chunk({}, choices=[], usage=usage),
    ]


def anthropic_events():
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None}
    message |= {
        "usage": {
            "input_tokens": 100,
            "output_tokens": 1,
            "cache_read_input_tokens": 800,
            "cache_creation_input_tokens": 50,
        }
    }
    tool = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "see."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"city"'}},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": ': "Paris"}'},
        },
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 21},
        },
        {"type": "message_stop"},
    ]


def response_events():
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5",
        "status": "completed",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [
            {
                "type": "message",
                "id": "m",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
            }
        ],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
            "output_tokens": 21,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 121,
        },
    }
    delta = {
        "type": "response.output_text.delta",
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "logprobs": [],
    }
    return [
        {"type": "response.created", "response": whole | {"status": "in_progress", "output": [], "usage": None}},
        delta | {"delta": "Let me "},
        delta | {"delta": "see."},
        {"type": "response.completed", "response": whole},
    ]


def openai_client(body, *, asynchronous=False, status=200):
    openai, httpx = pytest.importorskip("openai"), pytest.importorskip("httpx")

    def answer(request):
        return httpx.Response(status, headers={"content-type": "text/event-stream"}, content=body.encode())

    transport = httpx.MockTransport(answer)
    if asynchronous:
        return openai.AsyncOpenAI(api_key="none", http_client=httpx.AsyncClient(transport=transport), max_retries=0)
    return openai.OpenAI(api_key="none", http_client=httpx.Client(transport=transport), max_retries=0)


def anthropic_client(body, *, asynchronous=False):
    anthropic, httpx = pytest.importorskip("anthropic"), pytest.importorskip("httpx2")

    def answer(request):
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body.encode())

    transport = httpx.MockTransport(answer)
    if asynchronous:
        return anthropic.AsyncAnthropic(api_key="none", http_client=httpx.AsyncClient(transport=transport))
    return anthropic.Anthropic(api_key="none", http_client=httpx.Client(transport=transport))
