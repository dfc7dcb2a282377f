"""One table from everybody's attribute keys to our columns.

Read are the four generations of OpenTelemetry's GenAI conventions, OpenInference, Traceloop (OpenLLMetry), any-agent,
LiteLLM's OpenTelemetry callback, Vercel's AI SDK, and, where `dialects` knows the emitter, LiteLLM's logging payload
and Monocle. In each row of the table (`keys`) the first key that holds a usable value wins. Raw attributes are only
read: what has no column (tools, retrieval settings, agents, evaluations) is asked for by its own key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tele.telemetry import keys
from tele.telemetry.content import content, json_value
from tele.telemetry.dialects import translated
from tele.telemetry.usable import INT64_MAX, amount, count, text, whole
from tele.telemetry.usage import Usage, settled

__all__ = ["normalise", "provider_named"]


def normalise(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns that `attributes` speak of; absent keys are NULL.

    Total: no value makes it raise, and one that does not fit its column (NaN tokens, a nested model name) is passed
    over. Units: tokens are counts, `cost_usd` is US dollars, `ttft_ms` milliseconds. `input` and `output` are plain
    JSON values. The attributes are left as they are, and running it over attributes and columns together changes
    nothing.
    """
    spoken, flattened = keys.KEYS, keys.PREFIXES
    view = {
        key: value
        for key, value in translated(attributes).items()
        if key in spoken or (isinstance(key, str) and key.startswith(flattened))
    }
    if not view:
        return {}
    columns: dict[str, Any] = {"operation": _operation(view), **_from_table(view)}
    columns["provider"] = provider_named(columns.get("provider"))
    columns["seed"] = _seed(view)
    _count_tokens(view, columns)
    columns["cost_usd"] = _cost(view, columns)
    columns["price_ref"] = None if columns["cost_usd"] is None else "source"
    columns["input"] = _instructed(view, content(view, keys.INPUT, keys.INPUT_OTHERWISE))
    columns["output"] = content(view, keys.OUTPUT, keys.OUTPUT_OTHERWISE)
    return {column: value for column, value in columns.items() if value is not None}


_BY_KEY: dict[str, list[tuple[str, int, Callable[[object], Any]]]] = {}
for _rank, (_column, _take, _names) in enumerate(keys.TABLE):
    for _at, _name in enumerate(_names):
        _BY_KEY.setdefault(_name, []).append((_column, 100 * _rank + _at, _take))
"""The table turned round, for a span has few of the keys: column, rank in its row, what is usable."""


def _from_table(view: Mapping[str, Any]) -> dict[str, Any]:
    """Give each column the usable value of the best key that speaks of it."""
    found: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    for key, value in view.items():
        for column, rank, take in _BY_KEY.get(key, ()):
            if ranks.get(column, rank) >= rank and (usable := take(value)) is not None:
                found[column] = usable
                ranks[column] = rank
    return found


def _first(view: Mapping[str, Any], names: Iterable[str], take: Callable[[object], Any]) -> Any:
    for key in names:
        if key in view and (value := take(view[key])) is not None:
            return value
    return None


# Operations and providers


def _operation(view: Mapping[str, Any]) -> str | None:
    """Name the operation; the set is open, so an unknown name stands as it is."""
    for key, names, open_ in keys.OPERATIONS:
        name = text(view.get(key))
        if name is None:
            continue
        otherwise = name if key == "gen_ai.operation.name" else name.lower()
        known = names.get(name.lower(), otherwise if open_ else None)
        if known == "invoke_workflow" and key == "openinference.span.kind" and _first(view, keys.AGENTS, text):
            return "invoke_agent"
        if known:
            return known
    return None


_FRAMEWORKS = frozenset({"gcp.vertex.agent", "langchain", "litellm"})
"""Frameworks that write their own name where the provider belongs: whose model it is they do not say."""


def provider_named(name: str | None) -> str | None:
    """Give a provider's name in the GenAI conventions; an unknown one stands in lower case, a framework's is none."""
    lower = name.lower() if name else ""
    return None if not lower or lower in _FRAMEWORKS else keys.PROVIDERS.get(lower, lower)


def _seed(view: Mapping[str, Any]) -> int | None:
    stated = _first(view, keys.SEEDS, whole)
    if stated is not None:
        return int(stated)
    parameters = json_value(view.get(keys.PARAMETERS))
    return whole(parameters.get("seed")) if isinstance(parameters, Mapping) else None


# Tokens and cost

_BY_MODALITY = frozenset(key for names in keys.MODALITIES.values() for key in names)
_COSTS = frozenset([*keys.COST_TOTALS, *keys.LITELLM_COSTS, *(key for pair in keys.COST_HALVES for key in pair)])


def _count_tokens(view: Mapping[str, Any], columns: dict[str, Any]) -> None:
    """Make the totals include their parts where the source counts those outside.

    In the conventions input includes cached tokens and output includes reasoning. Providers differ (Anthropic's own
    input leaves the cache out, Gemini's candidates leave thoughts out), and emitters do not say which they pass on.
    The total that they state decides it; without one it is certain only where the parts exceed what should hold them,
    and nothing is guessed otherwise.
    """
    for column, names in () if _BY_MODALITY.isdisjoint(view) else keys.MODALITIES.items():
        parts = [found for key in names if key in view and (found := count(view[key])) is not None]
        if parts:
            columns[column] = min(max(columns.get(column) or 0, sum(parts)), INT64_MAX)
    total = _first(view, keys.TOTALS, count)
    read, written = columns.get("input_tokens"), columns.get("output_tokens")
    if total is not None and (read is None) is not (written is None):
        rest = total - (read or written or 0)
        columns["input_tokens" if read is None else "output_tokens"] = rest if rest >= 0 else None
    if any(name in columns for name in _COUNTED):
        columns |= settled(Usage(**{name.removesuffix("_tokens"): columns.get(name) for name in _COUNTED}, total=total))


_COUNTED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def _cost(view: Mapping[str, Any], columns: Mapping[str, Any]) -> float | None:
    """Take the total that the source states, else its two halves; one half alone is no cost."""
    if _COSTS.isdisjoint(view):
        return None
    stated = _first(view, keys.COST_TOTALS, amount)
    if stated is None:
        # LiteLLM writes 0 where it knows no price
        by_litellm = _first(view, keys.LITELLM_COSTS, amount)
        if by_litellm == 0 and (columns.get("input_tokens") or columns.get("output_tokens")):
            return None
        stated = by_litellm
    if stated is not None:
        return float(stated)
    for names in keys.COST_HALVES:
        read, written = (amount(view.get(key)) for key in names)
        if read is not None and written is not None and math.isfinite(read + written):
            return read + written
    return None


# Content


def _instructed(view: Mapping[str, Any], messages: Any) -> Any:
    """Put instructions that stand beside the messages before them, as the message that they are."""
    said = json_value(view.get(keys.INSTRUCTIONS))
    if said is None or not (messages is None or isinstance(messages, list)):
        return messages
    parts = said if isinstance(said, list) else [{"type": "text", "content": said}]
    return [{"role": "system", "parts": parts}, *(messages or [])]
