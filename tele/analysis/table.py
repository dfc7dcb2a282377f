"""An analysis as tables for a terminal of 80 columns or more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tele.analysis.charts import span
from tele.analysis.deeper import Sheet, sheets
from tele.analysis.figures import Analysis, CustomMetric, Group
from tele.analysis.units import NOTHING, duration, money, number, share

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["render", "small"]

_ERRORS_SHOWN = 5
_FIGURES = frozenset(["", *"+-$<>0123456789"])
"""What a cell begins with that stands to the right."""
_FEWEST, _MOST, _LABEL, _WIDEST = 2, 20, 24, 80
"""Of a chart: fewest and most groups, characters of a name and of a line."""


class _Column(NamedTuple):
    title: str
    cell: Callable[[Group], str]
    section: str = ""
    """Section of a metrics config that it belongs to."""


_REQUESTS = (
    _Column("requests", lambda g: number(g.reliability.total_requests)),
    _Column("success", lambda g: share(g.reliability.success_rate), "success_rate"),
    _Column("p50", lambda g: duration(g.latency.p50), "latency"),
    _Column("p90", lambda g: duration(g.latency.p90), "latency"),
    _Column("p95", lambda g: duration(g.latency.p95), "latency"),
    _Column("p99", lambda g: duration(g.latency.p99), "latency"),
)
_SPENDING = (
    _Column("cost", lambda g: money(g.cost.total), "cost"),
    _Column("per 1k", lambda g: money(g.cost.cost_per_1k_requests), "cost"),
    _Column("tokens in", lambda g: number(g.tokens.total_prompt), "tokens"),
    _Column("tokens out", lambda g: number(g.tokens.total_completion), "tokens"),
    _Column("unpriced", lambda g: f"{g.cost.unpriced:,} unpriced" if g.cost.unpriced else "", "cost"),
)


def render(analysis: Analysis, console: Console) -> None:
    """Print `analysis` on a rich console: two tables with a row for each group, and what they leave out."""
    from rich.text import Text

    console.print(Text(analysis.experiment, style="bold"), Text(_about(analysis), style="dim"), sep="\n")
    if analysis.groups:
        console.print(_table(analysis, _shown(analysis, _REQUESTS)))
        spending = _shown(analysis, _SPENDING)
        if spending and any(group.cost.count or group.tokens.count for group in analysis.groups):
            console.print(_table(analysis, spending))
    else:
        console.print(Text("No requests: the log holds no spans of that sort."))
    if chart := _chart(analysis, console.width):
        console.print(Text(chart))
    for line in _notes(analysis):
        console.print(Text(line))
    silent = []
    for name, entries in (analysis.detail or {}).items():
        found = list(sheets({name: entries}))
        silent += [] if found else [name]
        for sheet in found:
            console.print(Text(f"\n{sheet.title}", style="bold"))
            console.print(small(sheet))
    if silent:
        console.print(Text(f"\nThe log holds nothing for: {', '.join(silent)}."))


def _chart(analysis: Analysis, width: int) -> str:
    """Return a line from p50 to p99 for each group on one scale, with a mark at p95; empty for one group."""
    from rich.cells import cell_len, set_cell_size

    config = analysis.metrics_config
    timed = [group for group in analysis.groups if group.latency.p99 is not None]
    if len(timed) < _FEWEST or len(timed) > _MOST or (config is not None and not config.latency):
        return ""
    most = max(group.latency.p99 or 0.0 for group in timed)
    wide = min(_LABEL, max(cell_len(_label(group)) for group in timed))
    scale = min(width, _WIDEST) - wide - 3
    lines = [f"{'p50 ├ ┼ p95 ┤ p99':>{wide + 2 + scale}}"]
    for group in timed:
        p50, p95, p99 = (float(value or 0.0) for value in (group.latency.p50, group.latency.p95, group.latency.p99))
        lines.append(f" {set_cell_size(_label(group), wide)} {span(p50, p95, p99, most, scale)}".rstrip())
    return "\n".join(lines) + "\n"


def _about(analysis: Analysis) -> str:
    summary, runs = analysis.summary, analysis.runs
    parts = [f"{summary.total_events:,} events"]
    if runs.used or runs.archived or runs.superseded:
        left = [f"{n} {word}" for n, word in ((runs.archived, "archived"), (runs.superseded, "superseded")) if n]
        parts.append(_plural(runs.used, "run") + (f" ({', '.join(left)} left out)" if left else ""))
    if summary.duration_seconds is not None:
        parts.append(f"over {duration(summary.duration_seconds * 1e3)}")
    if summary.time_range.start:
        parts.append(f"from {summary.time_range.start[:19].replace('T', ' ')} UTC")
    return " · ".join(parts)


def _shown(analysis: Analysis, columns: tuple[_Column, ...]) -> tuple[_Column, ...]:
    """Return the columns that the runs' metrics config leaves in."""
    config = analysis.metrics_config
    return tuple(one for one in columns if config is None or getattr(config, one.section, True))


