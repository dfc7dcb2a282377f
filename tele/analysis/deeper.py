"""The deeper sections of an analysis as small tables: a row for each group, a column for each figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tele.analysis.charts import bar, spark
from tele.analysis.units import NOTHING, duration, money, number, share

__all__ = ["Sheet", "sheets"]

_NAMES = 8
_WIDE = 20
_EMPTY = ("", NOTHING)

Cells = dict[str, str]
"""Title of a column, and what stands there; rows of one sheet may know different ones."""


class Sheet(NamedTuple):
    """One small table."""

    title: str
    columns: tuple[str, ...]
    """The first one is the group's, and empty where there is but one group."""
    rows: tuple[tuple[str, ...], ...]


def sheets(detail: Mapping[str, tuple[Any, ...]]) -> Iterator[Sheet]:
    """Give a table, or more, for each section that has something to say; a column where nothing stands is left out."""
    for name, entries in detail.items():
        for title, rows in _SECTIONS[name](entries):
            if sheet := _sheet(title, rows):
                yield sheet


def _sheet(title: str, rows: Sequence[tuple[Any, Cells]]) -> Sheet | None:
    known = list(dict.fromkeys(column for _, cells in rows for column in cells))
    columns = [column for column in known if any(cells.get(column, "") not in _EMPTY for _, cells in rows)]
    said = [(entry, cells) for entry, cells in rows if any(cells.get(column, "") not in _EMPTY for column in columns)]
    if not said:
        return None
    head = " · ".join(said[0][0].key)
    lines = ((_label(entry), *(cells.get(column, "") for column in columns)) for entry, cells in said)
    return Sheet(title, (head, *columns), tuple(lines))


def _label(entry: Any) -> str:
    return " · ".join(NOTHING if value is None else str(value) for value in entry.key.values())


def _between(interval: Any, say: Callable[[float | None], str]) -> str:
    """Return an interval; a side that is not known is open."""
    if interval is None:
        return ""
    low, high = (say(side) if side is not None else "…" for side in interval)
    return f"{low} – {high}"


