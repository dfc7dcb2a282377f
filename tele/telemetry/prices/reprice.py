"""Pricing again what was recorded: which calls cost something else by the tables of today.

DuckDB groups the calls by provider, model, service tier and quarter of an hour; each group is looked up once, and the
costs are computed where the rows are. A call changes where its dollars do: the same dollars by a newer version of a
table are no change, so that nothing is left to append when it is done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from tele.store.schema import quoted
from tele.telemetry.ambient import ambient
from tele.telemetry.prices.rates import SLOT_NS, moment
from tele.telemetry.prices.usage import HIT_END, PATHS, interpret
from tele.telemetry.pricing import CLIENT_CACHE

if TYPE_CHECKING:
    from tele.store.reader import Store
    from tele.telemetry.prices.rates import Price
    from tele.telemetry.prices.tables import Tables

__all__ = ["Plan", "Repriced", "Unpriced"]

_BATCH = 50_000
_OURS = ("genai-prices ", "litellm ", "own ", CLIENT_CACHE)
"""How the `price_ref` of a cost that a price table gave begins; any other came with the cost."""
_ENDLESS = 2**62

# ── SQL ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

_KEYS = "|".join(sorted({path[0].replace(".", r"\.") for path in PATHS}))
_SAID = "[" + ", ".join(quoted("$" + "".join(f'."{step}"' for step in path)) for path in PATHS) + "]"
_HOURS = ", ".join(
    f"CASE WHEN regexp_full_match(said[{n}], '[0-9]{{1,18}}') THEN said[{n}]::BIGINT END"
    for n in range(HIT_END + 1, len(PATHS) + 1)
)
_STARTS = " OR ".join(f"starts_with(coalesce(price_ref, ''), '{ours}')" for ours in _OURS)

_COUNTS = ("inp - rd - wr", "rd", "wr - hour", "hour", "outp - reas", "reas")
_DOLLARS = " + ".join(f"CASE WHEN {n} = 0 THEN 0.0 ELSE ({n}) * g.r[{i}] END" for i, n in enumerate(_COUNTS, 1))
_SOUND = "least(inp, outp, rd, wr, reas, hour) >= 0 AND rd + wr <= inp AND reas <= outp AND hour <= wr"
_GROUP = '{"n":"BIGINT","p":"VARCHAR","m":"VARCHAR","s":"BIGINT","t":["VARCHAR"],"a":"BIGINT","u":"BIGINT"'
_GROUP += ',"ref":"VARCHAR","hit":"BOOLEAN","r":["DOUBLE"],"fee":"DOUBLE"}'


def _calls(experiment: str, slot: str, *, uncached: bool = False) -> str:
    """Return SQL of the spans that may have a price, with `uncached` as if no token had gone through a cache."""
    read, write = (
        ("0::BIGINT", "0::BIGINT")
        if uncached
        else ("coalesce(cache_read_tokens, 0)", "coalesce(cache_write_tokens, 0)")
    )
    hours = "0::BIGINT" if uncached else f"coalesce({_HOURS}, 0)"
    return f"""
    SELECT *, {slot} AS slot, {hours} AS hour, said[1:{HIT_END}] AS says,
        cost_usd IS NULL OR {_STARTS} AS ours
    FROM (
        SELECT event_id, provider, coalesce(model, request_model) AS model, start_ns, cost_usd, price_ref,
            coalesce(input_tokens, 0) AS inp, coalesce(output_tokens, 0) AS outp, coalesce(reasoning_tokens, 0) AS reas,
            {read} AS rd, {write} AS wr,
            CASE WHEN regexp_matches(attributes, '"({_KEYS})"')
                THEN json_extract_string(attributes, {_SAID}) END AS said
        FROM events
        WHERE experiment = {quoted(experiment)} AND kind = 'span' AND status <> 'open')
    WHERE inp <> 0 OR outp <> 0 OR rd <> 0 OR wr <> 0 OR reas <> 0 OR said IS NOT NULL"""


def _priced(calls: str, groups: str) -> str:
    """Return SQL of the same with new dollars and `price_ref`."""
    return f"""
    SELECT c.*, g.n, g.ref AS new_ref, CASE
        WHEN g.hit THEN 0.0
        WHEN {_SOUND} THEN ({_DOLLARS}) / 1000000 + g.fee END AS new_cost
    FROM ({calls}) c
    JOIN (SELECT unnest(from_json({quoted(groups)}, '[{_GROUP}]')) AS g) ON c.provider IS NOT DISTINCT FROM g.p
        AND c.model IS NOT DISTINCT FROM g.m AND c.slot IS NOT DISTINCT FROM g.s AND c.says IS NOT DISTINCT FROM g.t
        AND c.inp > g.a AND c.inp <= g.u
    WHERE inp + outp > 0 OR g.hit"""


def _changes(*, everything: bool) -> str:
    return f"""({everything} OR ours) AND new_cost IS NOT NULL AND (cost_usd IS NULL
    OR abs(new_cost - cost_usd) > 1e-9 * greatest(abs(new_cost), abs(cost_usd)))"""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Calls that no table has a price for."""

    model: str | None
    provider: str | None
    tier: str | None
    why: str
    calls: int
    kept: int
    """How many of them have a cost from before, which stays."""


