"""Commands about money: price, reprice."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tele.cli.app import StoreOption, app

if TYPE_CHECKING:
    from pathlib import Path

    from tele.telemetry.prices import Price, Usage
    from tele.telemetry.prices.reprice import Repriced
    from tele.telemetry.prices.tables import Tables

__all__: list[str] = []

FormatOption = Annotated[str, typer.Option("--format", help="table or json.")]
AtOption = Annotated[str | None, typer.Option("--at", help="Prices of this day (UTC).", metavar="DATE")]


@app.command()
def price(
    model: Annotated[str, typer.Argument(help="As a program or a provider calls it.")],
    provider: Annotated[str | None, typer.Option("--provider", help="Whose API; else the name's prefix says.")] = None,
    at: AtOption = None,
    tier: Annotated[str | None, typer.Option("--tier", help="batch, flex, priority, ...; else standard.")] = None,
    input_: Annotated[int, typer.Option("--input", min=0, help="Tokens read, cached ones included.")] = 0,
    output: Annotated[int, typer.Option("--output", min=0, help="Tokens written, reasoning included.")] = 0,
    cached: Annotated[int, typer.Option("--cached", min=0, help="Part of the input from the cache.")] = 0,
    cache_write: Annotated[int, typer.Option("--cache-write", min=0, help="Part of the input into the cache.")] = 0,
    cache_write_1h: Annotated[int, typer.Option("--cache-write-1h", min=0, help="Part of that kept an hour.")] = 0,
    reasoning: Annotated[int, typer.Option("--reasoning", min=0, help="Part of the output.")] = 0,
    store: StoreOption = None,
    format_: FormatOption = "table",
) -> None:
    """Show what a model costs, by which row of which table.

    Example: tele price gpt-4o --input 1200 --cached 1000 --output 300

    Example: tele price us.anthropic.claude-sonnet-4-5-20250929-v1:0 --at 2026-01-31
    """
    from tele.cli.output import choice
    from tele.errors import BadInput
    from tele.telemetry.prices import Usage

    choice("--format", format_, ("table", "json"))
    usage = Usage(input_, output, cached, cache_write, reasoning, cache_write_1h)
    if not usage.sound:
        raise BadInput("--cached and --cache-write are parts of --input, --reasoning is a part of --output.")
    when = _day(at) or datetime.now(UTC)
    tables = _tables(store)
    asked = (tier or "").strip().lower()
    asked = "" if asked in ("standard", "default") else asked
    found = tables.each(provider, model, when, asked or None)
    if not found:
        raise _unknown(tables, provider, model, when, asked)
    facts = _facts(found, _tiers(tables, provider, model, when), usage, when)
    _print_price(facts, format_)


@app.command()
def reprice(
    experiment: Annotated[str, typer.Argument(help="Name of the experiment.")],
    at: Annotated[
        str | None, typer.Option("--at", help="By the prices of this day; else each call's own.", metavar="DATE")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also calls whose source states their cost.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    store: StoreOption = None,
    format_: FormatOption = "table",
) -> None:
    """Price an experiment's calls again, by the tables of today.

    Lists the models that have no price. What was recorded stays: two amendments are appended for each call whose cost
    changes, and none when it is done again. A call that has no price keeps the cost that it has.

    Example: tele reprice prompt-ab --dry-run
    """
    from tele.cli.output import choice
    from tele.cli.reading import known_experiment, reading
    from tele.errors import StoreBusy
    from tele.store.layout import prepare
    from tele.store.seal import seal
    from tele.telemetry.prices.amending import amend
    from tele.telemetry.prices.reprice import Plan

    choice("--format", format_, ("table", "json"))
    when = _day(at)
    with reading(store) as reader:
        known_experiment(reader, experiment)
        plan = Plan(reader, _tables(reader.path), experiment, at=when, everything=everything)
        figures = plan.figures()
        layout, events = reader.layout, 0
        if figures.changed and not dry_run:
            layout = prepare(reader.path)
            events = amend(layout, plan)
    if events:
        with suppress(StoreBusy):  # they are in the journal: whoever seals next takes them
            seal(layout, wait=30.0)
    _print_repriced(figures, events, experiment, format_, dry_run=dry_run)


def _tables(store: Path | None) -> Tables:
    from tele.telemetry.prices.tables import Tables
    from tele.telemetry.pricing import own_table

    return Tables(own_table(store))


def _day(text: str | None) -> datetime | None:
    """Midnight UTC of a date, or the moment that `text` names; raises BadInput."""
    from tele.errors import BadInput

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--at is a date such as 2026-07-01, not {text!r}.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


# ── price ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _unknown(tables: Tables, provider: str | None, model: str, when: datetime, tier: str) -> Exception:
    from tele.errors import BadInput

    if tier and (tiers := _tiers(tables, provider, model, when)):
        return BadInput(f"No price table has a rate of tier {tier!r} for {model!r}. It has: {', '.join(tiers)}.")
    whose = f" of {provider!r}" if provider else ""
    if provider and (other := tables.find(None, model, when)):
        near = f" Without --provider it is {other.row} of {other.table}."
    else:
        names = tables.near(provider, model, when)
        near = f" Nearest: {', '.join(names)}." if names else ""
    return BadInput(f"No price table knows {model!r}{whose}.{near} A row of your own gives it a price (prices.toml).")


def _tiers(tables: Tables, provider: str | None, model: str, when: datetime) -> list[str]:
    from tele.telemetry.prices.usage import TIERS

    return [tier or "standard" for tier in (None, *TIERS) if tables.find(provider, model, when, tier)]


def _facts(found: list[Price], tiers: list[str], usage: Usage, when: datetime) -> dict[str, Any]:
    rows = [
        {
            "table": price.table,
            "version": price.version,
            "row": price.row,
            "tier": price.tier or "standard",
            "holds": price.holds,
            "name": price.rule,
            "used": price is found[0],
            "price_ref": price.cost(usage)[1],
            "cost_usd": price.usd(usage) if any(usage) else None,
            "steps": [{"above": max(step.above, 0), **step.rates._asdict()} for step in price.steps],
        }
        for price in found
    ]
    used = rows[0]
    return {"at": f"{when:%Y-%m-%d}", "cost_usd": used["cost_usd"], "price_ref": used["price_ref"], "tiers": tiers} | {
        "usage": usage._asdict(),
        "rows": rows,
    }


def _print_price(facts: dict[str, Any], format_: str) -> None:
    from rich.table import Table

    from tele.cli.output import console, safe, write_facts, write_line

    if format_ == "json":
        write_facts(facts)
        return
    for row in facts["rows"]:
        kind = "Used" if row["used"] else "Also"
        text = (
            row["table"],
            row["version"],
            row["row"],
            "" if row["tier"] == "standard" else row["tier"],
            row["holds"],
        )
        why = "the name as it is" if row["name"] == "as it is" else f"the name {row['name']}"
        write_line(safe(f"{kind}: {' '.join(filter(None, text))}  ({why})"))
        table = Table(box=None, pad_edge=False)
        columns = [key for key in row["steps"][0] if key != "request" or any(step["request"] for step in row["steps"])]
        for key in columns:
            table.add_column(key.replace("_", " "), justify="right")
        for step in row["steps"]:
            table.add_row(*(f"{step[key]:,}" if key == "above" else _rate(step[key]) for key in columns))
        console().print(table)
    write_line(f"US dollars per million tokens, for prompts of more tokens than `above`, on {facts['at']}.")
    write_line(f"Service tiers with a price: {', '.join(facts['tiers'])}.")
    if any(facts["usage"].values()):
        cost = facts["cost_usd"]
        write_line("This row has no rate for some of these tokens." if cost is None else f"Cost: ${cost:.6g}")


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.6g}"


# ── reprice ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _print_repriced(figures: Repriced, events: int, experiment: str, format_: str, *, dry_run: bool) -> None:
    from dataclasses import asdict

    from tele.cli.output import count, safe, write_facts, write_line

    if format_ == "json":
        write_facts({"experiment": experiment, "dry_run": dry_run, "amendments": events, **asdict(figures)})
        return
    did = "would change" if dry_run else "changed"
    write_line(f"{count(figures.changed, 'call')} of {figures.calls:,} {did}; {figures.stated:,} came with their cost.")
    write_line(f"Total before: {_usd(figures.old_usd)}. Total now: {_usd(figures.new_usd)}.")
    if events:
        write_line(f"Appended {count(events, 'amendment')}; what was recorded is as it was (events_raw).")
    for one in figures.unpriced:
        whose = f" of {one.provider}" if one.provider else ""
        tier = f", tier {one.tier}" if one.tier else ""
        kept = f"; {one.kept:,} keep the cost that they have" if one.kept else ""
        name = one.model or "(no model)"
        write_line(safe(f"No price: {name}{whose}{tier}: {count(one.calls, 'call')}, {one.why}{kept}."))
    sys.stdout.flush()


def _usd(total: float | None) -> str:
    return "no cost known" if total is None else f"${total:,.6f}"
