"""The deeper sections of an analysis as lines for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tele.analysis.charts import bar, spark
from tele.analysis.units import NOTHING, duration, money, number, share

__all__ = ["lines"]

_NAMES = 8
_WIDE = 20


def lines(detail: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, list[str]]]:
    """Give a title and its lines for each section that has something to say."""
    for name, entries in detail.items():
        if found := [line for entry in entries for line in _LINES[name](entry, _label(entry))]:
            yield name, found


def _label(entry: Any) -> str:
    return " · ".join(NOTHING if value is None else str(value) for value in entry.key.values()) or "all"


def _between(interval: Any, say: Callable[[float | None], str]) -> str:
    """Return an interval in brackets; a side that is not known is open."""
    if interval is None:
        return ""
    low, high = interval
    return f" [{say(low) if low is not None else '…'}, {say(high) if high is not None else '…'}]"


def _latency(entry: Any, label: str) -> Iterator[str]:
    if entry.histogram:
        bins = {one.low_ms: one.count for one in entry.histogram}
        low, high = entry.histogram[0].low_ms, entry.histogram[-1].high_ms
        shape = spark([bins.get(one.low_ms) or 0 for one in entry.histogram])
        yield f"{label}: {duration(low) if low else '0'} {shape} {duration(high)}"
    for title, one in (("first token", entry.ttft_ms), ("per output token", entry.time_per_output_token_ms)):
        if one is not None:
            p99 = _between(one.intervals["p99"], duration)
            yield f"{label}: {title} p50 {duration(one.p50)}, p95 {duration(one.p95)}, p99 {duration(one.p99)}{p99}"
    if entry.requests_per_second is not None:
        tokens = "" if entry.tokens_per_second is None else f", {_rate(entry.tokens_per_second)} output tokens/s"
        yield f"{label}: {_rate(entry.requests_per_second)} requests/s{tokens}"
    if (cut := entry.censored) is not None:
        said = ", ".join(
            f"{name} {duration(value) if value is not None else '> ' + duration(max(cut.timeouts_ms))}"
            for name, value in cut.percentiles.items()
        )
        yield f"{label}: with {number(cut.censored)} cut off by a timeout (Kaplan-Meier): {said}"


def _rate(per_second: float) -> str:
    return number(per_second) if per_second >= 1e3 else f"{per_second:.4g}"  # noqa: PLR2004  # four digits, no exponent


def _cost(entry: Any, label: str) -> Iterator[str]:
    for one in entry.projections:
        yield f"{label}: {number(one.requests)} more requests cost {money(one.usd)}{_between(one.interval, money)}"
    if (one := entry.affordable) is not None:
        yield f"{label}: {money(one.budget_usd)} buys {number(one.requests)} requests{_between(one.interval, number)}"
    if (saved := entry.cached_savings) is not None:
        yield f"{label}: caches saved {money(saved.saved_usd)} of {money(saved.uncached_usd)}"
    if (other := entry.what_if) is not None:
        left = f", {number(other.unpriced)} without a price there" if other.unpriced else ""
        yield f"{label}: {money(other.usd)} by {other.table}, {money(other.recorded_usd)} as recorded{left}"


def _reliability(entry: Any, label: str) -> Iterator[str]:
    if entry.taxonomy:
        yield f"{label}: " + ", ".join(f"{kind} {number(n)}" for kind, n in entry.taxonomy.items())
    if entry.retries.retries:
        yield f"{label}: {number(entry.retries.retries)} retries, {number(entry.retries.recovered)} recovered"
    if entry.mean_time_between_failures_ms is not None:
        yield f"{label}: a failure every {duration(entry.mean_time_between_failures_ms)}"
    budget = entry.error_budget
    if budget.burn_rate is not None:
        worst = "" if budget.worst_burn_rate is None else f", {budget.worst_burn_rate:.3g} times at worst"
        pace = f"burns {budget.burn_rate:.3g} times as fast as it may{worst}"
        yield f"{label}: error budget of {share(budget.service_level)} {pace}"


def _timeline(entry: Any, label: str) -> Iterator[str]:
    wide = duration(entry.window_seconds * 1e3)
    yield f"{label}: requests {spark([one.count for one in entry.windows])} in windows of {wide}"
    yield f"{label}: p95      {spark([one.p95_ms for one in entry.windows])}"
    if any(one.failed for one in entry.windows):
        yield f"{label}: failed   {spark([one.failed for one in entry.windows])}"


def _load(entry: Any, label: str) -> Iterator[str]:
    if entry.slope_ms is not None:
        slope = f"{entry.slope_ms:+.3g} ms{_between(entry.slope_interval, lambda x: f'{x:+.3g}')}"
        at = f"{entry.mean_others:.3g} others in flight on average, {number(entry.max_others)} at most"
        yield f"{label}: {at}; {slope} for each; {duration(entry.adjusted_mean_ms)} on average at equal load"


def _traces(entry: Any, label: str) -> Iterator[str]:
    sampled = " (a sample)" if entry.sampled else ""
    yield f"{label}: critical path of {number(entry.traces)} traces{sampled}"
    for one in entry.names[:_NAMES]:
        yield f"  {bar(one.critical_share, _WIDE)} {share(one.critical_share):>7}  {one.name}"


def _ensembles(entry: Any, label: str) -> Iterator[str]:
    for title, one in (
        ("mean agreement", entry.mean_agreement),
        ("Krippendorff's alpha", entry.krippendorff_alpha),
        ("accuracy", entry.accuracy),
        ("agreement tells right from wrong, AUC", entry.disagreement_signal),
    ):
        if one.value is not None:
            yield f"{label}: {title} {one.value:.3g}{_between(one.interval, _three)}"
    for member in entry.members:
        value = member.marginal_value
        worth = "" if value.value is None else f", adds {value.value:+.3g}{_between(value.interval, _three)}"
        yield f"{label}: {member.member} votes with the winner {share(member.with_winner)}{worth}"


def _three(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _hedging(entry: Any, label: str) -> Iterator[str]:
    yield (
        f"{label}: {share(entry.hedge_rate)} of {number(entry.requests)} hedged, "
        f"second won {share(entry.win_rate)}, saved {duration(entry.mean_latency_saved_ms)} each, "
        f"wasted {money(entry.wasted_usd)}"
    )


def _reasoning(entry: Any, label: str) -> Iterator[str]:
    if (one := entry.calibration) is not None:
        shape = spark([each.accuracy for each in one.curve])
        error = (
            f"calibration error {one.ece:.3g}{_between(one.ece_interval, _three)}, {one.ece_by_chance:.3g} by chance"
        )
        yield f"{label}: right by confidence {shape}, Brier {one.brier:.3g}, {error}"


_LINES: dict[str, Callable[[Any, str], Iterator[str]]] = {
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
