"""What a call is billed by: its tokens, and what its attributes say of service tier and client cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["HIT_END", "KEYS", "PATHS", "STANDARD", "TIERS", "Said", "Usage", "interpret", "said"]


class Usage(NamedTuple):
    """Tokens of one call; input includes cached ones, output includes reasoning, writes include those kept an hour."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0

    @property
    def sound(self) -> bool:
        """Whether no count is negative and no part is larger than its whole: other counts have no price."""
        read, written, cached, kept, reasoning, hour = self
        return min(self) >= 0 and cached + kept <= read and reasoning <= written and hour <= kept


class Said(NamedTuple):
    """What the attributes of a call say about its price."""

    tier: str | None = None
    """Service tier, such as `batch`, `flex` or `priority`; None is the standard one."""
    cache_hit: bool = False
    """Whether the client's own cache answered, so that nobody was asked and nothing is owed."""
    cache_write_1h: int = 0


STANDARD = Said()

TIERS = ("batch", "flex", "priority", "fast")
"""Tiers that the tables price; others may stand in a table of the user's own."""
_STANDARD_TIERS = frozenset({"", "default", "standard", "standard_only", "auto", "on_demand", "none", "null"})

# The tier that served stands before the tier that was asked for.
_TIER_PATHS: tuple[tuple[str, ...], ...] = (
    ("openai.response.service_tier",),
    ("gen_ai.openai.response.service_tier",),
    ("gen_ai.response.service_tier",),
    ("cost_breakdown", "service_tier"),  # LiteLLM's logging payload
    ("service_tier",),
    ("openai.request.service_tier",),
    ("gen_ai.openai.request.service_tier",),
    ("gen_ai.request.service_tier",),
    ("model_parameters", "service_tier"),
)
_BATCH_PATHS: tuple[tuple[str, ...], ...] = (("gen_ai.request.batch",), ("gen_ai.batch",))
_HIT_PATHS: tuple[tuple[str, ...], ...] = (
    ("cache_hit",),  # LiteLLM, and the plain keyword
    ("gen_ai.cache.hit",),
    ("gen_ai.cache_hit",),
    ("llm.cache_hit",),
)
_HOUR_PATHS: tuple[tuple[str, ...], ...] = (
    ("cache_write_1h_tokens",),
    ("gen_ai.usage.details.ephemeral_1h_input_tokens",),
    ("gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",),
    ("metadata", "usage_object", "prompt_tokens_details", "cache_creation_token_details", "ephemeral_1h_input_tokens"),
)
PATHS = (*_TIER_PATHS, *_BATCH_PATHS, *_HIT_PATHS, *_HOUR_PATHS)
"""Where in `attributes` each fact may stand; `interpret` takes the values found there, in this order."""
KEYS = frozenset(path[0] for path in PATHS)
"""Top-level keys: where none of them is there, nothing is said."""

_KINDS = (
    *("tier" for _ in _TIER_PATHS),
    *("batch" for _ in _BATCH_PATHS),
    *("hit" for _ in _HIT_PATHS),
    *("hour" for _ in _HOUR_PATHS),
)
HIT_END = len(PATHS) - len(_HOUR_PATHS)
"""Where in `PATHS` the facts end that do not count tokens."""


def said(attributes: Mapping[str, Any] | None) -> Said:
    """Read the facts from `attributes`; never raises for any value in them."""
    if not attributes or KEYS.isdisjoint(attributes):
        return STANDARD
    return interpret([_at(attributes, path) if path[0] in attributes else None for path in PATHS])


def interpret(values: Sequence[object]) -> Said:
    """Make facts of the values at `PATHS`, as Python values or as the text that SQL makes of them."""
    tier, hour, batch, hit = None, None, False, False
    for kind, value in zip(_KINDS, values, strict=True):
        if value is None:
            continue
        if kind == "tier":
            tier = _tier(value) if tier is None else tier
        elif kind == "hour":
            hour = _count(value) if hour is None else hour
        elif kind == "batch":
            batch = batch or _true(value)
        else:
            hit = hit or _true(value)
    return Said("batch" if batch else tier or None, hit, hour or 0)


def _at(value: Any, path: tuple[str, ...]) -> object:
    for step in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _tier(value: object) -> str | None:
    """Name of a tier, empty for the standard one; None where `value` says nothing."""
    if not isinstance(value, str):
        return None
    name = value.strip().lower()
    return "" if name in _STANDARD_TIERS else name


def _true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:  # noqa: PLR2004  # 64 bits
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