def _table(analysis: Analysis, columns: tuple[_Column, ...]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(" · ".join(analysis.groups[0].key) or analysis.on), overflow="fold")
    for column in columns:
        table.add_column("" if column.title == "unpriced" else column.title, justify="right", overflow="fold")
    for group in analysis.groups:
        table.add_row(Text(_label(group)), *(Text(column.cell(group)) for column in columns))
    return table


def small(sheet: Sheet) -> Table:
    """Return a small table: figures to the right, names to the left, and folded where they are too long."""
    from rich.table import Table
    from rich.text import Text

    named = any(row[0] for row in sheet.rows)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for at, column in enumerate(sheet.columns):
        if at or named:
            figures = at and all(row[at][:1] in _FIGURES for row in sheet.rows)
            table.add_column(Text(column), justify="right" if figures else "left", overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row[0 if named else 1 :]))
    return table


def _label(group: Group) -> str:
    return " · ".join(NOTHING if value is None else str(value) for value in group.key.values()) or "all"


def _notes(analysis: Analysis) -> list[str]:
    """Return one line for each thing that the tables do not say."""
    lines = [f"{_label(group)}: {text}" for group in analysis.groups if (text := _left_out(group))]
    lines += [f"{_label(group)}: errors {text}" for group in analysis.groups if (text := _errors(group))]
    lines += [_custom(metric) for metric in analysis.custom or ()]
    if analysis.ensembles:
        agreement = share(analysis.ensembles.mean_agreement)
        lines.append(f"{_plural(analysis.ensembles.count, 'ensemble')}, mean agreement {agreement}")
    if reasoning := analysis.reasoning:
        sure = "" if reasoning.mean_confidence is None else f", mean confidence {reasoning.mean_confidence:.2f}"
        lines.append(f"{_plural(reasoning.chains, 'chain')} of reasoning, {_plural(reasoning.events, 'event')}{sure}")
    if analysis.sampling_rate < 1:
        lines.append(
            f"Sampled: {share(analysis.sampling_rate)} of the traces were kept; counts and costs are of those."
        )
    if analysis.summary.untimed:
        lines.append(f"{_plural(analysis.summary.untimed, 'event')} without a time")
    return lines


def _custom(metric: CustomMetric) -> str:
    where = " · ".join(str(value) for value in metric.key.values() if value is not None) or "all"
    spread = "" if metric.std_dev is None else f", standard deviation {metric.std_dev:.4g}"
    return f"{where}: {metric.metric} {metric.mean:.4g} on average of {metric.count:,}{spread}"


def _left_out(group: Group) -> str:
    excluded = group.latency.excluded
    parts = ((excluded.failed, "failed"), (excluded.open, "open"), (excluded.no_duration, "without a duration"))
    said = [f"{n:,} {word}" for n, word in parts if n]
    return f"{', '.join(said)}: not in the latencies" if said else ""


def _errors(group: Group) -> str:
    errors = list(group.reliability.errors.items())
    said = [f"{name} {n:,}" for name, n in errors[:_ERRORS_SHOWN]]
    more = len(errors) - _ERRORS_SHOWN
    return ", ".join(said) + (f", and {more} other kinds" if more > 0 else "")


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
