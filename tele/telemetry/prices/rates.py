"""The one form that a row of any price table takes here: dollars per million tokens, in steps of the prompt's length.

A step holds for the whole prompt: a request whose prompt has more than `above` tokens pays the step's rates for all of
its tokens. That is how genai-prices and LiteLLM define their long-context tiers, and how a table of one's own does;
none of them charges a higher rate for the tokens above the threshold alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from tele.telemetry.prices.usage import Usage

__all__ = ["ALL", "PARTS", "SLOT_NS", "Price", "Rates", "Step", "moment", "steps_of"]

SLOT_NS = 900_000_000_000
"""A quarter of an hour: no table's price changes at any other time."""

ALL = -1
"""`above` of the first step: it holds for every prompt."""
PARTS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
"""What a call's tokens fall into; each token is in one of them."""


class Rates(NamedTuple):
    """Dollars per million tokens as a table states them; None where it states none."""

    input: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    output: float | None = None
    reasoning: float | None = None
    request: float = 0.0
    """Dollars for the call itself."""

    def filled(self) -> Rates:
        """Return these rates where a part that has none of its own costs what its whole does."""
        write = self.input if self.cache_write is None else self.cache_write
        return self._replace(
            cache_read=self.input if self.cache_read is None else self.cache_read,
            cache_write=write,
            cache_write_1h=write if self.cache_write_1h is None else self.cache_write_1h,
            reasoning=self.output if self.reasoning is None else self.reasoning,
        )


class Step(NamedTuple):
    """Rates of the prompts with more than `above` tokens, up to the next step."""

    above: int
    rates: Rates
    ref: str = ""
    """What `price_ref` says of a cost that this step gave."""


class Price(NamedTuple):
    """One row of a price table, as it stands at one moment for one service tier."""

    table: str
    version: str
    row: str
    tier: str | None
    holds: str
    """When the row holds, where the table says so: `since 2025-06-10`."""
    rule: str
    """How the name that was asked for led to this row."""
    steps: tuple[Step, ...]
    """In the order of `above`; the first holds for all."""

    @property
    def ref(self) -> str:
        """`price_ref` of a call with a short prompt."""
        return self.steps[0].ref

    def step(self, tokens: int) -> Step:
        """Step that holds for a prompt of `tokens`."""
        found = self.steps[0]
        for step in self.steps[1:]:
            if tokens <= step.above:
                break
            found = step
        return found

    def usd(self, usage: Usage) -> float | None:
        """US dollars of `usage`; None where it has tokens of a sort that the row states no price for."""
        return self.cost(usage)[0]

    def cost(self, usage: Usage) -> tuple[float | None, str]:
        """US dollars and the `price_ref` that goes with them."""
        _, rates, ref = self.steps[0] if len(self.steps) == 1 else self.step(usage.input)
        read, written, cached, kept, reasoning, hour = usage
        counts = (read - cached - kept, cached, kept - hour, hour, written - reasoning, reasoning)
        total = 0.0
        for count, rate in zip(counts, rates, strict=False):
            if count:
                if rate is None:
                    return None, ref
                total += count * rate
        return total / 1_000_000 + rates.request, ref


def steps_of(
    levels: dict[int, Rates], *, table: str, version: str, row: str, tier: str | None, holds: str, when: datetime
) -> tuple[Step, ...]:
    """Make steps of `levels`, from the tokens above which each holds to its rates; equal neighbours are one."""
    steps: list[Step] = []
    for above, rates in sorted(levels.items()):
        filled = rates.filled()
        if steps and steps[-1].rates == filled:
            continue
        words = (table, version, row, tier, holds, f"above {above}" if steps else "", f"{when:%Y-%m-%d}")
        steps.append(Step(above if steps else ALL, filled, " ".join(word for word in words if word)))
    return tuple(steps)


def moment(ns: int) -> datetime:
    """`ns` nanoseconds since the epoch as UTC; the beginning of its quarter of an hour, in which no price changes."""
    try:
        return datetime.fromtimestamp(ns // SLOT_NS * (SLOT_NS // 1_000_000_000), UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.now(UTC)