@dataclass(frozen=True, slots=True)
class Repriced:
    """What pricing again changes. Totals are over `llm_calls`, where no wrapper repeats its child."""

    calls: int
    changed: int
    stated: int
    """Calls that came with their cost, which stays."""
    old_usd: float | None
    new_usd: float | None
    unpriced: tuple[Unpriced, ...]


class Plan:
    """The calls of one experiment by the tables of today, each at its own time or all at one."""

    def __init__(
        self,
        store: Store,
        tables: Tables,
        experiment: str,
        *,
        at: datetime | None = None,
        everything: bool = False,
        uncached: bool = False,
    ) -> None:
        """Look every group up.

        `everything` also prices calls that came with their cost; `uncached` prices each as if nothing had been cached.
        """
        self._store = store
        slot = f"start_ns // {SLOT_NS}" if at is None else "NULL::BIGINT"
        self._calls = _calls(experiment, slot, uncached=uncached)
        self._groups = [_Group(tables, number, row, at) for number, row in enumerate(self._asked())]
        steps = orjson.dumps([step for group in self._groups for step in group.steps()]).decode()
        self._priced = _priced(self._calls, steps)
        self._changed = _changes(everything=everything)
        self._everything = everything

    @property
    def query(self) -> str:
        """SQL of the calls by event id, with the dollars of these tables (`new_cost`, NULL where they know none)."""
        return self._priced

    def changes(self) -> Iterator[list[tuple[str, float, str]]]:
        """Event id, new dollars and new `price_ref` of the calls that change, batch by batch."""
        query = f"SELECT event_id, new_cost, new_ref FROM ({self._priced}) WHERE {self._changed}"
        for batch in self._store.sql(query).to_arrow_reader(_BATCH):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))

    def figures(self) -> Repriced:
        """Count and sum what changes, and list what has no price."""
        calls, changed, stated = self._store.rows(f"""
            SELECT count(*), count(*) FILTER ({self._changed}), count(*) FILTER (NOT ours) FROM ({self._priced})""")[0]
        old, new = self._store.rows(f"""
            SELECT fsum(cost_usd), fsum(CASE WHEN {self._changed} THEN new_cost ELSE cost_usd END)
            FROM ({self._priced}) SEMI JOIN llm_calls USING (event_id)""")[0]
        rows = self._store.rows(f"""
            SELECT n, count(*), count(cost_usd), bool_or({_SOUND}) FROM ({self._priced})
            WHERE new_cost IS NULL AND ({self._everything} OR ours) GROUP BY n""")
        kept = 0 if self._everything else stated
        return Repriced(calls, changed, kept, old, new, self._unpriced(rows))

    def _asked(self) -> list[tuple[Any, ...]]:
        return self._store.rows(f"SELECT DISTINCT provider, model, slot, says FROM ({self._calls})")

    def _unpriced(self, rows: list[tuple[Any, ...]]) -> tuple[Unpriced, ...]:
        found: dict[tuple[str | None, ...], list[int]] = {}
        for number, calls, kept, sound in rows:
            group = self._groups[number]
            why = group.why if sound or group.price is None else "its token counts contradict each other"
            counts = found.setdefault((group.model, group.provider, group.tier, why), [0, 0])
            counts[0] += calls
            counts[1] += kept
        listed = [Unpriced(*key, *counts) for key, counts in found.items()]  # type: ignore[arg-type]  # why is a text
        return tuple(sorted(listed, key=lambda one: (-one.calls, str(one.model), str(one.provider), str(one.tier))))


class _Group:
    """Calls that are priced alike: one provider, model, quarter of an hour and service tier."""

    def __init__(self, tables: Tables, number: int, row: tuple[Any, ...], at: datetime | None) -> None:
        self.number = number
        self.key = self.provider, self.model, slot, _ = row
        facts = interpret([*(row[3] or [None] * HIT_END), *[None] * (len(PATHS) - HIT_END)])
        self.tier, self.hit = facts.tier, facts.cache_hit
        when = at or moment(ambient.now() if slot is None else slot * SLOT_NS)
        self.price: Price | None = None
        self.why = "it names no model"
        if self.model is not None and not self.hit:
            self.price = tables.find(self.provider, self.model, when, self.tier)
            self.why = self._reason(tables, when)

    def _reason(self, tables: Tables, when: datetime) -> str:
        if self.price is not None:
            return "its row has no rate for tokens of this sort"
        if self.tier is not None and tables.find(self.provider, str(self.model), when):
            return "no table has a rate for this service tier"
        return "no table knows it"

    def steps(self) -> Iterator[dict[str, Any]]:
        """One row for DuckDB for each step of the prompt's length."""
        provider, model, slot, says = self.key
        key = {"n": self.number, "p": provider, "m": model, "s": slot, "t": says, "hit": self.hit}
        if self.price is None:
            ref = CLIENT_CACHE if self.hit else None
            yield key | {"a": -_ENDLESS, "u": _ENDLESS, "ref": ref, "r": [None] * 6, "fee": None}
            return
        steps = self.price.steps
        for step, after in zip(steps, (*steps[1:], None), strict=True):
            *rates, fee = step.rates
            above = -_ENDLESS if step is steps[0] else step.above
            yield key | {"a": above, "u": after.above if after else _ENDLESS, "ref": step.ref, "r": rates, "fee": fee}