def _three(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _rate(per_second: float | None) -> str:
    if per_second is None:
        return NOTHING
    return number(per_second) if per_second >= 1e3 else f"{per_second:.3g}"  # noqa: PLR2004  # three digits


Section = Iterator[tuple[str, list[tuple[Any, Cells]]]]


def _latency(entries: Sequence[Any]) -> Section:
    yield "latency", [(one, _shape(one)) for one in entries]
    for title, name in (("time to first token", "ttft_ms"), ("time per output token", "time_per_output_token_ms")):
        yield title, [(one, _spread(getattr(one, name))) for one in entries]
    yield "latency, timeouts counted as cut off (Kaplan-Meier)", [(one, _censored(one.censored)) for one in entries]


def _shape(one: Any) -> Cells:
    drawn = {}
    if one.histogram:
        low, high = one.histogram[0].low_ms, one.histogram[-1].high_ms
        drawn = {
            "from": duration(low) if low else "0",
            "histogram": spark([each.count for each in one.histogram]),
            "to": duration(high),
        }
    return drawn | {"requests/s": _rate(one.requests_per_second), "output tokens/s": _rate(one.tokens_per_second)}


def _spread(one: Any) -> Cells:
    if one is None:
        return {}
    figures = {name: duration(getattr(one, name)) for name in ("p50", "p95", "p99")}
    return figures | {"95 % interval of p99": _between(one.intervals["p99"], duration)}


def _censored(cut: Any) -> Cells:
    if cut is None:
        return {}
    beyond = f"> {duration(max(cut.timeouts_ms))}"
    figures = {name: beyond if value is None else duration(value) for name, value in cut.percentiles.items()}
    tested = {} if cut.log_rank is None else {"log-rank p": f"{cut.log_rank.p_value:.2g}"}
    return {"cut off": number(cut.censored)} | figures | tested


def _cost(entries: Sequence[Any]) -> Section:
    rows = []
    for one in entries:
        cells: Cells = {}
        for each in one.projections:
            cells[f"{number(each.requests)} more"] = money(each.usd)
            cells[f"95 % of {number(each.requests)}"] = _between(each.interval, money)
        rows.append((one, cells))
    yield "cost of more requests", rows
    yield "what a budget buys", [(one, _affordable(one.affordable)) for one in entries]
    yield "cost, what else", [(one, _saved(one.cached_savings) | _what_if(one.what_if)) for one in entries]


def _affordable(one: Any) -> Cells:
    if one is None:
        return {}
    return {
        "budget": money(one.budget_usd),
        "requests": number(one.requests),
        "95 % interval": _between(one.interval, number),
    }


def _saved(one: Any) -> Cells:
    if one is None:
        return {}
    return {"saved by caches": money(one.saved_usd), "without caches": money(one.uncached_usd)}


def _what_if(one: Any) -> Cells:
    if one is None:
        return {}
    return {
        "as recorded": money(one.recorded_usd),
        f"by {one.table}": money(one.usd),
        "without a price there": number(one.unpriced) if one.unpriced else "",
    }


def _reliability(entries: Sequence[Any]) -> Section:
    yield "errors by kind", [(one, {kind: number(n) for kind, n in one.taxonomy.items()}) for one in entries]
    yield "reliability", [(one, _failures(one)) for one in entries]


def _failures(one: Any) -> Cells:
    budget = one.error_budget
    retried = {"retries": number(one.retries.retries), "recovered": number(one.retries.recovered)}
    return (retried if one.retries.retries else {}) | {
        "a failure every": duration(one.mean_time_between_failures_ms),
        f"budget of {share(budget.service_level)} burns": _times(budget.burn_rate),
        "at worst": _times(budget.worst_burn_rate),
    }


def _times(rate: float | None) -> str:
    return NOTHING if rate is None else f"{rate:.3g} ×"


def _timeline(entries: Sequence[Any]) -> Section:
    for wide in dict.fromkeys(one.window_seconds for one in entries):
        alike = [one for one in entries if one.window_seconds == wide]
        yield f"over time, in windows of {duration(wide * 1e3)}", [(one, _windows(one.windows)) for one in alike]


def _windows(windows: Sequence[Any]) -> Cells:
    failed = [one.failed for one in windows]
    return {
        "requests": spark([one.count for one in windows]),
        "p95": spark([one.p95_ms for one in windows]),
        "failed": spark(failed) if any(failed) else "",
    }


def _load(entries: Sequence[Any]) -> Section:
    yield (
        "latency under load",
        [
            (
                one,
                {
                    "others beside": _three(one.mean_others),
                    "at most": number(one.max_others),
                    "each adds": _signed(one.slope_ms),
                    "95 % interval": _between(one.slope_interval, _signed),
                    "at equal load": duration(one.adjusted_mean_ms),
                },
            )
            for one in entries
            if one.slope_ms is not None
        ],
    )


def _signed(ms: float | None) -> str:
    return duration(ms) if ms is None or ms < 0 else f"+{duration(ms)}"


def _traces(entries: Sequence[Any]) -> Section:
    for one in entries:
        if not one.traces:
            continue
        sampled = " (a sample)" if one.sampled else ""
        of = f" of {label}" if (label := _label(one)) else ""
        rows = [
            (_Unnamed, {"share": share(each.critical_share), "": bar(each.critical_share, _WIDE), "span": each.name})
            for each in one.names[:_NAMES]
        ]
        yield f"critical path{of}, {number(one.traces)} {'trace' if one.traces == 1 else 'traces'}{sampled}", rows


class _Unnamed:
    """Rows that are no groups."""

    key: Mapping[str, Any] = {}


def _ensembles(entries: Sequence[Any]) -> Section:
    figures = [
        (one, {"figure": title} | _figure(figure))
        for one in entries
        for title, figure in (
            ("mean agreement", one.mean_agreement),
            ("Krippendorff's alpha", one.krippendorff_alpha),
            ("accuracy", one.accuracy),
            ("agreement tells right from wrong, AUC", one.disagreement_signal),
        )
        if figure.value is not None
    ]
    yield "ensembles", figures
    members = [
        (
            one,
            {
                "member": each.member,
                "votes with the winner": share(each.with_winner),
            }
            | ({} if each.marginal_value.value is None else _figure(each.marginal_value, "adds to the accuracy", "+")),
        )
        for one in entries
        for each in one.members
    ]
    yield "members of the ensembles", members


def _figure(figure: Any, title: str = "value", sign: str = "") -> Cells:
    return {title: f"{figure.value:{sign}.3g}", "95 % interval": _between(figure.interval, _three)}


def _hedging(entries: Sequence[Any]) -> Section:
    yield (
        "hedging",
        [
            (
                one,
                {
                    "requests": number(one.requests),
                    "hedged": share(one.hedge_rate),
                    "second won": share(one.win_rate),
                    "saved each": duration(one.mean_latency_saved_ms),
                    "wasted": money(one.wasted_usd),
                },
            )
            for one in entries
        ],
    )


def _reasoning(entries: Sequence[Any]) -> Section:
    yield "stated confidence", [(one, _calibration(one.calibration)) for one in entries]


def _calibration(one: Any) -> Cells:
    if one is None:
        return {}
    return {
        "right, by confidence": spark([each.accuracy for each in one.curve]),
        "Brier": _three(one.brier),
        "ECE": _three(one.ece),
        "95 % interval": _between(one.ece_interval, _three),
        "ECE by chance": _three(one.ece_by_chance),
    }


_SECTIONS: dict[str, Callable[[Sequence[Any]], Section]] = {
    "latency": _latency,
    "cost": _cost,
    "reliability": _reliability,
    "timeline": _timeline,
    "load": _load,
    "traces": _traces,
    "ensembles": _ensembles,
    "hedging": _hedging,
    "reasoning": _reasoning,
}
