"""One table from everybody's attribute keys to our columns.

Read are the four generations of OpenTelemetry's GenAI conventions, OpenInference, Traceloop (OpenLLMetry), any-agent,
and, where `dialects` knows the emitter, LiteLLM's logging payload and Monocle. In each row the first key that holds a
usable value wins. Raw attributes are only read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tele.telemetry.content import content, json_value
from tele.telemetry.dialects import translated

__all__ = ["normalise"]

INT64_MAX = 2**63 - 1
_LONGEST_NUMBER = 40


def normalise(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns that `attributes` speak of; absent keys are NULL.

    Total: no value makes it raise, and one that does not fit its column (NaN tokens, a nested model name) is passed
    over. Units: tokens are counts, `cost_usd` is US dollars, `ttft_ms` milliseconds. `input` and `output` are plain
    JSON values. The attributes are left as they are, and running it over attributes and columns together changes
    nothing.
    """
    view = {key: value for key, value in translated(attributes).items() if _spoken(key)}
    if not view:
        return {}
    columns: dict[str, Any] = {"operation": _operation(view)}
    for column, take, keys in _TABLE:
        columns[column] = _first(view, keys, take)
    columns["provider"] = _provider(columns["provider"])
    columns["seed"] = _seed(view)
    columns["cost_usd"] = _cost(view)
    columns["price_ref"] = None if columns["cost_usd"] is None else "source"
    columns["input"] = content(view, _INPUT, _INPUT_OTHERWISE)
    columns["output"] = content(view, _OUTPUT, _OUTPUT_OTHERWISE)
    _include_details(columns)
    return {column: value for column, value in columns.items() if value is not None}


