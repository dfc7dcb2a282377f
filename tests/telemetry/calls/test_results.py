"""What a model answered is found in the objects of the real libraries, in their dicts, and in nothing else."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.telemetry.calls.results import Answer, read

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "flex",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 150},
    },
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "see."},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 100,
        "output_tokens": 200,
        "cache_read_input_tokens": 800,
        "cache_creation_input_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 150},
    },
}
WEATHER = {"name": "weather", "arguments": {"city": "Paris"}}


def of(answer: Answer, *names: str) -> tuple:
    return tuple(getattr(answer, name) for name in names)


COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class TestOpenAI:
    def test_a_chat_completion_as_object_and_as_dict(self):
        types = pytest.importorskip("openai.types.chat")
        made = types.ChatCompletion.model_validate(CHAT)
        for result in (made, made.model_dump(), CHAT):
            answer = read(result)
            assert of(answer, *COUNTS) == (1000, 200, 800, 100, 150)
            assert of(answer, "model", "response_id", "service_tier") == ("gpt-4o-2024-08-06", "chatcmpl-1", "flex")
            assert of(answer, "finish_reasons", "text") == (("tool_calls",), "Let me see.")
            assert answer.tool_calls == ({"id": "c1", **WEATHER},)
        assert (read(made).provider, read(CHAT).provider) == ("openai", None)

    def test_several_choices(self):
        choices = [{"index": n, "finish_reason": "stop", "message": {"content": word}} for n, word in enumerate("ab")]
        answer = read({"choices": choices})
        assert (answer.text, answer.texts, answer.finish_reasons) == ("a", ("a", "b"), ("stop", "stop"))

    def test_a_refusal_is_what_was_said(self):
        assert read({"choices": [{"message": {"content": None, "refusal": "No."}}]}).text == "No."

    def test_a_completion(self):
        types = pytest.importorskip("openai.types")
        body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "gpt-3.5-turbo-instruct"}
        body |= {"choices": [{"index": 0, "text": "hello", "finish_reason": "length", "logprobs": None}]}
        body |= {"usage": {"prompt_tokens": 5, "completion_tokens": 16, "total_tokens": 21}}
        answer = read(types.Completion.model_validate(body))
        assert of(answer, "text", "operation", "finish_reasons") == ("hello", "text_completion", ("length",))
        assert of(answer, *COUNTS) == (5, 16, None, None, None)

    def test_a_response(self):
        responses = pytest.importorskip("openai.types.responses")
        body = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1.0,
            "model": "gpt-5",
            "status": "completed",
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "output": [
                {"type": "reasoning", "id": "r", "summary": []},
                {
                    "type": "message",
                    "id": "m",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "Hi.", "annotations": []}],
                },
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Paris"}'},
            ],
            "usage": {
                "input_tokens": 1000,
                "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 0},
                "output_tokens": 200,
                "output_tokens_details": {"reasoning_tokens": 150},
                "total_tokens": 1200,
            },
        }
        for result in (responses.Response.model_validate(body), body):
            answer = read(result)
            assert of(answer, *COUNTS) == (1000, 200, 800, 0, 150)
            assert of(answer, "model", "text", "finish_reasons") == ("gpt-5", "Hi.", ("completed",))
            assert answer.tool_calls == ({"id": "c1", **WEATHER},)
        cut = read(body | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}})
        assert cut.finish_reasons == ("max_output_tokens",)
        failed = read(body | {"status": "failed", "error": {"code": "server_error", "message": "Sorry."}})
        assert of(failed, "error_type", "error_message") == ("server_error", "Sorry.")

    def test_embeddings(self):
        types = pytest.importorskip("openai.types")
        body = {"object": "list", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
        body |= {"data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]}
        answer = read(types.CreateEmbeddingResponse.model_validate(body))
        assert of(answer, "operation", "model", "text") == ("embeddings", "text-embedding-3-small", None)
        assert of(answer, *COUNTS) == (8, None, None, None, None)

    def test_reasoning_that_the_total_counts_beside_the_answer_is_included(self):
        """As x.ai counts: 10 + 5 + 90 = 105."""
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 105}
        usage["completion_tokens_details"] = {"reasoning_tokens": 90}
        assert of(read({"choices": [], "usage": usage}), *COUNTS) == (10, 95, None, None, 90)

    def test_an_error_of_the_api(self):
        body = {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}
        assert of(read(body), "error_type", "error_message") == ("rate_limit_exceeded", "Rate limit reached")
        assert of(read({"error": "model not found"}), "error_type", "error_message") == ("error", "model not found")


class TestAnthropic:
    def test_input_includes_the_cache_that_anthropic_leaves_out(self):
        """As its documentation says: total input is the sum of the three, 100 + 800 + 50."""
        types = pytest.importorskip("anthropic.types")
        for result in (types.Message.model_validate(MESSAGE), MESSAGE):
            answer = read(result)
            assert of(answer, *COUNTS) == (950, 200, 800, 50, 150)
            assert of(answer, "provider", "model", "text") == ("anthropic", "claude-sonnet-4-5", "Let me see.")
            assert of(answer, "finish_reasons", "response_id") == (("tool_use",), "msg_1")
            assert answer.tool_calls == ({"id": "t1", **WEATHER},)

    def test_without_a_cache(self):
        assert of(read(MESSAGE | {"usage": {"input_tokens": 3, "output_tokens": 4}}), *COUNTS)[:2] == (3, 4)


OLLAMA = {
    "model": "gemma3",
    "created_at": "2025-10-17T23:14:07.414671Z",
    "message": {"role": "assistant", "content": "Hello!"},
    "done": True,
    "done_reason": "stop",
    "total_duration": 174_560_334,
    "load_duration": 101_397_084,
    "prompt_eval_count": 11,
    "prompt_eval_cached_count": 8,
    "prompt_eval_duration": 13_074_791,
    "eval_count": 18,
    "eval_duration": 52_479_709,
}


class TestOllama:
    def test_counts_and_durations_which_are_nanoseconds(self):
        spaces = SimpleNamespace(**OLLAMA | {"message": SimpleNamespace(**OLLAMA["message"])})
        for result in (OLLAMA, spaces):
            answer = read(result)
            assert of(answer, *COUNTS) == (11, 18, 8, None, None)
            assert of(answer, "provider", "model", "text", "finish_reasons") == (
                "ollama",
                "gemma3",
                "Hello!",
                ("stop",),
            )
            assert answer.server_seconds == pytest.approx(
                {
                    "gen_ai.server.request.duration": 0.174560334,
                    "gen_ai.server.time_to_first_token": 0.114471875,
                    "gen_ai.server.time_per_output_token": 0.052479709 / 18,
                }
            )

    def test_generate_tool_calls_and_embeddings(self):
        assert read({"model": "m", "response": "hi", "done": True}).text == "hi"
        call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
        assert read({"model": "m", "done": True, "message": {"content": "", "tool_calls": [call]}}).tool_calls == (
            WEATHER,
        )
        assert read({"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 3}).operation == "embeddings"


class TestGoogle:
    def test_thoughts_and_the_prompts_of_tools_are_included(self):
        """Google's own total is the sum of the four: 100 + 20 + 30 + 7 = 157."""
        body = {
            "candidates": [
                {
                    "content": {
                        "parts": [
                            {"text": "hm", "thought": True},
                            {"text": "Hi."},
                            {"functionCall": {"name": "weather", "args": {"city": "Paris"}}},
                        ]
                    },
                    "finishReason": "STOP",
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 100,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
                "toolUsePromptTokenCount": 7,
                "cachedContentTokenCount": 64,
                "totalTokenCount": 157,
            },
            "modelVersion": "gemini-2.5-pro",
            "responseId": "r",
        }
        answer = read(body)
        assert answer.input_tokens + answer.output_tokens == 157
        assert of(answer, *COUNTS) == (107, 50, 64, None, 30)
        assert of(answer, "provider", "model", "text") == ("gcp.gen_ai", "gemini-2.5-pro", "Hi.")
        assert of(answer, "finish_reasons", "tool_calls") == (("STOP",), (WEATHER,))
        usage = SimpleNamespace(prompt_token_count=3, candidates_token_count=4, thoughts_token_count=None)
        space = SimpleNamespace(candidates=[], usage_metadata=usage, model_version="g")
        assert of(read(space), "input_tokens", "output_tokens", "model") == (3, 4, "g")


class TestAnythingElse:
    def test_text_is_text(self):
        assert read("hello") == Answer(text="hello")

    def test_a_dict_with_usage_says_so_and_keeps_its_words_to_itself(self):
        answer = read({"answer": "x", "model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
        assert of(answer, "model", "input_tokens", "output_tokens", "text") == ("m", 3, 4, None)

    @pytest.mark.parametrize("result", [None, 1, 2.5, b"x", [], ["a"], ("a", 1), object(), MagicMock(), dict, len])
    def test_what_is_no_answer_says_nothing(self, result):
        assert read(result) == Answer()

    @pytest.mark.parametrize(
        "result",
        [
            {"done": True, "result": 1},
            {"candidates": ["Ann", "Bob"]},
            {"type": "message", "text": "x"},
            {"choices": ["a", "b"]},
        ],
    )
    def test_a_dict_of_the_users_that_only_looks_like_one_is_no_providers(self, result):
        assert of(read(result), "provider", "model", "text") == (None, None, None)

    def test_counts_that_cannot_be_are_none(self):
        for odd in (-1, True, 1.5, "3", 2**63, float("nan"), [1], None):
            assert read({"choices": [], "usage": {"prompt_tokens": odd}}).input_tokens is None

    def test_an_object_whose_properties_raise(self):
        class Odd:
            def __getattr__(self, name):
                raise SystemExit(name)

        assert read(Odd()) == Answer()


words = st.one_of(
    st.sampled_from(
        ["choices", "message", "content", "text", "type", "usage", "prompt_tokens", "input_tokens", "output"]
    ),
    st.sampled_from(
        ["id", "model", "error", "code", "done", "candidates", "parts", "stop_reason", "tool_calls", "name"]
    ),
    st.sampled_from(["function", "arguments", "data", "embedding", "usage_metadata", "object", "usageMetadata"]),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words | st.binary(max_size=3)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(words | st.text(max_size=3), inner, max_size=6)
        | st.dictionaries(words, inner, max_size=6).map(lambda found: SimpleNamespace(**found))
    ),
    max_leaves=25,
)


@settings(deadline=None)
@given(trees)
def test_read_is_total(result):
    answer = read(result)
    assert all(count is None or (type(count) is int and count >= 0) for count in of(answer, *COUNTS))
    assert all(isinstance(reason, str) for reason in answer.finish_reasons)
    assert all(isinstance(call, dict) for call in answer.tool_calls)
    assert isinstance(answer.text, str | None)


def test_reading_imports_no_library(tmp_path):
    script = """
import sys, tele
tele.llm_call(lambda p: {"choices": [], "usage": {}})("x")
print(sorted({"openai", "anthropic", "litellm", "ollama", "google.genai", "pydantic", "asyncio"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"
