"""Emitters with keys of their own, put into the words of the GenAI conventions.

Each is recognised by a key that only it writes; all others' attributes pass through as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["translated"]


def translated(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the attributes in the words of the GenAI conventions; never raises."""
    if "litellm_call_id" in attributes:
        return _litellm(attributes)
    if "monocle_apptrace.version" in attributes:
        return {**_monocle(attributes), **attributes}
    return attributes


def _either(first: object, second: object) -> object:
    return second if first is None else first


def _within(value: object, *steps: str) -> Any:
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


# LiteLLM's standard_logging_object: a payload of bare keys, so it is read alone, never mixed with attributes

_CALL_TYPES = {
    "completion": "chat",
    "responses": "chat",
    "text_completion": "text_completion",
    "embedding": "embeddings",
    "call_mcp_tool": "execute_tool",
}


def _litellm(payload: Mapping[str, Any]) -> dict[str, Any]:
    call_type = payload.get("call_type")
    usage = _within(payload, "metadata", "usage_object")
    asked = payload.get("model")
    routed = _either(_within(payload, "hidden_params", "litellm_model_name"), asked)
    return {
        "gen_ai.operation.name": _call_name(call_type),
        "gen_ai.provider.name": payload.get("custom_llm_provider"),
        "gen_ai.response.model": routed,
        "gen_ai.request.model": _either(asked, routed),
        "gen_ai.request.seed": _within(payload, "model_parameters", "seed"),
        "gen_ai.conversation.id": payload.get("session_id"),
        # LiteLLM's prompt_tokens already include what was cached
        "gen_ai.usage.input_tokens": payload.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": payload.get("completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": _within(usage, "prompt_tokens_details", "cached_tokens"),
        "gen_ai.usage.cache_write.input_tokens": _within(usage, "cache_creation_input_tokens"),
        "gen_ai.usage.reasoning.output_tokens": _within(usage, "completion_tokens_details", "reasoning_tokens"),
        "gen_ai.usage.cost": _litellm_cost(payload),
        "gen_ai.response.time_to_first_chunk": _litellm_first_chunk(payload),
        "error.type": _within(payload, "error_information", "error_class"),
        "gen_ai.input.messages": payload.get("messages"),
        "gen_ai.output.messages": payload.get("response"),
        "gen_ai.usage.total_tokens": payload.get("total_tokens"),
        "gen_ai.tool.call.arguments": _within(payload, "metadata", "mcp_tool_call_metadata", "arguments"),
        "gen_ai.tool.call.result": _within(payload, "metadata", "mcp_tool_call_metadata", "result"),
    }


def _call_name(call_type: object) -> str | None:
    """`acompletion` is `completion` called with await."""
    if not isinstance(call_type, str):
        return None
    return _CALL_TYPES.get(call_type) or _CALL_TYPES.get(call_type.removeprefix("a"), call_type)


def _litellm_cost(payload: Mapping[str, Any]) -> Any:
    """Give the cost that LiteLLM found; 0 beside a diagnostic means that it knew no price."""
    cost = payload.get("response_cost")
    doubt = _either(payload.get("zero_cost_diagnostic"), payload.get("response_cost_failure_debug_info"))
    return None if doubt is not None and isinstance(cost, int | float) and cost == 0 else cost


def _litellm_first_chunk(payload: Mapping[str, Any]) -> float | None:
    """Seconds to the first chunk of a stream; without one, completionStartTime is the end."""
    start, first = payload.get("startTime"), payload.get("completionStartTime")
    if payload.get("stream") is not True:
        return None
    if isinstance(start, datetime) and isinstance(first, datetime) and bool(start.tzinfo) == bool(first.tzinfo):
        return (first - start).total_seconds()
    if isinstance(start, float) and isinstance(first, float):
        return first - start
    return None


# Monocle: span.type says what a span is, entity.N are who took part. Readers put the attributes of its span events
# (`metadata`, `data.input`, `data.output`) beside the span's as `EVENT.KEY`, for only there are the tokens.

_MONOCLE_OPERATIONS = {
    "inference": "chat",
    "inference.framework": "chat",  # and its child `inference.modelapi`, the bare call, has neither model nor tokens
    "agentic.tool.invocation": "execute_tool",
    "agentic.invocation": "invoke_agent",
    "agentic.request": "invoke_workflow",
    "agentic.turn": "invoke_workflow",
    "embedding": "embeddings",
    "retrieval": "retrieval",
}
_MONOCLE_PROVIDERS = {
    "inference.aws_bedrock": "aws.bedrock",
    "inference.azure_openai": "azure.ai.openai",
    "inference.gemini": "gcp.gemini",
    "inference.openai": "openai",
    "inference.anthropic": "anthropic",
}
_MONOCLE_ENTITIES = 10


def _monocle(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kind = attributes.get("span.type")
    return {
        "gen_ai.operation.name": _MONOCLE_OPERATIONS.get(kind) if isinstance(kind, str) else None,
        "gen_ai.conversation.id": attributes.get("scope.agentic.session"),
        "gen_ai.usage.input_tokens": attributes.get("metadata.prompt_tokens"),
        "gen_ai.usage.output_tokens": attributes.get("metadata.completion_tokens"),
        "gen_ai.input.messages": _either(attributes.get("data.input.input"), attributes.get("data.input.query")),
        "gen_ai.output.messages": attributes.get("data.output.response"),
        **_monocle_entities(attributes),
    }


def _monocle_entities(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Find the model, the entity whose type begins with `model.llm`, and the provider, by the first known type."""
    said: dict[str, Any] = {}
    for number in range(1, _MONOCLE_ENTITIES):
        kind = attributes.get(f"entity.{number}.type")
        if not isinstance(kind, str):
            continue
        if kind.startswith("model.llm"):
            said.setdefault("gen_ai.request.model", attributes.get(f"entity.{number}.name"))
        elif kind in _MONOCLE_PROVIDERS:
            said.setdefault("gen_ai.provider.name", _MONOCLE_PROVIDERS[kind])
    return said
