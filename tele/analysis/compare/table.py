"""Comparisons as people read them: a table for terminals, HTML for notebooks, and the sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from html import escape
from typing import TYPE_CHECKING

from tele.analysis.compare.words import absent, figure, figures, p_text
from tele.analysis.comparisons import Check, Comparison, Comparisons
from tele.analysis.deeper import Sheet
from tele.analysis.table import small
from tele.analysis.units import NOTHING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["html", "render_checks", "render_comparisons", "sentences"]

_COLUMNS = ("metric", "treatment", "n", "difference", "interval", "p", "adjusted", "verdict")
_NAMES = frozenset({"metric", "treatment"})
"""Columns of texts that are the user's, and may be long."""
_READABLE, _ENDLESS = 10, 10_000
"""Letters of a name that stand in one line at least, and a width that no table has."""


def _cells(one: Comparison, baseline: str | None) -> tuple[str, ...]:
    against = "" if one.baseline == baseline else f" - {one.baseline or figure(one.reference, one.measured_in)}"
    return (
        one.metric,
        f"{one.treatment}{against}",
        f"{one.n:,}" if isinstance(one.n, int) else f"{one.n[1]:,} - {one.n[0]:,}",
        figure(one.difference, one.measured_in),
        figures(one.difference_interval, one.measured_in) or "-",
        p_text(one.p_value),
        p_text(one.p_adjusted),
        one.verdict,
    )


def render_comparisons(found: Comparisons, console: Console) -> None:
    """Print the comparisons: figures in a table, then what they mean, why each test, and what was left out.

    Where the terminal is too narrow the intervals are left to the sentences.
    """
    from rich.text import Text

    if found.comparisons:
        left_out: set[str] = (
            set() if len({_cells(one, found.baseline)[1] for one in found.comparisons}) > 1 else {"treatment"}
        )
        table = _table(found, left_out)
        if console.measure(table, options=console.options.update(max_width=_ENDLESS)).maximum > console.width:
            table = _table(found, left_out | {"interval"})
        _print(console, table)
    else:
        console.print("Nothing could be compared.")
    for line in sentences(found):
        console.print(Text(line))


def _table(found: Comparisons, left_out: AbstractSet[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    only = f"{_cells(found.comparisons[0], found.baseline)[1]} against " if "treatment" in left_out else "Against "
    title = Text(f"{only}{found.baseline or ''}", style="table.title")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    rows = [_cells(one, found.baseline) for one in found.comparisons]
    shown = [at for at, name in enumerate(_COLUMNS) if name not in left_out]
    for at in shown:
        name = _COLUMNS[at]
        left = name in _NAMES or name == "verdict"
        least = min(_READABLE, max(len(row[at]) for row in rows)) if name in _NAMES else None
        table.add_column(
            name, justify="left" if left else "right", no_wrap=least is None, min_width=least, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(row[at]) for at in shown))
    return table


def _print(console: Console, table: Table) -> None:
    console.print()
    console.print(table)
    console.print()


def sentences(found: Comparisons) -> list[str]:
    """Return a line for each verdict, each hypothesis, each omnibus test, and each thing that was left out."""
    lines = [one.words for one in found.comparisons]
    lines += [_size(one) for one in found.comparisons if one.effect is not None or one.mde is not None or one.also]
    lines += _reasons(found.comparisons)
    for one in found.comparisons:
        names = (one.baseline or "", one.treatment)
        if text := absent(one.missing, names):
            lines.append(f"{one.metric}: {text}")
    lines += [
        f"{one.metric}, {', '.join(one.conditions)}: {one.test} p {p_text(one.p_value)} ({one.why})"
        for one in found.omnibus
    ]
    for said in found.hypotheses:
        when = "before the first sample" if said["registered"] else "after the first sample"
        lines.append(f"Hypothesis {said['hypothesis']!r}, declared {when}: {said['outcome']}")
    return lines + list(found.notes)


def _size(one: Comparison) -> str:
    parts = []
    if one.effect is not None:
        between = "" if one.effect.interval is None else f" ({figures(one.effect.interval)})"
        parts.append(f"{one.effect.name} {figure(one.effect.value)}{between}")
    if one.mde is not None:
        parts.append(f"the least difference that {_units(one)} find is {figure(one.mde, one.measured_in)}")
    parts += [f"by {each.test} p {p_text(each.p_value)}" for each in one.also]
    return f"{one.metric}, {one.treatment}: {'; '.join(parts)}"


def _units(one: Comparison) -> str:
    n = f"{one.n:,}" if isinstance(one.n, int) else f"{one.n[0]:,} and {one.n[1]:,}"
    return f"{n} {one.unit}s"


def _reasons(comparisons: Sequence[Comparison]) -> Iterable[str]:
    """One line for each test and reason, with the metrics that it is of, and how their p-values are adjusted."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in comparisons:
        if one.test is not None:
            reasons.setdefault((one.test, one.why), []).append(one.metric)
    for (test, why), metrics in reasons.items():
        yield f"{test} for {', '.join(dict.fromkeys(metrics))}: {why}"
    corrections = dict.fromkeys(one.correction for one in comparisons if one.p_value is not None)
    if corrections:
        yield f"p-values adjusted: {', '.join(corrections)}"


def render_checks(checks: Sequence[Check], console: Console) -> None:
    """Print what was asked of the figures, a row for each group, and whether it is well; below why a figure is none."""
    from rich.text import Text

    titles = ("state", "group", "guardrail", "figure", "95 % interval", "declared")
    rows = [_asked(one) for one in checks]
    columns = [at for at in range(len(titles)) if any(row[at] for row in rows)]
    if rows:
        picked = (tuple(row[at] for at in columns) for row in rows)
        console.print()
        console.print(small(Sheet("", tuple(titles[at] for at in columns), tuple(picked))))
    for one in checks:
        if one.value is None:
            console.print(Text(one.words))


def _asked(one: Check) -> tuple[str, ...]:
    figured = NOTHING if one.value is None else figure(one.value)
    declared = "" if one.registered is None else "beforehand" if one.registered else "after the first sample"
    return ("ok" if one.ok else "FAILED", one.group, one.said, figured, figures(one.interval), declared)


def html(found: Comparisons) -> str:
    """Return the table and the sentences as HTML that a notebook shows; every text is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(one, found.baseline))}</tr>"
        for one in found.comparisons
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in sentences(found))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><ul>{said}</ul>"
