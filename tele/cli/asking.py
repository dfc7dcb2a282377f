"""Commands that read: experiments, runs, analyze, sql, view, tail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tele.cli.app import StoreOption, app
from tele.cli.comparing import (
    AlphaOption,
    BetterOption,
    CorrectionOption,
    FailIfOption,
    FailuresOption,
    JunitOption,
    MarginOption,
    MetricOption,
    SequentialOption,
    named,
    settle,
    wished,
)
from tele.cli.figures import (
    BudgetOption,
    DetailOption,
    LastOption,
    LevelOption,
    OutcomeOption,
    PricesOption,
    SqlOption,
    WhereOption,
    looking,
    print_analysis,
)

__all__: list[str] = []

FormatOption = Annotated[str, typer.Option("--format", help="table or json.")]


@app.command()
def experiments(store: StoreOption = None, format_: FormatOption = "table") -> None:
    """List the experiments of the store.

    Example: tele experiments
    """
    from tele.cli.output import print_rows
    from tele.cli.reading import reading

    query = """SELECT experiment, status, n_runs AS runs, n_events AS events, conditions, first, last FROM experiments
               ORDER BY last DESC NULLS LAST, experiment"""
    with reading(store) as reader:
        print_rows(
            reader, query, format_, empty="No experiments yet. Run `tele demo`, or record with `tele.experiment`."
        )


@app.command()
def runs(
    experiment: Annotated[str | None, typer.Argument(help="Only runs of this experiment.")] = None,
    store: StoreOption = None,
    format_: FormatOption = "table",
) -> None:
    """List runs and their state.

    They are running, stopped, failed, interrupted or archived; a run whose process died without ending it is
    `interrupted`.

    Example: tele runs prompt-ab
    """
    from tele.cli.output import print_rows
    from tele.cli.reading import known_experiment, reading

    with reading(store) as reader:
        where = f"WHERE experiment = {known_experiment(reader, experiment)}" if experiment else ""
        query = f"""SELECT run_id, experiment, condition, status, run_type AS type, started, ended,
                           n_spans AS spans, n_open AS open
                    FROM runs {where} ORDER BY started NULLS LAST, run_id"""
        print_rows(reader, query, format_, empty="No runs yet. Run `tele demo`, or record with `tele.experiment`.")


@app.command()
def analyze(
    experiment: Annotated[str, typer.Argument(help="Name of the experiment.")],
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Group by this column or attribute; may stand again.")
    ] = None,
    on: Annotated[str | None, typer.Option("--on", help="llm, root, all, or the name of a span.")] = None,
    last: LastOption = None,
    where: WhereOption = None,
    detail: DetailOption = None,
    budget: BudgetOption = None,
    slo: LevelOption = 0.999,
    outcome: OutcomeOption = "correct",
    prices: PricesOption = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="Compare the other conditions with this.")] = None,
    metric: MetricOption = None,
    better: BetterOption = None,
    margin: MarginOption = None,
    correction: CorrectionOption = None,
    failures: FailuresOption = "exclude",
    alpha: AlphaOption = 0.05,
    sequential: SequentialOption = False,
    fail_if: FailIfOption = None,
    fail_if_worse: Annotated[
        list[str] | None, typer.Option("--fail-if-worse", help="Exit 1 where this metric is worse than the baseline.")
    ] = None,
    junit: JunitOption = None,
    sql_: SqlOption = False,
    store: StoreOption = None,
    format_: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
) -> None:
    """Summarize an experiment: latency, cost, reliability, tokens.

    Example: tele analyze prompt-ab --by model

    Example: tele analyze prompt-ab --last 24h --where "provider = 'openai'" --detail latency --detail traces
    """
    from tele.analysis import analyze as run_analysis
    from tele.analysis.aggregations import Recorder
    from tele.cli.output import choice, write_line
    from tele.cli.reading import reading

    choice("--format", format_, ("table", "json", "csv"))
    with reading(store, experiment=experiment) as reader:
        metrics = named(metric, fail_if_worse)
        options = wished(baseline, metrics, better, margin, correction, failures, alpha, sequential=sequential)
        recorder = Recorder(reader)
        result = run_analysis(
            recorder if sql_ else reader,
            experiment,
            by=by or (),
            on=on,
            baseline=baseline,
            options=options,
            fail_if=fail_if or (),
            **looking(last, where, detail, budget, slo, outcome, prices),
        )
    if sql_:
        write_line(recorder.text())
        return
    print_analysis(result, format_)
    settle(result, fail_if_worse, junit)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT.")] = None,
    views: Annotated[bool, typer.Option("--views", help="Print the SQL of the views instead.")] = False,
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write to.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="DuckDB's share, such as 4GB; else 800MB.")] = None,
    store: StoreOption = None,
) -> None:
    """Ask SQL over the store: read-only, no row cap.

    Views: events, spans, metrics, tools, llm_calls, wrappers, experiments, runs, artifacts, votes, ensembles, hedges,
    reasoning, chains, chain_versions.

    Example: tele sql "select model, sum(cost_usd) from llm_calls group by model"
    """
    from tele.cli.output import choice, print_views, write_result
    from tele.cli.reading import reading
    from tele.errors import BadInput

    choice("--format", format_, ("table", "csv", "json", "parquet"))
    if views:
        print_views()
        return
    if query is None:
        raise BadInput('Give a query, such as: tele sql "select * from runs". `tele sql --views` prints the views.')
    with reading(store, memory=memory) as reader:
        write_result(reader.sql(query), format_, output)


@app.command()
def view(
    target: Annotated[str, typer.Argument(help="Experiment, run, trace or chain.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; else <target>.html.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: StoreOption = None,
) -> None:
    """Write one self-contained HTML page that opens from disk.

    Example: tele view prompt-ab -o prompt-ab.html
    """
    from tele.cli.reading import reading
    from tele.cli.showing import write_page

    with reading(store) as reader:
        path = write_page(reader, target, output)
    print(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    if open_:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


@app.command()
def tail(
    experiment: Annotated[str | None, typer.Argument(help="Only this experiment.")] = None,
    lines: Annotated[int, typer.Option("-n", "--lines", help="How many past events to print first.")] = 20,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on with what is being recorded.")] = True,
    store: StoreOption = None,
) -> None:
    """Print events as they are recorded, by any process. Ctrl-C ends it.

    Example: tele tail prompt-ab
    """
    from tele.cli.tailing import tail as run_tail

    run_tail(store, experiment, lines, follow=follow)
