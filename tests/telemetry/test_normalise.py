"""Laws and rows of the table from foreign attribute keys to columns."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.store.columns import BY_NAME
from tele.telemetry.normalise import normalise

KEYS = [
    "gen_ai.operation.name",
    "openinference.span.kind",
    "llm.request.type",
    "traceloop.span.kind",
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.cost",
    "gen_ai.usage.input_cost",
    "gen_ai.usage.output_cost",
    "llm.cost.total",
    "gen_ai.response.time_to_first_chunk",
    "session.id",
    "gen_ai.request.seed",
    "llm.invocation_parameters",
    "error.type",
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "gen_ai.prompt.0.role",
    "gen_ai.prompt.0.content",
    "gen_ai.prompt.0",
    "gen_ai.prompt.999999999999.role",
    "gen_ai.prompt.1.tool_calls.0.name",
    "llm.output_messages.0.message.content",
    "output.value",
    "litellm_call_id",
    "model",
    "custom_llm_provider",
    "call_type",
    "prompt_tokens",
    "response_cost",
    "zero_cost_diagnostic",
    "metadata",
    "hidden_params",
    "stream",
    "startTime",
    "completionStartTime",
    "monocle_apptrace.version",
    "span.type",
    "entity.1.type",
    "entity.1.name",
    "metadata.prompt_tokens",
    "data.input.input",
    "gen_ai.system_instructions",
    "gen_ai.usage.total_tokens",
    "gen_ai.usage.text.input_tokens",
    "gen_ai.usage.image.input_tokens",
    "gen_ai.usage.audio.output_tokens",
    "gen_ai.usage.text.cache_read.input_tokens",
    "gen_ai.cost.total_cost",
    "litellm.cost.total",
    "ai.response.msToFirstChunk",
    "retrieval.documents.0.document.id",
    "embedding.embeddings.7.embedding.text",
    "llm.input_messages.99999999999999999999.message.role",
    "gen_ai.agent.name",
    "mcp.method.name",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["12", "-1", "NaN", "1e999", "[{", '{"seed": 7}', "[1, NaN]", "__REDACTED__", "9" * 5000, "chat"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=12), JSON, max_size=12)
PYTHON = {"VARCHAR": str, "BIGINT": int, "DOUBLE": float}


@given(ATTRIBUTES)
def test_it_never_raises_and_each_value_has_its_columns_type(attributes):
    columns = normalise(attributes)

    for name, value in columns.items():
        if not BY_NAME[name].json:
            assert type(value) is PYTHON[BY_NAME[name].type], name
        if isinstance(value, float):
            assert math.isfinite(value)
        if isinstance(value, int):
            assert -(2**63) <= value < 2**63


@given(ATTRIBUTES)
def test_doing_it_again_changes_nothing(attributes):
    columns = normalise(attributes)

    again = normalise({**columns, **attributes})

    assert repr(again) == repr(columns)


@given(ATTRIBUTES)
def test_the_attributes_are_left_as_they_are(attributes):
    before = repr(copy.deepcopy(attributes))

    normalise(attributes)

    assert repr(attributes) == before


@given(ATTRIBUTES)
def test_totals_are_no_less_than_their_parts(attributes):
    columns = normalise(attributes)

    if "input_tokens" in columns:
        cached = columns.get("cache_read_tokens", 0) + columns.get("cache_write_tokens", 0)
        assert columns["input_tokens"] >= min(cached, 2**63 - 1)
    if "output_tokens" in columns:
        assert columns["output_tokens"] >= columns.get("reasoning_tokens", 0)


def test_objects_that_are_no_json_are_passed_over():
    class Odd:
        def __bool__(self):
            raise ValueError

        def __eq__(self, other):
            raise ValueError

        __hash__ = object.__hash__

    odd = Odd()

    columns = normalise(dict.fromkeys([key for key in KEYS if "input" not in key and "output" not in key], odd))

    assert {key: value for key, value in columns.items() if value is not odd} == {}


@pytest.mark.parametrize(
    ("attributes", "columns"),
    [
        pytest.param(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": "claude-sonnet-4",
                "gen_ai.response.model": "claude-sonnet-4-20250514",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.cache_read.input_tokens": 60,
                "gen_ai.usage.cache_creation.input_tokens": 10,
                "gen_ai.usage.reasoning.output_tokens": 5,
                "gen_ai.response.time_to_first_chunk": 0.25,
                "gen_ai.conversation.id": "c1",
                "gen_ai.request.seed": 7,
                "gen_ai.input.messages": '[{"role": "user", "parts": []}]',
            },
            {
                "operation": "chat",
                "provider": "anthropic",
                "model": "claude-sonnet-4-20250514",
                "request_model": "claude-sonnet-4",
                "input_tokens": 100,
                "output_tokens": 20,
                "cache_read_tokens": 60,
                "cache_write_tokens": 10,
                "reasoning_tokens": 5,
                "ttft_ms": 250.0,
                "conversation_id": "c1",
                "seed": 7,
                "input": [{"role": "user", "parts": []}],
            },
            id="GenAI 1.37 and later",
        ),
        pytest.param(
            {
                "gen_ai.system": "az.ai.openai",
                "llm.request.type": "chat",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.prompt_tokens": "12",
                "gen_ai.usage.completion_tokens": 3.0,
                "gen_ai.usage.cache_read_input_tokens": 0,
                "gen_ai.prompt.0.role": "system",
                "gen_ai.prompt.0.content": "be brief",
                "gen_ai.prompt.10.role": "user",
                "gen_ai.prompt.2.tool_calls.0.name": "look",
                "gen_ai.completion.0.content": "yes",
            },
            {
                "operation": "chat",
                "provider": "azure.ai.openai",
                "model": "gpt-4o",
                "request_model": "gpt-4o",
                "input_tokens": 12,
                "output_tokens": 3,
                "cache_read_tokens": 0,
                "input": [
                    {"content": "be brief", "role": "system"},
                    {"tool_calls": [{"name": "look"}]},
                    {"role": "user"},
                ],
                "output": [{"content": "yes"}],
            },
            id="first generation, Traceloop",
        ),
        pytest.param(
            {
                "openinference.span.kind": "LLM",
                "llm.provider": "mistralai",
                "llm.system": "openai",
                "llm.model_name": "mistral-small",
                "llm.invocation_parameters": '{"seed": 3}',
                "llm.token_count.prompt": 9,
                "llm.token_count.completion": 4,
                "llm.token_count.completion_details.reasoning": 2,
                "llm.cost.prompt": 0.5,
                "llm.cost.completion": 0.25,
                "session.id": "s",
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.0.message.tool_calls.0.tool_call.id": "t",
                "output.value": "done",
            },
            {
                "operation": "chat",
                "provider": "mistral_ai",
                "model": "mistral-small",
                "seed": 3,
                "input_tokens": 9,
                "output_tokens": 4,
                "reasoning_tokens": 2,
                "cost_usd": 0.75,
                "price_ref": "source",
                "conversation_id": "s",
                "input": [{"role": "user", "tool_calls": [{"id": "t"}]}],
                "output": "done",
            },
            id="OpenInference",
        ),
        pytest.param(
            {
                "litellm_call_id": "x",
                "call_type": "acompletion",
                "custom_llm_provider": "bedrock",
                "model": "claude",
                "hidden_params": {"litellm_model_name": "bedrock/claude"},
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 6}}},
                "response_cost": 0.002,
                "stream": True,
                "startTime": 10.0,
                "completionStartTime": 10.5,
                "error_information": {"error_class": "RateLimitError"},
            },
            {
                "operation": "chat",
                "provider": "aws.bedrock",
                "model": "bedrock/claude",
                "request_model": "claude",
                "input_tokens": 10,
                "output_tokens": 4,
                "cache_read_tokens": 6,
                "cost_usd": 0.002,
                "price_ref": "source",
                "ttft_ms": 500.0,
                "error_type": "RateLimitError",
            },
            id="LiteLLM",
        ),
        pytest.param(
            {
                "monocle_apptrace.version": "0.6",
                "span.type": "inference",
                "entity.1.type": "inference.azure_openai",
                "entity.2.type": "model.llm.gpt",
                "entity.2.name": "gpt",
                "metadata.prompt_tokens": 5,
                "metadata.completion_tokens": 2,
                "data.output.response": "hi",
            },
            {
                "operation": "chat",
                "provider": "azure.ai.openai",
                "model": "gpt",
                "request_model": "gpt",
                "input_tokens": 5,
                "output_tokens": 2,
                "output": "hi",
            },
            id="Monocle",
        ),
    ],
)
def test_each_convention_gives_the_same_columns(attributes, columns):
    assert normalise(attributes) == columns


# one row of standards for each key that speaks: what it says, and in which column that stands
ROWS = {
    "operation": [
        ({"gen_ai.operation.name": "fetch_response"}, "fetch_response"),
        ({"gen_ai.operation.name": "Search_Memory"}, "Search_Memory"),
        ({"gen_ai.operation.name": "chain"}, "invoke_workflow"),
        ({"openinference.span.kind": "RERANKER"}, "reranker"),
        ({"openinference.span.kind": "CHAIN"}, "invoke_workflow"),
        ({"openinference.span.kind": "CHAIN", "agent.name": "a"}, "invoke_agent"),
        ({"openinference.span.kind": "LLM", "agent.name": "a"}, "chat"),
        ({"llm.request.type": "completion"}, "text_completion"),
        ({"traceloop.span.kind": "tool"}, "execute_tool"),
        ({"litellm.call_type": "aembedding"}, "embeddings"),
        ({"mcp.method.name": "tools/call"}, "execute_tool"),
        ({"mcp.method.name": "tools/list"}, None),
    ],
    "provider": [
        ({"gen_ai.system": "gemini"}, "gcp.gemini"),
        ({"gen_ai.system": "openai.responses"}, "openai"),
        ({"gen_ai.provider.name": "moonshot_ai"}, "moonshot_ai"),
        ({"gen_ai.system": "litellm"}, None),
    ],
    "model": [
        ({"llm.model_name": "a", "llm.response.model_name": "b"}, "b"),
        ({"embedding.model_name": "e"}, "e"),
        ({"reranker.model_name": "r"}, "r"),
        ({"gen_ai.response.model": {"nested": 1}, "gen_ai.request.model": "q"}, "q"),
    ],
    "input_tokens": [
        ({"gen_ai.usage.text.input_tokens": 5, "gen_ai.usage.image.input_tokens": 7}, 12),
        ({"gen_ai.usage.input_tokens": 20, "gen_ai.usage.text.input_tokens": 5}, 20),
        ({"gen_ai.usage.total_tokens": 30, "gen_ai.usage.output_tokens": 10}, 20),
        ({"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 9}, 14),
    ],
    "output_tokens": [
        ({"gen_ai.usage.audio.output_tokens": 3, "gen_ai.usage.text.output_tokens": 4}, 7),
        # Gemini's convention, told by the total
        (
            {
                "gen_ai.usage.input_tokens": 10,
                "gen_ai.usage.output_tokens": 5,
                "gen_ai.usage.reasoning.output_tokens": 4,
                "gen_ai.usage.total_tokens": 19,
            },
            9,
        ),
    ],
    "cache_read_tokens": [
        ({"gen_ai.usage.text.cache_read.input_tokens": 2, "gen_ai.usage.audio.cache_read.input_tokens": 3}, 5),
        ({"gen_ai.usage.details.cache_read_tokens": 4}, 4),
        ({"gen_ai.usage.input_tokens.cached": 6}, 6),
    ],
    "cache_write_tokens": [
        ({"gen_ai.usage.cache_write.input_tokens": 1, "gen_ai.usage.cache_creation.input_tokens": 2}, 1),
        ({"gen_ai.usage.cache_write_input_tokens": 3}, 3),
        ({"llm.token_count.prompt_details.cache_write": 4}, 4),
    ],
    "reasoning_tokens": [({"llm.usage.reasoning_tokens": 5}, 5), ({"gen_ai.usage.output_tokens.reasoning": 6}, 6)],
    "cost_usd": [
        ({"llm.cost.total": 0.5}, 0.5),
        ({"gen_ai.cost.total_cost": 0.25, "gen_ai.usage.input_tokens": 1}, 0.25),
        ({"litellm.cost.input": 0.25, "litellm.cost.output": 0.5}, 0.75),
        # LiteLLM writes 0 where it knows no price
        ({"gen_ai.cost.total_cost": 0.0, "gen_ai.usage.input_tokens": 1}, None),
        ({"gen_ai.usage.cost": 0.0, "gen_ai.usage.input_tokens": 1}, 0.0),
    ],
    "ttft_ms": [
        ({"gen_ai.response.time_to_first_chunk": 0.5}, 500.0),
        ({"ai.response.msToFirstChunk": 120.5}, 120.5),
    ],
    "conversation_id": [({"traceloop.association.properties.session_id": "s"}, "s")],
    "seed": [({"gen_ai.openai.request.seed": 3}, 3)],
    "input": [
        (
            {"gen_ai.system_instructions": '[{"type": "text", "content": "be brief"}]', "gen_ai.input.messages": "[]"},
            [{"role": "system", "parts": [{"type": "text", "content": "be brief"}]}],
        ),
        ({"gen_ai.tool.call.arguments": '{"a": 1}'}, {"a": 1}),
        ({"tool.parameters": "{}", "input.value": "x"}, "x"),
        ({"gen_ai.retrieval.query.text": "q"}, "q"),
        ({"reranker.query": "q"}, "q"),
        ({"embedding.embeddings.0.embedding.text": "t"}, [{"text": "t"}]),
        ({"traceloop.entity.input": '{"inputs": 1}'}, {"inputs": 1}),
        ({"llm.prompts.0.prompt.text": "p"}, [{"text": "p"}]),
        ({"llm.input_messages.999999999.message.role": "user"}, [{"role": "user"}]),
        ({"gen_ai.input.messages": '[{"role": "us'}, '[{"role": "us'),
    ],
    "output": [
        ({"gen_ai.tool.call.result": "r"}, "r"),
        ({"gen_ai.retrieval.documents": '[{"id": "d", "score": 0.5}]'}, [{"id": "d", "score": 0.5}]),
        (
            {"retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.score": 0.5},
            [{"id": "d", "score": 0.5}],
        ),
        ({"reranker.output_documents.3.document.content": "c"}, [{"content": "c"}]),
        ({"llm.choices.0.completion.text": "c"}, [{"text": "c"}]),
        ({"output.value": "__REDACTED__"}, None),
    ],
}


@pytest.mark.parametrize(
    ("column", "attributes", "value"), [(column, *row) for column, rows in ROWS.items() for row in rows]
)
def test_each_row_of_the_table(column, attributes, value):
    found = normalise(attributes).get(column)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [None, "", "many", -1, 1.5, math.nan, math.inf, True, [3], {"n": 3}, 2**63, "9" * 30])
def test_what_is_no_count_is_passed_over_for_the_next_key(value):
    columns = normalise({"gen_ai.usage.input_tokens": value, "gen_ai.usage.prompt_tokens": 8})

    assert columns == {"input_tokens": 8}


def test_a_cost_is_taken_as_stated_and_half_a_cost_is_none():
    assert normalise({"gen_ai.usage.cost": 0}) == {"cost_usd": 0.0, "price_ref": "source"}
    assert normalise({"gen_ai.usage.input_cost": 0.5}) == {}


def test_a_zero_cost_of_litellm_beside_a_diagnostic_is_unknown():
    payload = {"litellm_call_id": "x", "response_cost": 0.0, "zero_cost_diagnostic": {"reason": "no price"}}

    assert "cost_usd" not in normalise(payload)


def test_litellm_times_may_be_datetimes():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    payload = {"litellm_call_id": "x", "stream": True, "startTime": start}

    columns = normalise({**payload, "completionStartTime": start + timedelta(milliseconds=40)})

    assert columns == {"ttft_ms": 40.0}


def test_cached_tokens_above_the_input_were_counted_outside_it():
    # Anthropic's own figures: 10 fresh, 2000 read from the cache, 30 written to it
    own = {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 2000,
        "gen_ai.usage.cache_creation.input_tokens": 30,
    }

    assert normalise(own)["input_tokens"] == 2040


def test_a_framework_is_no_provider():
    assert normalise({"gen_ai.system": "gcp.vertex.agent"}) == {}
    assert normalise({"gen_ai.system": "gcp.vertex.agent", "gen_ai.provider.name": "OpenAI"}) == {"provider": "openai"}


def test_text_that_was_cut_off_stays_text():
    cut = json.dumps([{"role": "user", "content": "x" * 50}])[:30]

    assert normalise({"gen_ai.input.messages": cut}) == {"input": cut}


def test_hidden_content_is_no_content():
    assert normalise({"input.value": "__REDACTED__"}) == {}
