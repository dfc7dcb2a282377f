"""An analysis as a notebook shows it: one table, with a bar for the latencies; no script, no style of the page's."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tele.analysis.units import NOTHING, duration, money, number, share

if TYPE_CHECKING:
    from tele.analysis.figures import Analysis, Group

__all__ = ["html"]

_HEAD = ("requests", "success", "95 %", "p50", "p90", "p95", "p99", "latency", "cost", "per 1k", "tokens")
_CELL = "padding:2px 10px;text-align:right"
_WIDE = 140


def html(analysis: Analysis) -> str:
    """Return a fragment of HTML; what the log says is escaped."""
    slowest = max((group.latency.p99 or 0.0 for group in analysis.groups), default=0.0)
    title = escape(analysis.experiment)
    about = (
        f"{number(analysis.summary.total_events)} events, {number(analysis.runs.used)} runs, on {escape(analysis.on)}"
    )
    name = escape(" · ".join(analysis.groups[0].key)) if analysis.groups else ""
    head = "".join(f'<th style="{_CELL}">{title_}</th>' for title_ in _HEAD)
    lines = "".join(_line(group, slowest) for group in analysis.groups)
    return (
        f'<div><strong>{title}</strong> <span style="opacity:.7">{about}</span>'
        f'<table style="border-collapse:collapse;font-variant-numeric:tabular-nums"><thead><tr>'
        f'<th style="text-align:left">{name}</th>{head}</tr></thead><tbody>{lines}</tbody></table>'
        f"{_judged(analysis)}</div>"
    )


def _judged(analysis: Analysis) -> str:
    """The comparisons, and what was asked of the figures; empty where nothing was."""
    if analysis.significance is None and not analysis.checks:
        return ""
    from tele.analysis.compare.table import html as compared  # with it come numpy and the tests

    shown = "" if analysis.significance is None else compared(analysis.significance)
    checks = "".join(f"<li>{'ok' if one.ok else 'FAILED'}: {escape(one.words)}</li>" for one in analysis.checks)
    return shown + (f"<ul>{checks}</ul>" if checks else "")


def _line(group: Group, slowest: float) -> str:
    label = " · ".join(NOTHING if value is None else str(value) for value in group.key.values()) or "all"
    latency, known = group.latency, group.reliability
    between = known.success_rate_interval
    said = (
        number(known.total_requests),
        share(known.success_rate),
        NOTHING if between is None else f"{between[0] * 100:.1f} – {between[1] * 100:.1f}",
        *(duration(value) for value in (latency.p50, latency.p90, latency.p95, latency.p99)),
    )
    money_ = (money(group.cost.total), money(group.cost.cost_per_1k_requests), number(group.tokens.total))
    cells = [f'<td style="{_CELL}">{escape(text)}</td>' for text in said]
    cells.append(f'<td style="padding:2px 10px">{_bar(group, slowest)}</td>')
    cells += [f'<td style="{_CELL}">{escape(text)}</td>' for text in money_]
    return f'<tr><td style="text-align:left">{escape(label)}</td>{"".join(cells)}</tr>'


def _bar(group: Group, slowest: float) -> str:
    """From p50 to p99, with a mark at p95, on the scale that all groups share."""
    latency = group.latency
    if latency.p50 is None or latency.p95 is None or latency.p99 is None or slowest <= 0:
        return ""
    p50, p95, p99 = (round(_WIDE * value / slowest, 1) for value in (latency.p50, latency.p95, latency.p99))
    return (
        f'<svg width="{_WIDE}" height="12" role="img" aria-label="p50 to p99">'
        f'<rect x="{p50}" y="4" width="{max(p99 - p50, 1)}" height="4" fill="currentColor" opacity=".35"/>'
        f'<rect x="{max(p95 - 1, 0)}" y="1" width="2" height="10" fill="currentColor"/></svg>'
    )
