"""One model call that two instrumentations see is recorded once.

LiteLLM's own OpenTelemetry callback, Anthropic's own spans or an auto-instrumentation of OpenAI tell of the same call
as an adapter here, and a bridge brings their spans into the same log. An adapter says which calls it has told; what
brings spans from elsewhere asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tele.telemetry.instrument.spans import Bounded

__all__ = ["tell", "told"]

_KEYS = ("litellm.call_id", "litellm_call_id", "gen_ai.response.id")
_calls = Bounded(20_000)


def tell(*identities: object) -> None:
    """Remember that the call by these ids (a response's, LiteLLM's of the call) stands in the log."""
    for identity in identities:
        if isinstance(identity, str) and identity:
            _calls.put(identity, value=True)


def told(attributes: Mapping[str, Any]) -> bool:
    """Whether an adapter has recorded the model call that the attributes of a foreign span speak of."""
    return len(_calls) > 0 and any(_calls.get(attributes.get(key)) for key in _KEYS)
