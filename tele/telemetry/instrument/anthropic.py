"""Anthropic: messages, of every client that its library has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tele.telemetry.calls.parsers import Parse, checked
from tele.telemetry.instrument.handle import Instrumentation, load
from tele.telemetry.instrument.resources import Caller, Resource, wrap_resources

__all__ = ["install"]

_RESOURCES = (
    Resource("anthropic.resources.messages.messages", "Messages", "chat", ("create", "parse", "stream")),
    Resource("anthropic.resources.beta.messages.messages", "Messages", "chat", ("create", "parse", "stream")),
    Resource("anthropic.resources.completions", "Completions", "text_completion", ("create",)),
)


def install(*, content: bool = True, parse: Parse | None = None) -> Instrumentation:
    """Wrap the methods of Anthropic's library that ask a model. `content=False` leaves out messages and answers.

    `parse` is as for `tele.llm_call`.
    """
    load("anthropic")
    return wrap_resources(Caller("anthropic", _provider, _secrets, _asked, content, checked(parse)), _RESOURCES)


def _provider(client: Any) -> str:
    name = type(client).__name__
    if "Bedrock" in name:
        return "aws.bedrock"
    return "gcp.vertex_ai" if "Vertex" in name else "anthropic"


def _secrets(client: Any) -> tuple[object, ...]:
    return tuple(getattr(client, name, None) for name in ("api_key", "auth_token", "aws_secret_key"))


def _asked(kwargs: Mapping[str, Any]) -> Any:
    asked, system = kwargs.get("messages", kwargs.get("prompt")), kwargs.get("system")
    if not isinstance(system, (str, list)):
        return asked
    return [{"role": "system", "content": system}, *(asked if isinstance(asked, list) else [asked])]
