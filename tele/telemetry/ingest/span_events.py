"""What span events say of their span: some emitters put messages, tokens and errors there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tele.telemetry.content import json_value

__all__ = ["said_by_events"]

_ASKED = frozenset(f"gen_ai.{role}.message" for role in ("system", "user", "assistant", "tool"))
_ANSWERED = "gen_ai.choice"
_PLAIN = frozenset({"gen_ai.content.prompt", "gen_ai.content.completion", "gen_ai.client.inference.operation.details"})
"""Events whose keys are those of a span."""


def said_by_events(events: Iterable[tuple[str, Mapping[str, Any]]], *, failed: bool) -> dict[str, Any]:
    """Give attributes for the normaliser alone, to stand behind the span's own.

    An event's keys become `EVENT.KEY`. The second generation of the GenAI conventions has one event for each message:
    these become message lists again. An exception keeps its own keys, and only of a span that failed (`failed`):
    others have handled theirs.
    """
    said: dict[str, Any] = {}
    asked: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []
    for name, attributes in events:
        if name in _ASKED:
            asked.append(_message(name, attributes))
        elif name == _ANSWERED:
            answered.append(_message(name, attributes))
        elif name in _PLAIN:
            said.update(attributes)
        elif name != "exception":
            said.update({f"{name}.{key}": value for key, value in attributes.items()})
        elif failed:
            said.update(attributes)
    if asked:
        said["gen_ai.input.messages"] = asked
    if answered:
        said["gen_ai.output.messages"] = answered
    return said


def _message(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give the message that an event is: its role is in its name, its fields may be JSON text."""
    fields = {key: json_value(value) for key, value in attributes.items() if not key.startswith("gen_ai.")}
    return fields if name == _ANSWERED else {"role": name.split(".")[1], **fields}
