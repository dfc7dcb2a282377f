"""Hedging: how often a second request was sent, how often it won, what that saved and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tele.analysis.aggregations.panels import HEDGED
from tele.analysis.detail.asked import Asked
from tele.analysis.intervals import wilson

__all__ = ["Hedging", "hedging"]


@dataclass(frozen=True, slots=True)
class Hedging:
    """The hedged requests of one group; rates with Wilson's 95 % intervals."""

    key: Mapping[str, Any]
    requests: int
    fired: int
    hedge_rate: float | None
    hedge_rate_interval: tuple[float, float] | None
    backup_won: int
    win_rate: float | None
    """Of those that fired."""
    win_rate_interval: tuple[float, float] | None
    mean_delay_ms: float | None
    """Of those that fired."""
    saved: int
    """Races that the second request won and whose first one's end is known."""
    latency_saved_ms: float | None
    """Time that those first requests took beyond the answer; a least value where they were cancelled."""
    mean_latency_saved_ms: float | None
    wasted_usd: float | None
    """What the requests that lost are known to have cost."""
    waste_unknown: int
    """Races that fired whose waste is not known."""
    wasted_tokens: int | None
    cost_overhead: float | None
    """Wasted dollars over all others of the model calls in these groups' runs; None where nothing else is known."""


def hedging(asked: Asked) -> tuple[Hedging, ...]:
    """Return the section; empty where there are no hedged requests."""
    if not {"hedge", "hedging.request.stop"} & asked.seen.names:
        return ()
    spent = _spent(asked)
    return tuple(_hedging(asked, key, rows[0], spent.get(key)) for key, rows in asked.beside(HEDGED).items())


def _hedging(asked: Asked, key: tuple[Any, ...], row: tuple[Any, ...], spent: float | None) -> Hedging:
    requests, fired, won, told, saved, with_waste, usd, tokens, delay = row
    useful = None if spent is None or usd is None else spent - usd
    return Hedging(
        asked.known(key),
        requests,
        fired,
        fired / requests if requests else None,
        wilson(fired, requests),
        won,
        won / fired if fired else None,
        wilson(won, fired),
        delay,
        told,
        saved,
        saved / told if told else None,
        usd,
        fired - with_waste,
        tokens,
        usd / useful if usd is not None and useful else None,
    )


def _spent(asked: Asked) -> dict[tuple[Any, ...], float | None]:
    """Return the cost of all model calls, by the keys that hedges show."""
    scope, names = asked.seen.scope, asked.shown
    listed = "".join(f'"{name}", ' for name in names)
    group = f"GROUP BY {listed.rstrip(', ')}" if names else ""
    rows = asked.reader.rows(f"SELECT {listed}fsum(cost_usd) FROM llm_calls WHERE {scope.where} {group}", scope.params)
    return {row[:-1]: row[-1] for row in rows}
