"""The price tables, in the order in which they are asked: the user's own, genai-prices, LiteLLM's map."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from pathlib import Path

from tele.telemetry.prices.litellm_map import LiteLLMMap
from tele.telemetry.prices.names import Asked, candidates
from tele.telemetry.prices.own import Own, read_own
from tele.telemetry.prices.published import Published
from tele.telemetry.prices.rates import Price

__all__ = ["Tables"]


class Tables:
    """All tables; each is read when it is first asked."""

    def __init__(self, own: Path | None = None) -> None:
        """Take the path of the user's own table; raises BadInput where that is there and not sound."""
        self.own: Own | None = read_own(own) if own is not None else None

    @cached_property
    def published(self) -> Published:
        """genai-prices."""
        return Published()

    @cached_property
    def litellm(self) -> LiteLLMMap:
        """LiteLLM's map; empty where litellm is not installed."""
        return LiteLLMMap()

    def find(self, provider: str | None, model: str, when: datetime, tier: str | None = None) -> Price | None:
        """Price of `model` at `when`, or None where no table states one.

        Raises no error for any name.
        """
        same, looser = candidates(provider, model)
        if own := self.own:
            prices = (own.find(asked, when, tier) for asked in (*same, *looser))
            if price := next(filter(None, prices), None):
                return price
        for names in (same, *([asked] for asked in looser)):
            known, price = self._among(names, when, tier)
            if known or price:
                return price  # what is known has its own price or none: never that of a looser name
        return None

    def _among(self, names: list[Asked], when: datetime, tier: str | None) -> tuple[bool, Price | None]:
        known = False
        for table in (self.published, self.litellm):
            for asked in names:
                here, price = table.find(asked, when, tier)
                if price:
                    return True, price
                known = known or here
        return known, None

    def each(self, provider: str | None, model: str, when: datetime, tier: str | None = None) -> list[Price]:
        """What each table states, the one that counts first."""
        first = self.find(provider, model, when, tier)
        same, looser = candidates(provider, model)
        found = [first] if first else []
        for table in (self.published, self.litellm):
            prices = (table.find(asked, when, tier)[1] for asked in (*same, *looser))
            price = next(filter(None, prices), None)
            if price and not any(price.table == one.table for one in found):
                found.append(price)
        return found

    def near(self, provider: str | None, model: str, when: datetime, most: int = 5) -> list[str]:
        """Names most like `model` among those that have a price, as they would be asked for."""
        import difflib

        whole: dict[str, str] = {}
        for table in (self.own, self.published, self.litellm):
            for name in table.names() if table else ():
                whole.setdefault(name.rpartition("/")[2].lower(), name)
        found = difflib.get_close_matches(model.rpartition("/")[2].lower(), whole, most, cutoff=0.6)
        return [name if self.find(provider, name, when) else whole[name] for name in found]
