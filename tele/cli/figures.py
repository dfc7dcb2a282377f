"""Options of `tele analyze` that say what is looked at, and printing: tables, JSON as the contract, CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tele.cli.output import console, write_line

if TYPE_CHECKING:
    from tele.analysis.figures import Analysis

__all__ = [
    "BudgetOption",
    "DetailOption",
    "LastOption",
    "LevelOption",
    "OutcomeOption",
    "PricesOption",
    "SqlOption",
    "WhereOption",
    "looking",
    "print_analysis",
]

_SECTIONS = "latency, cost, reliability, timeline, load, traces, ensembles, hedging, reasoning"
LastOption = Annotated[str | None, typer.Option("--last", help="Only what began within so long: 24h, 90m, 7d.")]
WhereOption = Annotated[str | None, typer.Option("--where", help="Only rows for which this expression of SQL holds.")]
DetailOption = Annotated[
    list[str] | None, typer.Option("--detail", help=f"Look deeper: {_SECTIONS}, or all; may stand again.")
]
BudgetOption = Annotated[float | None, typer.Option("--budget", help="Dollars: how many requests they buy.")]
LevelOption = Annotated[float, typer.Option("--slo", help="Share that is promised to succeed, for the error budget.")]
OutcomeOption = Annotated[str, typer.Option("--outcome", help="Metric that says what was right.")]
PricesOption = Annotated[
    str | None, typer.Option("--prices", help="What it would have cost by this table (TOML).", metavar="PATH")
]
SqlOption = Annotated[bool, typer.Option("--sql", help="Print the questions that this asks the log, as SQL.")]


def looking(
    last: str | None,
    where: str | None,
    detail: Sequence[str] | None,
    budget: float | None,
    slo: float,
    outcome: str,
    prices: str | None,
) -> dict[str, Any]:
    """Return what an analysis looks at, as its options; a budget or a price table asks for the section on cost."""
    sections = [*(detail or ()), *(["cost"] if budget is not None or prices is not None else ())]
    asked = {"budget_usd": budget, "service_level": slo, "outcome": outcome, "prices": prices}
    return {"last": last, "where": where, "detail": sections} | asked


def print_analysis(result: Analysis, format_: str) -> None:
    """Print `result` as a table, JSON or CSV."""
    import orjson

    from tele.analysis.table import render
    from tele.cli.comparing import render_judged

    if format_ == "json":
        write_line(orjson.dumps(result.to_dict(), option=orjson.OPT_INDENT_2).decode())
    elif format_ == "csv":
        write_line(_csv(result).rstrip("\n"))
    else:
        render(result, console())
        render_judged(result, console())


def _csv(result: Analysis) -> str:
    """The groups with the names of the JSON, dots between them; a list is its JSON."""
    import orjson

    from tele.analysis.frames import rows
    from tele.exporters.csv_lines import csv_writer

    lines = rows(result.to_dict(), None)
    out = io.StringIO()
    writer = csv_writer(out)
    if lines:
        writer.writerow(lines[0])
    for line in lines:
        writer.writerow([orjson.dumps(value).decode() if isinstance(value, list) else value for value in line.values()])
    return out.getvalue()
