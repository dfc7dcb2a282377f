"""Dollars from tokens, by the dated and tiered tables of genai-prices.

LiteLLM's map is read as data where that one has no row.

An unknown model has no price: the cost stays NULL and is counted as unpriced, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import orjson

__all__ = ["Price", "Usage", "add_cost", "load", "price"]


class Usage(NamedTuple):
    """Tokens of one call; input includes cached ones, output includes reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


class Price(NamedTuple):
    """A row of a price table."""

    ref: str
    """Which table, provider, model and version or date."""
    usd: Callable[[Usage], float]


_known: dict[tuple[str | None, str, int], Price | None] = {}


def load() -> None:
    """Read the price table now: done when an experiment begins, so that no call of a model waits for it."""
    from genai_prices import data_snapshot

    data_snapshot.get_snapshot()


def add_cost(record: dict[str, Any]) -> None:
    """Fill `cost_usd` and `price_ref` of a record that has tokens and a model, and states no cost itself."""
    model = record.get("model") or record.get("request_model")
    if record.get("cost_usd") is not None or not isinstance(model, str):
        return
    row = price(record.get("provider"), model, record.get("start_ns") or 0)
    if row is None:
        return
    usage = Usage(*(record.get(f"{name}_tokens") or 0 for name in Usage._fields))
    record["cost_usd"] = row.usd(usage)
    record["price_ref"] = row.ref


def price(provider: str | None, model: str, ns: int) -> Price | None:
    """Price of `model` at time `ns` (nanoseconds since the epoch), or None; remembered by provider, model and day."""
    key = (provider, model, ns // 86_400_000_000_000)
    if key not in _known:
        if len(_known) > 10_000:  # noqa: PLR2004  # a sweep over years of foreign traces
            _known.clear()
        _known[key] = _from_genai_prices(provider, model, ns) or _from_litellm(provider, model)
    return _known[key]


def _from_genai_prices(provider: str | None, model: str, ns: int) -> Price | None:
    import genai_prices
    from genai_prices import data_snapshot

    when = datetime.fromtimestamp(ns / 1e9, UTC) if ns else datetime.now(UTC)
    for asked in dict.fromkeys((provider, None)):
        try:
            found, info = data_snapshot.get_snapshot().find_provider_model(model, None, asked, None)
        except LookupError:
            continue
        prices = info.get_prices(when)
        ref = f"genai-prices {genai_prices.__version__} {found.id}/{info.id} {when.date()}"
        return Price(ref, _flat(prices) or _by_library(prices))
    return None


def _flat(prices: Any) -> Callable[[Usage], float] | None:
    """A plain sum where the row has no tiers; None where it has (or prices a part that has no price of its own)."""
    rates = [getattr(prices, f"{part}_mtok", None) for part in ("input", "output", "cache_read", "cache_write")]
    if any(rate is not None and not isinstance(rate, Decimal) for rate in rates) or rates[0] is None:
        return None
    # A part without a price of its own costs what the whole does.
    read, write, rest, out = rates[2] or rates[0], rates[3] or rates[0], rates[0], rates[1] or Decimal(0)

    def usd(usage: Usage) -> float:
        fresh = usage.input - usage.cache_read - usage.cache_write
        total = rest * fresh + read * usage.cache_read + write * usage.cache_write + out * usage.output
        return float(total / 1_000_000)

    return usd


def _by_library(prices: Any) -> Callable[[Usage], float]:
    import genai_prices

    def usd(usage: Usage) -> float:
        parts = {f"{name}_tokens": count for name, count in usage._asdict().items() if count}
        return float(prices.calc_price(genai_prices.Usage(**parts))["total_price"])

    return usd


def _litellm_map() -> dict[str, Any]:
    """LiteLLM's price map as it lies in its package, which is not imported: that takes seconds and the network."""
    from importlib.util import find_spec

    found = find_spec("litellm")
    if found is None or found.origin is None:
        return {}
    path = Path(found.origin).with_name("model_prices_and_context_window_backup.json")
    try:
        rows: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return rows


_litellm: list[dict[str, Any]] = []


def _from_litellm(provider: str | None, model: str) -> Price | None:
    if not _litellm:
        _litellm.append(_litellm_map())
    rows = _litellm[0]
    for name in (f"{provider}/{model}", model) if provider else (model,):
        row = rows.get(name)
        if isinstance(row, dict) and isinstance(row.get("input_cost_per_token"), (int, float)):
            from importlib.metadata import version

            return Price(f"litellm {version('litellm')} {name}", _litellm_usd(row))
    return None


def _litellm_usd(row: dict[str, Any]) -> Callable[[Usage], float]:
    rest = float(row["input_cost_per_token"])
    out = float(row.get("output_cost_per_token") or 0.0)
    read = float(row.get("cache_read_input_token_cost") or rest)
    write = float(row.get("cache_creation_input_token_cost") or rest)

    def usd(usage: Usage) -> float:
        fresh = usage.input - usage.cache_read - usage.cache_write
        return rest * fresh + read * usage.cache_read + write * usage.cache_write + out * usage.output

    return usd
