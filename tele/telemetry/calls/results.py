"""What a model answered, read from whatever its library returned, by shape: none of them is imported.

Read are OpenAI's chat completions, completions, responses and embeddings (and everything that speaks its dialect, as
LiteLLM does), Anthropic's messages, Ollama's and Google's answers, each as object or as dict, and plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tele.telemetry.calls import usage
from tele.telemetry.calls.peek import count, either, get, items, text

__all__ = ["Answer", "read", "tool_call"]

_NANOS = 1e9


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call of a model said; None or empty where it did not."""

    model: str | None = None
    provider: str | None = None
    """In the words of the GenAI conventions: `openai`, `anthropic`, `gcp.gen_ai`, ..."""
    input_tokens: int | None = None
    """Cached ones included."""
    output_tokens: int | None = None
    """Reasoning included."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()
    """In the provider's own words, one for each choice."""
    tool_calls: tuple[dict[str, Any], ...] = ()
    """Each with `id`, `name` and `arguments`, where they were given."""
    text: str | None = None
    """Of the first choice."""
    response_id: str | None = None
    operation: str | None = None
    """`embeddings`, `text_completion` where the shape says so; a chat otherwise."""
    texts: tuple[str, ...] = ()
    """Of all choices, where there are several."""
    service_tier: str | None = None
    error_type: str | None = None
    """Where the answer is that it failed."""
    error_message: str | None = None
    server_seconds: Mapping[str, float] = field(default_factory=dict)
    """What the server measured, seconds, by the names of the GenAI conventions' server metrics."""


def read(result: object) -> Answer:
    """Read `result`. Total: never raises; what is no model's answer gives an empty one."""
    try:
        return _read(result)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # the user's own objects may raise anything
        return Answer()


def _read(result: object) -> Answer:
    if isinstance(result, str):
        return Answer(text=str.__str__(result))
    if result is None or isinstance(result, (int, float, bytes, list, tuple)):
        return Answer()
    if (choices := items(get(result, "choices"))) is not None:
        return _chat(result, choices)
    candidates = items(get(result, "candidates")) or []
    if _google_usage(result) is not None or any(items(get(one, "content", "parts")) is not None for one in candidates):
        return _google(result, candidates)
    if get(result, "type") == "message" or text(get(result, "stop_reason")):
        blocks = items(get(result, "content"))
        return _other(result) if blocks is None else _anthropic(result, blocks)
    if get(result, "object") == "response" and (output := items(get(result, "output"))) is not None:
        return _response(result, output)
    ended = isinstance(get(result, "done"), bool) or count(get(result, "prompt_eval_count")) is not None
    return _ollama(result) if ended and text(get(result, "model")) else _other(result)


def _facts(result: object) -> dict[str, Any]:
    """What most answers call by the same names."""
    return {
        "model": text(get(result, "model")),
        "provider": _provider(result),
        "response_id": text(get(result, "id")),
        "service_tier": text(get(result, "service_tier")),
        **_error(get(result, "error")),
    }


_MAKERS = {"openai": "openai", "anthropic": "anthropic", "ollama": "ollama", "mistralai": "mistral_ai", "groq": "groq"}


def _provider(result: object) -> str | None:
    """LiteLLM says whom it asked; else whose library made the object."""
    told = text(get(result, "_hidden_params", "custom_llm_provider"))
    if told is None:
        return _MAKERS.get(type(result).__module__.partition(".")[0])
    from tele.telemetry.normalise import normalise

    return text(normalise({"gen_ai.provider.name": told}).get("provider"))


def _error(error: object) -> dict[str, Any]:
    """What failed, where the answer is an error: a text, or an object with `code` or `type` and a `message`."""
    if (said := text(error)) is not None:
        return {"error_type": "error", "error_message": said}
    message, code = text(get(error, "message")), get(error, "code")
    if message is None:
        return {}
    kind = either(text(code), text(get(error, "type")), None if count(code) is None else str(code), "error")
    return {"error_type": kind, "error_message": message}


# ── OpenAI and its dialect ───────────────────────────────────────────────────────────────────────────────────────────


def _chat(result: object, choices: list[Any]) -> Answer:
    said = [_content(get(choice, "message")) or text(get(choice, "text")) for choice in choices]
    texts = tuple(one for one in said if one is not None)
    reasons = tuple(reason for choice in choices if (reason := text(get(choice, "finish_reason"))) is not None)
    calls = [call for choice in choices for call in items(get(choice, "message", "tool_calls")) or []]
    older = [call for choice in choices if (call := get(choice, "message", "function_call")) is not None]
    bare = bool(choices) and get(choices[0], "message") is None and isinstance(get(choices[0], "text"), str)
    return Answer(
        **_facts(result),
        **usage.tokens(get(result, "usage")),
        finish_reasons=reasons,
        tool_calls=tuple(
            [tool_call(get(call, "id"), get(call, "function")) for call in calls]
            + [tool_call(None, call) for call in older if text(get(call, "name"))]
        ),
        text=said[0] if said else None,
        texts=texts if len(texts) > 1 else (),
        operation="text_completion" if bare else None,
    )


def _content(message: object) -> str | None:
    """Text of a message: a string, the text parts of a list, or the words of a refusal."""
    content = get(message, "content")
    if isinstance(content, str):
        return str.__str__(content) or text(get(message, "refusal"))
    parts = [part for item in items(content) or [] if (part := text(get(item, "text"))) is not None]
    return "".join(parts) if parts else text(get(message, "refusal"))


