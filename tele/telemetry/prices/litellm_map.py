"""LiteLLM's price map, read as the data that it is: importing litellm takes seconds and asks the network.

Its rows are undated. How they are meant, its own calculator says: a rate of a service tier has the tier's name at its
end and falls back to the standard rate, `_above_200k_tokens` holds for the whole prompt, and a batch rate that is not
stated is not known (LiteLLM takes half; a half that nobody states is a guess).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from tele.telemetry.prices.names import Asked
from tele.telemetry.prices.offpeak import OffPeak, off_peak
from tele.telemetry.prices.rates import ALL, Price, Rates, steps_of

__all__ = ["LiteLLMMap"]

_FILE = "model_prices_and_context_window_backup.json"
_NO_ROWS = frozenset({"sample_spec", "fallback_generalizations"})
_LOCAL = frozenset({"ollama", "lemonade"})
"""Runners on one's own machine, whose zeros are prices. Elsewhere a row of zeros says that no price is known."""
_INCLUSIVE = frozenset({"xai"})
"""Providers whose higher rate begins at the threshold, not above it."""
_FIREWORKS_CACHE_READ = 0.5
"""Part of the input rate that Fireworks takes for cached tokens where the row states none, as LiteLLM has it."""
_SUFFIX = {"flex": "_flex", "priority": "_priority", "fast": "_priority", "batch": "_batches"}
_FIELDS = (
    ("input", "input_cost_per_token"),
    ("cache_read", "cache_read_input_token_cost"),
    ("cache_write", "cache_creation_input_token_cost"),
    ("cache_write_1h", "cache_creation_input_token_cost_above_1hr"),
    ("output", "output_cost_per_token"),
    ("reasoning", "output_cost_per_reasoning_token"),
)
_ABOVE = re.compile(r"(?P<field>.+)_above_(?P<tokens>\d+)(?P<k>k?)_tokens(?P<suffix>_[a-z]+)?")


class LiteLLMMap:
    """The map of the litellm that is installed; empty where there is none."""

    name = "litellm"

    def __init__(self) -> None:
        """Read the file from the package's folder."""
        self.version = _version()
        self._rows = {name.lower(): (name, row) for name, row in _read().items()}

    def find(self, asked: Asked, when: datetime, tier: str | None) -> tuple[bool, Price | None]:
        """Whether the map knows the model, and its price at `when` where it states one for `tier`."""
        provider, name = asked.provider, asked.name
        keys = (*(f"{prefix}/{name}" for prefix in provider.litellm), name) if provider else (name,)
        for key in keys:
            label, row = self._rows.get(key, ("", None))
            if not isinstance(row, dict) or (provider and not _served(row, provider.litellm)):
                continue
            closed = off_peak(row.get("off_peak_pricing"), when)
            levels = _levels(row, tier, closed)
            if not levels:
                return True, None
            holds = closed.label if closed else ""
            steps = steps_of(
                levels, table=self.name, version=self.version, row=label, tier=tier, holds=holds, when=when
            )
            return True, Price(self.name, self.version, label, tier, holds, asked.rule, steps)
        return False, None

    def names(self) -> Iterator[str]:
        """Every model by its key."""
        return (name for name, _ in self._rows.values())


