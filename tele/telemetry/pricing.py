"""Dollars from tokens while recording: one dictionary look-up for each call of a model.

The tables are in `tele.telemetry.prices`. A model that none of them knows has no price: its cost stays NULL and is
counted as unpriced, never guessed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tele.errors import BadInput
from tele.store.layout import find
from tele.telemetry.ambient import ambient
from tele.telemetry.prices.rates import SLOT_NS, Price, moment
from tele.telemetry.prices.usage import Usage, said
from tele.telemetry.process import process

if TYPE_CHECKING:
    from tele.telemetry.prices.tables import Tables

__all__ = ["CLIENT_CACHE", "Price", "Usage", "add_cost", "forget", "load", "own_table", "price"]

CLIENT_CACHE = "client-cache"
"""`price_ref` of a call that the client's own cache answered: it cost nothing."""
_MOST_KNOWN = 10_000
_LONGEST_NAME = 512
"""Characters of a provider, model and tier together: what is longer is none of a table's, and is not remembered."""
_COUNTS = tuple(f"{name}_tokens" for name in Usage._fields[:5])
"""Columns that `Usage` begins with."""

_known: dict[tuple[str | None, str, int, str | None], Price | None] = {}
_tables: list[Tables | BadInput] = []
_configured: list[object] = [None]


def load() -> None:
    """Read the price tables now: done when an experiment begins, so that no call of a model waits for it.

    Raises BadInput where the user's own table is not sound.
    """
    _follow()
    tables = _current()
    _ = tables.published, tables.litellm


def add_cost(record: dict[str, Any]) -> None:
    """Fill `cost_usd` and `price_ref` of a record that has tokens and a model, and states no cost itself.

    Where the user's own table is not sound, that is warned of once and there is no cost: another's would be wrong.
    """
    facts = said(record.get("attributes"))
    stated = record.get("cost_usd")
    if facts.cache_hit and not stated and record.get("price_ref", "source") == "source":
        record["cost_usd"], record["price_ref"] = 0.0, CLIENT_CACHE
        return
    if stated is not None:
        record.setdefault("price_ref", "source")
        return
    model = record.get("model") or record.get("request_model")
    counts = [record.get(name) or 0 for name in _COUNTS]
    if not isinstance(model, str) or not any(counts):
        return
    usage = Usage._make((*counts, facts.cache_write_1h))
    if not usage.sound:
        return  # counts that contradict each other have no price
    try:
        row = price(record.get("provider"), model, record.get("start_ns") or 0, facts.tier)
    except BadInput as error:
        process.lose(error, 0)
        return
    if row is None:
        return
    cost, ref = row.cost(usage)
    if cost is not None:
        record["cost_usd"], record["price_ref"] = cost, ref


def price(provider: str | None, model: str, ns: int, tier: str | None = None) -> Price | None:
    """Price of `model` at time `ns` (nanoseconds since the epoch; 0 is now), or None.

    Remembered by provider, model, tier and quarter of an hour. Raises BadInput where the user's own table is not sound.
    """
    if len(provider or "") + len(model) + len(tier or "") > _LONGEST_NAME:
        return None
    _follow()
    key = (provider, model, ns // SLOT_NS, tier)
    try:
        return _known[key]
    except KeyError:
        pass
    found = _current().find(provider, model, moment(ns or ambient.now()), tier)
    if len(_known) >= _MOST_KNOWN:  # a sweep over years of foreign traces
        _known.clear()
    _known[key] = found
    return found


def own_table(store: Path | None = None) -> Path | None:
    """Path of the user's own table: `tele.configure(prices=...)`, else `$TELE_PRICES`, else `prices.toml` in the store.

    None where there is none; a file that was named and is not there is for the reader to refuse.
    """
    if process.settings.prices is not None:
        return process.settings.prices
    if named := os.environ.get("TELE_PRICES"):
        return Path(named)
    path = find(store or process.settings.store) / "prices.toml"
    return path if path.is_file() else None


def forget() -> None:
    """Let go of the tables and of every price looked up: the next one reads the user's own table again."""
    _configured[0] = process.settings
    _known.clear()
    _tables.clear()


def _follow() -> None:
    """Let go of the tables that were read before the process was configured anew."""
    if _configured[0] is not process.settings:
        forget()


def _current() -> Tables:
    """Tables of this process; what is wrong with the user's own is found out once."""
    if not _tables:
        from tele.telemetry.prices.tables import Tables

        try:
            _tables.append(Tables(own_table()))
        except BadInput as error:
            _tables.append(error)
    found = _tables[0]
    if isinstance(found, BadInput):
        raise found
    return found
