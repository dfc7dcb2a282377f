"""OpenAI: chat completions, responses, completions and embeddings, of every client that speaks its API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tele.telemetry.calls.parsers import Parse, checked
from tele.telemetry.instrument.handle import Instrumentation, load
from tele.telemetry.instrument.resources import Caller, Resource, wrap_resources

__all__ = ["install"]

_RESOURCES = (
    Resource("openai.resources.chat.completions.completions", "Completions", "chat", ("create", "parse")),
    Resource("openai.resources.responses.responses", "Responses", "chat", ("create", "parse")),
    Resource("openai.resources.beta.responses.responses", "Responses", "chat", ("create", "parse")),
    Resource("openai.resources.completions", "Completions", "text_completion", ("create",)),
    Resource("openai.resources.embeddings", "Embeddings", "embeddings", ("create",)),
)
"""`stream` helpers ask by `create`."""

_HOSTS = {
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}
"""Providers that speak OpenAI's API, in the words of the GenAI conventions."""


def install(*, content: bool = True, parse: Parse | None = None) -> Instrumentation:
    """Wrap the methods of OpenAI's library that ask a model. `content=False` leaves out messages and answers.

    `parse` is as for `tele.llm_call`.
    """
    load("openai")
    return wrap_resources(Caller("openai", _provider, _secrets, _asked, content, checked(parse)), _RESOURCES)


def _provider(client: Any) -> str:
    if "Azure" in type(client).__name__:
        return "azure.ai.openai"
    return _HOSTS.get(str(getattr(getattr(client, "base_url", None), "host", "")), "openai")


def _secrets(client: Any) -> tuple[object, ...]:
    return tuple(getattr(client, name, None) for name in ("api_key", "admin_api_key", "_azure_ad_token"))


def _asked(kwargs: Mapping[str, Any]) -> Any:
    asked = next((kwargs[name] for name in ("messages", "input", "prompt") if name in kwargs), None)
    system = kwargs.get("instructions")
    if not isinstance(system, str):
        return asked
    rest = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
    return [{"role": "system", "content": system}, *rest]