def _read() -> dict[str, Any]:
    from importlib.util import find_spec

    found = find_spec("litellm")
    if found is None or found.origin is None:
        return {}
    try:
        rows = orjson.loads(Path(found.origin).with_name(_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: row for name, row in rows.items() if name not in _NO_ROWS} if isinstance(rows, dict) else {}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("litellm")
    except PackageNotFoundError:
        return "(unknown version)"


def _served(row: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Whether the row is of this provider: `vertex_ai-anthropic_models` is of `vertex_ai`."""
    provider = row.get("litellm_provider")
    return not isinstance(provider, str) or any(provider == name or provider.startswith(f"{name}-") for name in names)


def _number(value: object) -> float | None:
    """Dollars per million tokens of a rate per token."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    # Rates per token are written with few digits: 3e-07 times a million is 0.3, not 0.3 and a trifle.
    return float(f"{value * 1e6:.12g}") if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _levels(row: Mapping[str, Any], tier: str | None, closed: OffPeak | None) -> dict[int, Rates]:
    suffix = "" if tier is None else _SUFFIX.get(tier, f"_{tier}")
    tiered = row.get("tiered_pricing")
    first = _number(row.get(f"input_cost_per_token{suffix}"))
    if (first is None and (suffix or not tiered)) or _zeros(row):
        return {}
    if isinstance(tiered, list):
        levels = {} if suffix else _table(row, tiered)
    elif suffix == "_batches":
        levels = _thresholds(row, suffix, _batch_rate)
        if levels[ALL].output is None and _number(row.get("output_cost_per_token")):
            return {}
    else:
        levels = _thresholds(row, suffix, _tier_rate)
    fee = row.get("input_cost_per_request")
    request = float(fee) if isinstance(fee, (int, float)) else 0.0
    return {above: _off(rates, closed)._replace(request=request) for above, rates in levels.items()}


def _zeros(row: Mapping[str, Any]) -> bool:
    return (
        row.get("litellm_provider") not in _LOCAL
        and not any(
            isinstance(value, (int, float)) and value > 0 for key, value in row.items() if key.endswith("_per_token")
        )
        and not row.get("tiered_pricing")
    )


def _tier_rate(row: Mapping[str, Any], key: str, suffix: str) -> float | None:
    """Rate of a service tier, else the standard one."""
    rate = _number(row.get(key + suffix))
    return _number(row.get(key)) if rate is None and suffix else rate


def _batch_rate(row: Mapping[str, Any], key: str, suffix: str) -> float | None:
    return _number(row.get(key + suffix))


def _thresholds(row: Mapping[str, Any], suffix: str, rate_of: Any) -> dict[int, Rates]:
    """Rates of the base and above each threshold; what a threshold does not state stays as it was below it."""
    fields = [(part, key) for part, key in _FIELDS if part != "cache_write_1h" or suffix != "_batches"]
    stated = {part: rate_of(row, key, suffix) for part, key in fields}
    stated["cache_write_1h"] = None if suffix == "_batches" else _number(row.get(_FIELDS[3][1]))
    if (
        suffix
        and _number(row.get(f"output_cost_per_reasoning_token{suffix}")) is None
        and f"output_cost_per_token{suffix}" in row
    ):
        stated["reasoning"] = None  # the tier's own output rate stands for reasoning too
    if row.get("litellm_provider") == "fireworks_ai" and not suffix and stated["cache_read"] is None:
        stated["cache_read"] = None if stated["input"] is None else stated["input"] * _FIREWORKS_CACHE_READ
    levels = {ALL: Rates(**stated)}
    for tokens, label in _limits(row, suffix):
        for part, key in fields:
            if part != "reasoning" and (rate := rate_of(row, f"{key}_above_{label}_tokens", suffix)) is not None:
                stated[part] = rate
        levels[tokens - (row.get("litellm_provider") in _INCLUSIVE)] = Rates(**stated)
    return levels


def _limits(row: Mapping[str, Any], suffix: str) -> list[tuple[int, str]]:
    """Thresholds, in tokens and as the row writes them, that hold for this tier."""
    found = set()
    for key, value in row.items():
        match = _ABOVE.fullmatch(key) if value is not None else None
        if match is None or match["field"] not in _LIMITED:
            continue
        own = match["suffix"] or ""
        if own == suffix or (not own and suffix != "_batches"):
            found.add((int(match["tokens"]) * (1000 if match["k"] else 1), match["tokens"] + match["k"]))
    return sorted(found)


_LIMITED = frozenset(key for part, key in _FIELDS if part != "reasoning")


def _table(row: Mapping[str, Any], tiered: list[Any]) -> dict[int, Rates]:
    """Rates of a `tiered_pricing` list: each holds for the whole prompt from its lower end on."""
    base = _thresholds(row, "", _tier_rate)[ALL]
    levels = {ALL: base}
    for tier in tiered:
        limits = tier.get("range") if isinstance(tier, dict) else None
        if not isinstance(limits, list) or len(limits) != 2:  # noqa: PLR2004  # from, to
            continue
        rates = Rates._make((*(_number(tier.get(key)) for _, key in _FIELDS), 0.0))
        if rates.input is None:
            rates = base
        levels[int(limits[0])] = rates if rates.output is not None else rates._replace(output=base.output)
    return levels


def _off(rates: Rates, closed: OffPeak | None) -> Rates:
    """Rates with what the off-peak hours put in place of them."""
    if closed is None:
        return rates
    stated = {part: rate for part, key in _FIELDS if (rate := _number(closed.rates.get(key))) is not None}
    return Rates(**rates._asdict() | stated)
