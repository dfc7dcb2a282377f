"""Token counts in one convention: input includes what was cached, output includes reasoning.

Providers differ. OpenAI's `prompt_tokens` (and LiteLLM's, for every provider) and the Responses API's `input_tokens`
include the cache; Anthropic's `input_tokens` leave it out. Gemini's candidates leave thoughts out, and so do the
completion tokens of some that speak OpenAI's dialect, which their own total gives away.
"""

from __future__ import annotations

from typing import TypedDict

from tele.telemetry.calls.peek import count, either, get

__all__ = ["Tokens", "google", "ollama", "tokens"]


class Tokens(TypedDict):
    """The columns of a call's usage; None where it was not said."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None


def tokens(usage: object) -> Tokens:
    """Read a `usage` object in OpenAI's, Anthropic's or LiteLLM's words."""
    prompt, stated = (count(get(usage, name)) for name in ("prompt_tokens", "input_tokens"))
    details = either(get(usage, "prompt_tokens_details"), get(usage, "input_tokens_details"))
    read = either(
        count(get(details, "cached_tokens")),
        count(get(usage, "cache_read_input_tokens")),
        count(get(usage, "prompt_cache_hit_tokens")),
    )
    write = either(
        count(get(details, "cache_write_tokens")),
        count(get(details, "cache_creation_tokens")),
        count(get(usage, "cache_creation_input_tokens")),
    )
    taken = either(prompt, stated)
    if prompt is None and details is None and stated is not None:  # Anthropic's own words: the cache comes on top
        taken = stated + (read or 0) + (write or 0)
    given = either(count(get(usage, "completion_tokens")), count(get(usage, "output_tokens")))
    thought = _reasoning(usage)
    total = count(get(usage, "total_tokens"))
    if thought and given is not None and taken is not None and total == taken + given + thought:
        given += thought  # the total says that reasoning was counted beside the answer
    return {
        "input_tokens": taken,
        "output_tokens": given,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "reasoning_tokens": thought,
    }


def _reasoning(usage: object) -> int | None:
    details = either(get(usage, "completion_tokens_details"), get(usage, "output_tokens_details"))
    reasoning, thinking = (count(get(details, name)) for name in ("reasoning_tokens", "thinking_tokens"))
    return thinking if reasoning is None else reasoning


def google(usage: object) -> Tokens:
    """Read Google's `usage_metadata`, from its library (`prompt_token_count`) or from REST (`promptTokenCount`)."""

    def stated(snake: str, camel: str) -> int | None:
        counted = count(get(usage, snake))
        return count(get(usage, camel)) if counted is None else counted

    prompt = stated("prompt_token_count", "promptTokenCount")
    tools = stated("tool_use_prompt_token_count", "toolUsePromptTokenCount")
    answer = either(
        stated("candidates_token_count", "candidatesTokenCount"), stated("response_token_count", "responseTokenCount")
    )
    thought = stated("thoughts_token_count", "thoughtsTokenCount")
    return {
        "input_tokens": _sum(prompt, tools),
        "output_tokens": _sum(answer, thought),
        "cache_read_tokens": stated("cached_content_token_count", "cachedContentTokenCount"),
        "cache_write_tokens": None,
        "reasoning_tokens": thought,
    }


def ollama(result: object) -> Tokens:
    """Read the counts that Ollama puts beside its answer."""
    return {
        "input_tokens": count(get(result, "prompt_eval_count")),
        "output_tokens": count(get(result, "eval_count")),
        "cache_read_tokens": count(get(result, "prompt_eval_cached_count")),
        "cache_write_tokens": None,
        "reasoning_tokens": None,
    }


def _sum(*counts: int | None) -> int | None:
    known = [one for one in counts if one is not None]
    return sum(known) if known else None
