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
    if record.get("cost_usd") is not None:
        record.setdefault("price_ref", "source")
        return
    usage = Usage(*(record.get(f"{name}_tokens") or 0 for name in Usage._fields))
    if not isinstance(model, str) or min(usage) < 0 or usage.cache_read + usage.cache_write > usage.input:
        return  # counts that contradict each other have no price
    row = price(record.get("provider"), model, record.get("start_ns") or 0)
    if row is None:
        return
    record["cost_usd"] = row.usd(usage)
    record["price_ref"] = row.ref


def price(provider: str | None, model: str, ns: int) -> Price | None:
    """Price of `model` at time `ns` (nanoseconds since the epoch), or None; remembered by provider, model and hour."""
    key = (provider, model, ns // 3_600_000_000_000)  # some prices depend on the hour
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


_PARTS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def _flat(prices: Any) -> Callable[[Usage], float] | None:
    """A plain sum where the row prices tokens of these four sorts without tiers; None where it does more."""
    rates = {name: rate for name, rate in vars(prices).items() if rate is not None and not name.startswith("_")}
    per_token = {name: rate for name, rate in rates.items() if name.endswith("_mtok")}
    per_request = any(name.startswith("requests") for name in rates)
    tiered = any(not isinstance(rate, Decimal) for rate in per_token.values())
    if per_request or tiered or "input_mtok" not in per_token or "reasoning_mtok" in per_token:
        return None
    rest = per_token["input_mtok"]
    # A part without a price of its own costs what the whole does.
    out, read, write = (per_token.get(n, d) for n, d in zip(_PARTS[1:], (Decimal(0), rest, rest), strict=True))

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
        rows = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return rows if isinstance(rows, dict) else {}


_litellm: list[dict[str, Any]] = []


def _from_litellm(provider: str | None, model: str) -> Price | None:
    if not _litellm:
        _litellm.append(_litellm_map())
    rows = _litellm[0]
    for name in (f"{provider}/{model}", model) if provider else (model,):
        row = rows.get(name)
        if isinstance(row, dict) and isinstance(row.get("input_cost_per_token"), (int, float)):
            return Price(f"litellm {_litellm_version()} {name}", _litellm_usd(row))
    return None


def _litellm_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("litellm")
    except PackageNotFoundError:
        return "(unknown version)"


def _litellm_usd(row: dict[str, Any]) -> Callable[[Usage], float]:
    rest = float(row["input_cost_per_token"])
    out = float(row.get("output_cost_per_token") or 0.0)
    read, write = (
        rest if (rate := row.get(name)) is None else float(rate)
        for name in ("cache_read_input_token_cost", "cache_creation_input_token_cost")
    )

    def usd(usage: Usage) -> float:
        fresh = usage.input - usage.cache_read - usage.cache_write
        return rest * fresh + read * usage.cache_read + write * usage.cache_write + out * usage.output

    return usd
