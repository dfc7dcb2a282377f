"""genai-prices: dated rows with their service tiers, kept by Pydantic for 50 providers; MIT."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tele.telemetry.prices.names import Asked
from tele.telemetry.prices.rates import ALL, Price, Rates, steps_of

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider

__all__ = ["Published"]

_KEYS = (
    ("input", "input_mtok"),
    ("cache_read", "cache_read_mtok"),
    ("cache_write", "cache_write_mtok"),
    ("cache_write_1h", "cache_write_1h_mtok"),
    ("output", "output_mtok"),
    ("reasoning", "output_reasoning_mtok"),
)


class Published:
    """The table that genai-prices carries."""

    name = "genai-prices"

    def __init__(self) -> None:
        """Load it: 0.1 to 0.3 s."""
        import genai_prices
        from genai_prices import data_snapshot

        self.version = genai_prices.__version__
        self._snapshot: DataSnapshot = data_snapshot.get_snapshot()

    def find(self, asked: Asked, when: datetime, tier: str | None) -> tuple[bool, Price | None]:
        """Whether the table knows the model, and its price at `when` where it states one for `tier`."""
        found = self._model(asked)
        if found is None:
            return False, None
        provider, owner, model = found
        context = _context(tier)
        # The tiers of another provider's model are that provider's, as its publisher holds as well.
        if tier is not None and (owner is not provider or not _priced(model, context, when)):
            return True, None
        levels = _levels(model.get_prices(when, context if tier else None))
        if not levels:
            return True, None
        row, holds = f"{owner.id}/{model.id}", _holds(model, when)
        steps = steps_of(levels, table=self.name, version=self.version, row=row, tier=tier, holds=holds, when=when)
        return True, Price(self.name, self.version, row, tier, holds, asked.rule, steps)

    def names(self) -> Iterator[str]:
        """Every model as `provider/model`."""
        for provider in self._snapshot.providers:
            for model in provider.models:
                yield f"{provider.id}/{model.id}"

    def _model(self, asked: Asked) -> tuple[Provider, Provider, ModelInfo] | None:
        """Find provider, the provider whose row it is, and model, by the publisher's own matching."""
        snapshot = self._snapshot
        named = asked.provider.name if asked.provider else None
        try:
            provider, model = snapshot.find_provider_model(asked.name, None, named, None)
        except LookupError:  # some rows are not matched by the name that they bear themselves
            return next(
                (
                    (provider, provider, model)
                    for provider in snapshot.providers
                    if provider.id == named
                    for model in provider.models
                    if model.id.lower() == asked.name
                ),
                None,
            )
        for owner in (provider, *snapshot.providers):
            if any(model is one for one in owner.models):
                return provider, owner, model
        return None


def _context(tier: str | None) -> dict[str, str]:
    if tier == "batch":
        return {"processing": "batch"}
    return {"service_tier": tier or "default"} | ({"speed": "fast"} if tier == "fast" else {})


def _priced(model: ModelInfo, context: dict[str, str], when: datetime) -> bool:
    """Whether some variant of the row is for this tier, and in force."""
    return any(
        (variant.constraint is None or variant.constraint.active(when))
        and all(context.get(key) == value for key, value in variant.when.items())
        for variant in model.price_variants or ()
    )


def _holds(model: ModelInfo, when: datetime) -> str:
    """Name what makes the row that is in force differ from the model's other rows; the last one in force counts."""
    for row in reversed(model.prices) if isinstance(model.prices, list) else ():
        if row.constraint is None:
            return ""
        if row.constraint.active(when):
            started = getattr(row.constraint, "start_date", None)
            return f"since {started}" if started else f"from {row.constraint.start_time:%H:%M}"  # type: ignore[union-attr]  # hours
    return ""


def _levels(prices: ModelPrice) -> dict[int, Rates]:
    """Rates by the tokens above which they hold; empty where the row states no rate for tokens at all."""
    stated = {part: value for part, key in _KEYS if (value := vars(prices).get(key)) is not None}
    if not stated:
        return {}
    starts = {ALL} | {tier.start for value in stated.values() if not isinstance(value, Decimal) for tier in value.tiers}
    fee = vars(prices).get("requests_kcount")
    request = 0.0 if fee is None else float(_at(fee, ALL)) / 1000
    return {
        start: Rates(**{part: float(_at(value, start)) for part, value in stated.items()}, request=request)
        for start in starts
    }


def _at(value: Any, start: int) -> Decimal:
    """Rate of a prompt with just more than `start` tokens."""
    if isinstance(value, Decimal):
        return value
    rate: Decimal = value.base
    for tier in value.tiers:
        if tier.start <= start:
            rate = tier.price
    return rate
