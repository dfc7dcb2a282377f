"""Everybody's attribute keys for our columns, as data: in each row from the newest convention to the oldest.

The order within a row is that of the conventions: OpenTelemetry's GenAI keys (fourth, third, second generation), then
OpenInference, then Traceloop and the first generation, then what single emitters write (LiteLLM's OpenTelemetry
callback, Vercel's AI SDK, Logfire, Sentry, Langfuse). The first key that holds a usable value wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tele.telemetry.usable import as_milliseconds, code, count, milliseconds, text

__all__ = ["KEYS", "PREFIXES", "TABLE"]

_REQUEST_MODEL = ("gen_ai.request.model", "llm.request.model_name", "llm.input_model_name", "ai.model.id")
TABLE: tuple[tuple[str, Callable[[object], Any], tuple[str, ...]], ...] = (
    (
        "provider",
        text,
        ("gen_ai.provider.name", "llm.provider", "llm.system", "gen_ai.system", "ai.model.provider"),
    ),
    (
        "model",
        text,
        (
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.output_model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "ai.response.model",
            *_REQUEST_MODEL,
        ),
    ),
    ("request_model", text, _REQUEST_MODEL),
    (
        "input_tokens",
        count,
        (
            "gen_ai.usage.input_tokens",
            "llm.token_count.prompt",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
        ),
    ),
    (
        "output_tokens",
        count,
        (
            "gen_ai.usage.output_tokens",
            "llm.token_count.completion",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
        ),
    ),
    (
        "cache_read_tokens",
        count,
        (
            "gen_ai.usage.cache_read.input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_tokens.cached",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "ai.usage.cachedInputTokens",
        ),
    ),
    (
        "cache_write_tokens",
        count,
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "llm.token_count.prompt_details.cache_write",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.input_tokens.cache_write",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
        ),
    ),
    (
        "reasoning_tokens",
        count,
        (
            "gen_ai.usage.reasoning.output_tokens",
            "llm.token_count.completion_details.reasoning",
            "gen_ai.usage.reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "gen_ai.usage.output_tokens.reasoning",
            "gen_ai.usage.details.reasoning_tokens",
            "ai.usage.reasoningTokens",
        ),
    ),
    ("ttft_ms", milliseconds, ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")),
    ("ttft_ms", as_milliseconds, ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")),
    (
        "conversation_id",
        text,
        (
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
            "gcp.vertex.agent.session_id",
            "langfuse.session.id",
        ),
    ),
    ("error_type", code, ("error.type", "exception.type")),
)

TOTALS = ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens", "ai.usage.totalTokens")
"""Input and output together: says whether parts were counted within them, and one side where the other is known."""

MODALITIES = {
    column: tuple(f"gen_ai.usage.{modality}.{what}" for modality in ("text", "image", "audio", "video", "document"))
    for column, what in (
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_tokens", "cache_read.input_tokens"),
    )
}
"""The fourth generation's parts by modality: their sum stands where there is no total."""

# Operations

_OPENINFERENCE_KINDS = {
    "llm": "chat",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "chain": "invoke_workflow",
    "unknown": "",
}
_GENAI = {**_OPENINFERENCE_KINDS, "call_llm": "chat", "llm_request": "chat", "vector_db_retrieve": "retrieval"}
_TRACELOOP_REQUESTS = {"completion": "text_completion", "embedding": "embeddings", "unknown": ""}
_TRACELOOP_KINDS = {
    "workflow": "invoke_workflow",
    "task": "execute_task",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "unknown": "",
}
_LITELLM_CALLS = {
    "completion": "chat",
    "acompletion": "chat",
    "responses": "chat",
    "aresponses": "chat",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "aembedding": "embeddings",
    "arerank": "rerank",
}
_MCP_METHODS = {"tools/call": "execute_tool"}
OPERATIONS: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("gen_ai.operation.name", {**_GENAI, **_LITELLM_CALLS}, True),
    ("openinference.span.kind", _OPENINFERENCE_KINDS, True),
    ("llm.request.type", _TRACELOOP_REQUESTS, True),
    ("traceloop.span.kind", _TRACELOOP_KINDS, True),
    ("litellm.call_type", _LITELLM_CALLS, True),
    ("mcp.method.name", _MCP_METHODS, False),
)
"""Key, what its values are called here, and whether one that is not listed stands as it is."""

AGENTS = ("gen_ai.agent.name", "gen_ai.agent.id", "agent.name")
"""Who acts: on a workflow they make it an agent's; on a call they only say on whose behalf."""

PROVIDERS = {
    "amazon-bedrock": "aws.bedrock",
    "anthropic.messages": "anthropic",
    "aws": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "google.vertex.chat": "gcp.vertex_ai",
    "grok": "x_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "openai.chat": "openai",
    "openai.completion": "openai",
    "openai.responses": "openai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Names that others have for the providers of the GenAI conventions."""

SEEDS = ("gen_ai.request.seed", "gen_ai.openai.request.seed")
PARAMETERS = "llm.invocation_parameters"

COST_TOTALS = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total", "operation.cost")
LITELLM_COSTS = ("gen_ai.cost.total_cost", "litellm.cost.total")
"""What LiteLLM's OpenTelemetry callback writes: 0 there may be a price that it does not know."""
COST_HALVES = (
    ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),
    ("llm.cost.prompt", "llm.cost.completion"),
    ("gen_ai.cost.input_cost", "gen_ai.cost.output_cost"),
    ("litellm.cost.input", "litellm.cost.output"),
)

# Content: messages, whole or flattened (keys that end in a dot), else what else there is

INSTRUCTIONS = "gen_ai.system_instructions"
INPUT = ("gen_ai.input.messages", "llm.input_messages.", "gen_ai.prompt.", "llm.prompts.")
INPUT_OTHERWISE = (
    "gen_ai.prompt",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.args",
    "gen_ai.retrieval.query.text",
    "gen_ai.memory.query.text",
    "input.value",
    "tool.parameters",
    "reranker.query",
    "embedding.embeddings.",
    "traceloop.entity.input",
    "gen_ai.task.input",
    "ai.prompt.messages",
    "ai.prompt",
)
OUTPUT = ("gen_ai.output.messages", "llm.output_messages.", "gen_ai.completion.", "llm.choices.")
OUTPUT_OTHERWISE = (
    "gen_ai.completion",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "gen_ai.memory.records",
    "retrieval.documents.",
    "reranker.output_documents.",
    "output.value",
    "gen_ai.output",
    "traceloop.entity.output",
    "gen_ai.task.output",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
)

# Which keys are read at all: most attributes of most spans are none of them

_CONTENT = (*INPUT, *INPUT_OTHERWISE, *OUTPUT, *OUTPUT_OTHERWISE)
PREFIXES = tuple(key for key in _CONTENT if key.endswith("."))
KEYS = frozenset(
    [key for _, _, keys in TABLE for key in keys]
    + [key for key, _, _ in OPERATIONS]
    + [key for keys in MODALITIES.values() for key in keys]
    + [key for pair in COST_HALVES for key in pair]
    + [*TOTALS, *AGENTS, *SEEDS, PARAMETERS, *COST_TOTALS, *LITELLM_COSTS, INSTRUCTIONS, *_CONTENT]
)