def tool_call(identity: object, function: object) -> dict[str, Any]:
    """One tool call: its id, and the name and arguments that `function` has; arguments in JSON text are parsed."""
    from tele.telemetry.content import json_value

    given = either(get(function, "arguments"), get(function, "args"), get(function, "input"))
    call = {"id": text(identity), "name": text(get(function, "name")), "arguments": json_value(given)}
    return {key: value for key, value in call.items() if value is not None}


def _response(result: object, output: list[Any]) -> Answer:
    parts = [part for item in output if get(item, "type") == "message" for part in items(get(item, "content")) or []]
    said = [one for part in parts if (one := text(either(get(part, "text"), get(part, "refusal")))) is not None]
    calls = [item for item in output if get(item, "type") in ("function_call", "custom_tool_call", "mcp_call")]
    reason = either(text(get(result, "incomplete_details", "reason")), text(get(result, "status")))
    return Answer(
        **_facts(result),
        **usage.tokens(get(result, "usage")),
        finish_reasons=(reason,) if reason else (),
        tool_calls=tuple(tool_call(either(get(call, "call_id"), get(call, "id")), call) for call in calls),
        text="".join(said) if said else None,
    )


# ── the others ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _anthropic(result: object, blocks: list[Any]) -> Answer:
    said = [one for block in blocks if get(block, "type") == "text" and (one := text(get(block, "text"))) is not None]
    calls = [block for block in blocks if get(block, "type") in ("tool_use", "server_tool_use", "mcp_tool_use")]
    facts = _facts(result)
    facts["provider"] = facts["provider"] or "anthropic"
    facts["service_tier"] = facts["service_tier"] or text(get(result, "usage", "service_tier"))
    reason = text(get(result, "stop_reason"))
    return Answer(
        **facts,
        **usage.tokens(get(result, "usage")),
        finish_reasons=(reason,) if reason else (),
        tool_calls=tuple(tool_call(get(call, "id"), call) for call in calls),
        text="".join(said) if said else None,
    )


def _google_usage(result: object) -> object:
    found = either(get(result, "usage_metadata"), get(result, "usageMetadata"))
    known = either(*(get(found, key) for key in ("prompt_token_count", "promptTokenCount")))
    return found if count(known) is not None else None


def _google(result: object, candidates: list[Any]) -> Answer:
    parts = [items(get(candidate, "content", "parts")) or [] for candidate in candidates]
    said = [[one for part in mine if (one := _spoken(part)) is not None] for mine in parts]
    texts = tuple("".join(one) for one in said if one)
    asked = [either(get(part, "function_call"), get(part, "functionCall")) for mine in parts for part in mine]
    given = (either(get(candidate, "finish_reason"), get(candidate, "finishReason")) for candidate in candidates)
    return Answer(
        model=text(either(get(result, "model_version"), get(result, "modelVersion"))),
        provider="gcp.gen_ai",
        **usage.google(_google_usage(result)),
        finish_reasons=tuple(reason for one in given if (reason := text(one)) is not None),
        tool_calls=tuple(tool_call(get(call, "id"), call) for call in asked if call is not None),
        text=texts[0] if texts else None,
        texts=texts if len(texts) > 1 else (),
        response_id=text(either(get(result, "response_id"), get(result, "responseId"))),
        **_error(get(result, "error")),
    )


def _spoken(part: object) -> str | None:
    return None if get(part, "thought") is True else text(get(part, "text"))


def _ollama(result: object) -> Answer:
    message = get(result, "message")
    calls = items(get(message, "tool_calls")) or []
    reason = text(get(result, "done_reason"))
    vectors = items(either(get(result, "embeddings"), get(result, "embedding")))
    return Answer(
        model=text(get(result, "model")),
        provider="ollama",
        **usage.ollama(result),
        finish_reasons=(reason,) if reason else (),
        tool_calls=tuple(tool_call(get(call, "id"), get(call, "function")) for call in calls),
        text=either(text(get(message, "content")), text(get(result, "response"))),
        operation="embeddings" if vectors else None,
        server_seconds=_ollama_seconds(result),
        **_error(get(result, "error")),
    )


def _ollama_seconds(result: object) -> dict[str, float]:
    """Ollama's durations are nanoseconds; the first token comes when the model is loaded and the prompt evaluated."""
    total, load, prompt, rest = (
        count(get(result, f"{name}duration")) for name in ("total_", "load_", "prompt_eval_", "eval_")
    )
    tokens = count(get(result, "eval_count"))
    found = {}
    if total is not None:
        found["gen_ai.server.request.duration"] = total / _NANOS
    if prompt is not None:
        found["gen_ai.server.time_to_first_token"] = ((load or 0) + prompt) / _NANOS
    if rest is not None and tokens:
        found["gen_ai.server.time_per_output_token"] = rest / tokens / _NANOS
    return found


def _other(result: object) -> Answer:
    """Embeddings, errors, and what at least names its model and its usage."""
    data = items(get(result, "data"))
    vectors = either(data and get(data[0], "embedding"), items(get(result, "embeddings")))
    counted = usage.tokens(either(get(result, "usage"), get(result, "usage_metadata")))
    facts = _facts(result)
    if vectors is None and not isinstance(result, Mapping) and not any(counted.values()):
        return Answer()  # some object of the user's: a `model` or an `error` of its own is not the model's
    return Answer(**facts, **counted, operation="embeddings" if vectors is not None else None)
