"""Commands that compare: compare, plan; and what `tele analyze` is asked beyond figures: baselines, gates, JUnit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tele.cli.app import StoreOption, app

if TYPE_CHECKING:
    from rich.console import Console

    from tele.analysis import Analysis
    from tele.analysis.compare import Options
    from tele.analysis.compare.planning import Plan
    from tele.analysis.comparisons import Check

__all__ = [
    "AlphaOption",
    "BetterOption",
    "CorrectionOption",
    "FailIfOption",
    "FailuresOption",
    "JunitOption",
    "MarginOption",
    "MetricOption",
    "SequentialOption",
    "asked",
    "named",
    "render_judged",
    "settle",
    "wished",
]

_ALPHA = 0.05

MetricOption = Annotated[
    list[str] | None,
    typer.Option("--metric", help="Compare this metric: latency, cost, tokens, success, ttft, latency.p99 or a name."),
]
BetterOption = Annotated[list[str] | None, typer.Option("--better", help="NAME=higher or NAME=lower.")]
MarginOption = Annotated[
    list[str] | None, typer.Option("--margin", help="NAME=VALUE: differences below it do not matter.")
]
CorrectionOption = Annotated[
    str | None, typer.Option("--correction", help="holm, bh, bonferroni, max-t or none; else holm or bh.")
]
FailuresOption = Annotated[
    str, typer.Option("--failures", help="exclude, or as-worst: items that failed or are missing on one side.")
]
AlphaOption = Annotated[float, typer.Option("--alpha", help="Level of the verdicts.")]
SequentialOption = Annotated[
    bool, typer.Option("--sequential", help="Verdicts that hold however often a growing run is looked at.")
]
FailIfOption = Annotated[
    list[str] | None, typer.Option("--fail-if", help='Exit 1 where this holds, such as "p99_ms > 2000".')
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Write gates and guardrails as JUnit XML.")]
FormatOption = Annotated[str, typer.Option("--format", help="table or json.")]


def asked(
    metric: Sequence[str] | None,
    better: Sequence[str] | None,
    margin: Sequence[str] | None,
    correction: str | None,
    failures: str,
    alpha: float = _ALPHA,
    *,
    sequential: bool = False,
) -> Options:
    """Return the options of a comparison; BadInput where one cannot be read."""
    from tele.analysis.compare import Options
    from tele.analysis.compare.metrics import pairs
    from tele.errors import BadInput

    margins = {}
    for name, value in pairs("--margin", margin or ()).items():
        try:
            margins[name] = float(value)
        except ValueError:
            raise BadInput(f"--margin takes NAME=NUMBER, not {value!r} for {name!r}.") from None
    return Options(
        metrics=tuple(metric or ()),
        better=pairs("--better", better or ()),
        margins=margins,
        correction=correction,
        failures=failures,
        alpha=alpha,
        sequential=sequential,
    ).checked()


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="Baseline: a condition, a run or an experiment.")],
    b: Annotated[str, typer.Argument(help="What is compared with it, of the same kind.")],
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Where the two conditions or runs are.")
    ] = None,
    metric: MetricOption = None,
    on: Annotated[str | None, typer.Option("--on", help="llm, root, all, or the name of a span.")] = None,
    better: BetterOption = None,
    margin: MarginOption = None,
    correction: CorrectionOption = None,
    failures: FailuresOption = "exclude",
    alpha: AlphaOption = 0.05,
    sequential: SequentialOption = False,
    fail_if_worse: Annotated[
        list[str] | None, typer.Option("--fail-if-worse", help="Exit 1 where this metric is worse; may stand again.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the checks as JUnit XML.")] = None,
    store: StoreOption = None,
    format_: FormatOption = "table",
) -> None:
    """Compare two conditions, runs or experiments, with a verdict.

    They are compared item by item where item ids match.

    Example: tele compare baseline few-shot --experiment prompt-ab
    """
    from tele.analysis.compare import compare as run
    from tele.analysis.compare.guards import worse
    from tele.analysis.compare.table import render_comparisons
    from tele.cli.output import choice, console, write_facts
    from tele.cli.reading import reading

    choice("--format", format_, ("table", "json"))
    options = asked(named(metric, fail_if_worse), better, margin, correction, failures, alpha, sequential=sequential)
    with reading(store) as reader:
        found = run(reader, a, b, experiment=experiment, on=on, options=options)
    checks = worse(found.comparisons, fail_if_worse or ())
    if format_ == "json":
        write_facts(found.to_dict() | ({"checks": [one.to_dict() for one in checks]} if checks else {}))
    else:
        render_comparisons(found, console())
    _finish(found.experiment or f"{a} and {b}", checks, junit)


@app.command()
def plan(
    experiment: Annotated[str | None, typer.Argument(help="The pilot: an experiment that has run.")] = None,
    metric: Annotated[str, typer.Option("--metric", help="What is to be compared.")] = "success",
    effect: Annotated[float | None, typer.Option("--effect", help="The least difference that matters.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="Condition of the pilot.")] = None,
    treatment: Annotated[str | None, typer.Option("--treatment", help="The other condition of the pilot.")] = None,
    items: Annotated[int | None, typer.Option("--items", help="Plan for so many items.")] = None,
    replicates: Annotated[int | None, typer.Option("--replicates", help="Plan for so many replicates.")] = None,
    sd: Annotated[float | None, typer.Option("--sd", help="Without a pilot: spread between items.")] = None,
    within_sd: Annotated[float | None, typer.Option("--within-sd", help="And between replicates of an item.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Without a pilot: share of successes.")] = None,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Without a pilot: different items on each side.")
    ] = False,
    comparisons: Annotated[int, typer.Option("--comparisons", help="How many are to be tested together.")] = 1,
    alpha: AlphaOption = 0.05,
    power: Annotated[float, typer.Option("--power", help="Chance to find a difference that is there.")] = 0.8,
    on: Annotated[str | None, typer.Option("--on", help="llm, root, all, or the name of a span.")] = None,
    store: StoreOption = None,
    format_: FormatOption = "table",
) -> None:
    """Say how many items and replicates find a difference.

    It reckons from a pilot, and says what a finished run could find.

    Example: tele plan prompt-ab --metric correct --effect 0.05
    """
    from tele.analysis.compare.planning import plan as run
    from tele.analysis.compare.planning import spread
    from tele.cli.output import choice, console, write_facts

    choice("--format", format_, ("table", "json"))
    if experiment is None:
        design = spread(metric, sd=sd, within_sd=within_sd, rate=rate, paired=not unpaired)
    else:
        from tele.analysis.compare.planning import piloted
        from tele.cli.reading import reading

        with reading(store, experiment=experiment) as reader:
            design = piloted(reader, experiment, metric, baseline, treatment, on)
    found = run(
        design, effect=effect, items=items, replicates=replicates, alpha=alpha, power=power, comparisons=comparisons
    )
    if format_ == "json":
        write_facts(found.to_dict())
    else:
        _render_plan(found, console())


def render_judged(result: Analysis, console: Console) -> None:
    """Print the comparisons and the guardrails of an analysis, where it has any."""
    from tele.analysis.compare.table import render_checks, render_comparisons

    if result.significance is not None:
        render_comparisons(result.significance, console)
    render_checks([one for one in result.checks if one.kind == "guardrail"], console)


def settle(result: Analysis, fail_if_worse: Sequence[str] | None, junit: Path | None) -> None:
    """Say which gates failed and end with 1 where one did; write all checks, guardrails too, where `junit` says."""
    from tele.analysis.compare.guards import worse

    _finish(result.experiment, [*result.checks, *worse(result.comparisons, fail_if_worse or ())], junit)


def wished(
    baseline: str | None,
    metric: Sequence[str],
    better: Sequence[str] | None,
    margin: Sequence[str] | None,
    correction: str | None,
    failures: str,
    alpha: float,
    *,
    sequential: bool,
) -> Options | None:
    """Return the options of a comparison where the call says anything of one: else numpy need not be imported."""
    said = (baseline, metric, better, margin, correction, failures != "exclude", alpha != _ALPHA, sequential)
    if not any(said):
        return None
    return asked(metric, better, margin, correction, failures, alpha, sequential=sequential)


def named(metric: Sequence[str] | None, gates: Sequence[str] | None) -> list[str]:
    """Return the metrics that a call names, those of its gates among them."""
    return list(dict.fromkeys([*(metric or ()), *(gates or ())]))


def _finish(experiment: str, checks: Sequence[Check], junit: Path | None) -> None:
    """Write JUnit XML where asked, name what failed on stderr, and end with 1 where a gate did."""
    from tele.cli.output import safe
    from tele.errors import BadInput

    if junit is not None:
        from tele.analysis.compare.junit import junit as xml

        try:
            junit.write_bytes(xml(experiment, checks))
        except OSError as error:
            raise BadInput(f"Cannot write {junit}: {error.strerror}.") from None
    failed = [one for one in checks if not one.ok and one.kind != "guardrail"]
    for one in failed:
        print(f"tele: {safe(one.words)}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _render_plan(found: Plan, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from tele.analysis.compare.words import figure
    from tele.analysis.units import money, number

    kind = "the same items on both sides" if found.paired else "different items on each side"
    unit = found.measured_in
    within = "" if found.within is None else f", {figure(found.within, unit)} between replicates of an item"
    spread = f"standard deviation {figure(found.between, unit)} between items{within}"
    console.print(Text(f"{found.metric}: {kind}; {spread}."))
    if found.pilot_mde is not None:
        able = f"can find a difference of {figure(found.pilot_mde, unit)} or more"
        able = "is too small to find any difference" if found.blind(found.pilot_mde) else able
        console.print(Text(f"The run of {found.pilot_items:,} items {able}."))
    table = Table(box=None, pad_edge=False)
    for name in ("items", "replicates", "finds", "calls", "cost"):
        table.add_column(name, justify="right")
    for step in found.steps:
        cost = money(step.cost_usd)
        finds = "nothing" if found.blind(step.mde) else figure(step.mde, unit)
        table.add_row(number(step.items), number(step.replicates), finds, number(step.calls), cost)
    console.print(table)
    level = f"alpha {found.alpha:g}" + (f" shared by {found.comparisons} comparisons" if found.comparisons > 1 else "")
    console.print(Text(f"At {level}, with power {found.power:g}; calls are items x replicates x 2 sides."))
    if found.note:
        console.print(Text(found.note))
