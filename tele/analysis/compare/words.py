"""A comparison as one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tele.analysis.comparisons import Absent, Bounds, EffectSize, Missing, Verdict
from tele.analysis.units import money

__all__ = ["absent", "figure", "figures", "p_text", "sentence"]

_DIGITS = 4


def figure(value: float | None, unit: str | None = None) -> str:
    """Return a number with four digits, and its unit, or as US dollars; `-` where it is not known."""
    if value is None or not math.isfinite(value):
        return "-"
    if unit == "USD":
        return money(value)
    text = f"{value:,.0f}" if abs(value) >= 10**_DIGITS - 0.5 else f"{value:.{_DIGITS}g}"
    return text if unit is None else f"{text} {unit}"


def figures(bounds: Bounds | None, unit: str | None = None) -> str:
    """Return an interval, `open` where a bound is; the unit stands behind it."""
    if bounds is None:
        return ""
    behind = "" if unit in (None, "USD") else f" {unit}"
    each = "USD" if unit == "USD" else None
    low, high = (figure(end, each) if end is not None and math.isfinite(end) else "open" for end in bounds)
    if low == high == "open":
        return "open"
    return f"{low} to {high}{behind}"


def p_text(p: float | None) -> str:
    """Return a p-value as people write it."""
    if p is None:
        return "-"
    return f"{p:.2g}" if p >= 1e-4 else f"{p:.1e}"  # noqa: PLR2004  # below it zeros are hard to count


def sentence(
    verdict: Verdict,
    *,
    metric: str,
    treatment: str,
    baseline: str,
    means: tuple[float | None, float | None],
    difference: float | None,
    interval: Bounds | None,
    margin: float | None,
    mde: float | None,
    needed: int | None,
    unit: str,
    n: int | tuple[int, int],
    test: str | None,
    why: str,
    confidence: float = 0.95,
    ranks: EffectSize | None = None,
    measured_in: str | None = None,
    clustered: bool = False,
) -> str:
    """Return what the verdict means, with its figures; `ranks` stands for the difference where ranks were tested."""
    pair = f"{treatment} {figure(means[1], measured_in)}, {baseline} {figure(means[0], measured_in)}"
    if test is None:
        return f"{metric}: nothing could be tested ({why}); {pair}."
    gap, unit_of_gap = "" if difference is None else f", difference {figure(difference, measured_in)}", measured_in
    if ranks is not None:
        gap, interval, unit_of_gap = f", {ranks.name} {figure(ranks.value)}", ranks.interval, None
    gap += f" ({100 * confidence:g} % interval {figures(interval, unit_of_gap)})" if interval is not None else ""
    count = f"{n:,} {unit}s" if isinstance(n, int) else f"{n[0]:,} and {n[1]:,} {unit}s"
    enough, nothing = "", "no difference" if margin is None else "neither a difference nor a tie"
    if needed is not None:
        wanted = margin if margin is not None else abs(difference or 0.0)
        a_side = ("" if isinstance(n, int) else " a side") + (", in as many more clusters" if clustered else "")
        enough = f"; to show a difference of {figure(wanted, measured_in)} takes {needed:,} {unit}s{a_side}"
    said = {
        "better": f"{treatment} is better than {baseline}",
        "worse": f"{treatment} is worse than {baseline}",
        "different": f"{treatment} and {baseline} differ, and nobody declared which is better",
        "tied": f"{treatment} and {baseline} are tied: what difference there is, is within "
        f"±{figure(margin, measured_in)}",
        "undecided": f"Undecided: {count} show {nothing}{enough}",
        "underpowered": f"Underpowered: {count} can show a difference of {figure(mde, measured_in)} or more{enough}",
    }[verdict]
    return f"{metric}: {pair}{gap}. {said}."


def absent(missing: Missing, names: Sequence[str]) -> str:
    """Return what is not there on either side, as text; empty where all is."""
    parts = [
        text
        for side, name in zip((missing.baseline, missing.treatment), names, strict=True)
        if (text := _of(side, name))
    ]
    if missing.without_item:
        parts.append(f"{missing.without_item:,} values without an item left out")
    if not parts:
        return ""
    entered = "counted as the worst value" if missing.failures == "as-worst" else "left out"
    return f"{'; '.join(parts)} ({entered})"


def _of(side: Absent, name: str) -> str:
    counted = ((side.missing, "missing"), (side.failed, "failed"), (side.partly, "partly failed"))
    said = [f"{n:,} {word}" for n, word in counted if n]
    return f"{name}: {', '.join(said)}" if said else ""