# What counts as a usable value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _code(value: object) -> str | None:
    """Take a text, or a number that names an error."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _number(value: object) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            value = float(value) if re.search("[.eE]", value) else int(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) and abs(value) <= INT64_MAX else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None or number != int(number) or abs(number) > INT64_MAX else int(number)


def _count(value: object) -> int | None:
    whole = _whole(value)
    return whole if whole is not None and whole >= 0 else None


def _amount(value: object) -> float | None:
    number = _number(value)
    return float(number) if number is not None and number >= 0 else None


def _milliseconds(seconds: object) -> float | None:
    amount = _amount(seconds)
    return None if amount is None or math.isinf(amount * 1e3) else amount * 1e3


def _first(view: Mapping[str, Any], keys: Iterable[str], take: Callable[[object], Any]) -> Any:
    for key in keys:
        if key in view and (value := take(view[key])) is not None:
            return value
    return None


# The table: column, what is usable, keys from the newest convention to the oldest

_REQUEST_MODEL = ("gen_ai.request.model", "llm.request.model_name")
_TABLE: tuple[tuple[str, Callable[[object], Any], tuple[str, ...]], ...] = (
    ("provider", _text, ("gen_ai.provider.name", "llm.provider", "llm.system", "gen_ai.system")),
    (
        "model",
        _text,
        (
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            *_REQUEST_MODEL,
        ),
    ),
    ("request_model", _text, _REQUEST_MODEL),
    (
        "input_tokens",
        _count,
        (
            "gen_ai.usage.input_tokens",
            "llm.token_count.prompt",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
        ),
    ),
    (
        "output_tokens",
        _count,
        (
            "gen_ai.usage.output_tokens",
            "llm.token_count.completion",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
        ),
    ),
    (
        "cache_read_tokens",
        _count,
        (
            "gen_ai.usage.cache_read.input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "gen_ai.usage.cache_read_input_tokens",
        ),
    ),
    (
        "cache_write_tokens",
        _count,
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "llm.token_count.prompt_details.cache_write",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
        ),
    ),
    (
        "reasoning_tokens",
        _count,
        (
            "gen_ai.usage.reasoning.output_tokens",
            "llm.token_count.completion_details.reasoning",
            "gen_ai.usage.reasoning_tokens",
            "llm.usage.reasoning_tokens",
        ),
    ),
    ("ttft_ms", _milliseconds, ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")),
    (
        "conversation_id",
        _text,
        (
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
            "gcp.vertex.agent.session_id",
        ),
    ),
    ("error_type", _code, ("error.type", "exception.type")),
)

# Operations

_GENAI_OPERATIONS = {"call_llm": "chat", "llm_request": "chat"}
_OPENINFERENCE_KINDS = {
    "llm": "chat",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "chain": "invoke_workflow",
    "unknown": "",
}
_TRACELOOP_REQUESTS = {"completion": "text_completion", "embedding": "embeddings", "unknown": ""}
_TRACELOOP_KINDS = {
    "workflow": "invoke_workflow",
    "task": "execute_task",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "unknown": "",
}
_OPERATION_KEYS = (
    ("gen_ai.operation.name", _GENAI_OPERATIONS),
    ("openinference.span.kind", _OPENINFERENCE_KINDS),
    ("llm.request.type", _TRACELOOP_REQUESTS),
    ("traceloop.span.kind", _TRACELOOP_KINDS),
)


def _operation(view: Mapping[str, Any]) -> str | None:
    """Name the operation; the set is open, so an unknown name stands as it is."""
    for key, names in _OPERATION_KEYS:
        name = _text(view.get(key))
        if name is not None:
            known = names.get(name.lower(), name if names is _GENAI_OPERATIONS else name.lower())
            if known:
                return known
    return None


_PROVIDERS = {
    "aws": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
_FRAMEWORKS = frozenset({"gcp.vertex.agent", "langchain"})
"""Frameworks that write their own name where the provider belongs: whose model it is they do not say."""


def _provider(name: str | None) -> str | None:
    lower = name.lower() if name else ""
    return None if not lower or lower in _FRAMEWORKS else _PROVIDERS.get(lower, lower)


_SEED_KEYS = ("gen_ai.request.seed", "gen_ai.openai.request.seed")
_PARAMETERS = "llm.invocation_parameters"


def _seed(view: Mapping[str, Any]) -> int | None:
    stated = _first(view, _SEED_KEYS, _whole)
    if stated is not None:
        return int(stated)
    parameters = json_value(view.get(_PARAMETERS))
    return _whole(parameters.get("seed")) if isinstance(parameters, Mapping) else None


# Cost

_COST_TOTALS = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total", "gen_ai.cost.total_cost")
_COST_HALVES = (
    ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),
    ("llm.cost.prompt", "llm.cost.completion"),
    ("gen_ai.cost.input_cost", "gen_ai.cost.output_cost"),
)


def _cost(view: Mapping[str, Any]) -> float | None:
    """Take the total that the source states, else its two halves; one half alone is no cost."""
    total = _first(view, _COST_TOTALS, _amount)
    if total is not None:
        return float(total)
    for keys in _COST_HALVES:
        read, written = (_amount(view.get(key)) for key in keys)
        if read is not None and written is not None and math.isfinite(read + written):
            return read + written
    return None


def _include_details(columns: dict[str, Any]) -> None:
    """Make the totals include their parts where the source counts those outside.

    In the conventions input includes cached tokens and output includes reasoning. Providers differ (Anthropic's own
    input leaves the cache out, Gemini's candidates leave thoughts out), and emitters do not say which they pass on.
    Only where the parts exceed the total it is certain that they were counted outside; nothing is guessed otherwise.
    """
    for total, parts in (
        ("input_tokens", ("cache_read_tokens", "cache_write_tokens")),
        ("output_tokens", ("reasoning_tokens",)),
    ):
        outside = sum(columns[part] or 0 for part in parts)
        if columns[total] is not None and outside > columns[total]:
            columns[total] = min(columns[total] + outside, INT64_MAX)


# Content: messages, whole or flattened (keys that end in a dot), else what else there is

_INPUT = ("gen_ai.input.messages", "llm.input_messages.", "gen_ai.prompt.", "llm.prompts.")
_INPUT_OTHERWISE = (
    "gen_ai.prompt",
    "input.value",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.args",
    "tool.parameters",
    "traceloop.entity.input",
)
_OUTPUT = ("gen_ai.output.messages", "llm.output_messages.", "gen_ai.completion.", "llm.choices.")
_OUTPUT_OTHERWISE = (
    "gen_ai.completion",
    "output.value",
    "gen_ai.tool.call.result",
    "gen_ai.output",
    "traceloop.entity.output",
)


# Which keys are read at all: most attributes of most spans are none of them

_FLATTENED = tuple(key for key in (*_INPUT, *_OUTPUT) if key.endswith("."))
_KEYS = frozenset(
    [key for _, _, keys in _TABLE for key in keys]
    + [key for key, _ in _OPERATION_KEYS]
    + [*_SEED_KEYS, _PARAMETERS, *_COST_TOTALS]
    + [key for pair in _COST_HALVES for key in pair]
    + [*_INPUT, *_INPUT_OTHERWISE, *_OUTPUT, *_OUTPUT_OTHERWISE]
)


def _spoken(key: object) -> bool:
    return key in _KEYS or (isinstance(key, str) and key.startswith(_FLATTENED))
