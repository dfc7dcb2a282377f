"""Commands that write: demo, ingest, seal, score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tele.cli.app import StoreOption, app
from tele.errors import TeleError

__all__: list[str] = []


@app.command()
def demo(
    store: StoreOption = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the page goes.")] = Path("demo.html"),
) -> None:
    """Run a small experiment offline, analyze it and write its page.

    Two conditions, 40 items, 3 replicates: simulated models with votes, causal reasoning, errors and retries, all
    through the public face of tele. Takes a few seconds.

    Example: tele demo
    """
    from tele.cli.demo import run_demo
    from tele.cli.output import console

    run_demo(store, output, console())


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", metavar="PATH...")],
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Experiment that the rows go to; else the file's name.")
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help="One of the formats below; else found out.")] = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select", help="A SELECT over `source`, the file, whose columns are columns of events.", metavar="SQL"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take nothing of a file that has a malformed record.")
    ] = False,
    output: Annotated[str, typer.Option("--report", help="table or json.")] = "table",
    store: StoreOption = None,
) -> None:
    """Bring foreign traces and tables into the log.

    Reads OTLP (otlp, otlp-protobuf), OpenTelemetry console JSON (console), tempo, jaeger, zipkin, langfuse, Inspect's
    .eval and .json (inspect), scryptorum, TensorBoard's tfevents and chrome traces; with --select any CSV, JSON or
    Parquet file. A file that was ingested before adds nothing. A malformed record is counted and named, and the rest
    is taken.

    Example: tele ingest traces/ --experiment nightly

    Example: tele ingest calls.csv --experiment bench --select "SELECT ms AS duration_ms, model FROM source"
    """
    from tele.cli.bringing import bring_in
    from tele.cli.output import choice, print_ingest

    choice("--report", output, ("table", "json"))
    report = bring_in(paths, store, experiment=experiment, format_=format_, select=select, strict=strict)
    print_ingest(report, output)
    if not report.records_read and report.problems:
        sys.exit(2)


@app.command()
def seal(
    store: StoreOption = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for another sealer.")] = 10.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing, and run at low priority.")] = False,
) -> None:
    """Fold the journals into sorted, immutable Parquet segments.

    A run does this by itself when it ends; the command is for what a killed process left behind.

    Example: tele seal
    """
    import os

    from tele.cli.output import count, safe
    from tele.store.layout import open_layout
    from tele.store.seal import seal as run_seal

    if quiet:
        os.nice(10)
    report = run_seal(open_layout(store), wait=wait)
    for line in report.damage:
        print(f"tele: {safe(line)}", file=sys.stderr)
    if not quiet:
        rows, segments, spans = count(report.rows, "row"), count(report.segments, "segment"), count(report.open, "span")
        print(f"Sealed {rows} into {segments}; still open: {spans}.")


@app.command()
def score(
    target: Annotated[str, typer.Argument(help="Span id or event id.")],
    name: Annotated[str, typer.Argument(help="A column of events, or a name of your own, which becomes an attribute.")],
    value: Annotated[str, typer.Argument(help="JSON, else text.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    store: StoreOption = None,
) -> None:
    """Add a late score, label or correction.

    What was written stays; `events` shows the latest.

    Example: tele score 24c80e5f4e52ad95 helpfulness 0.8 --reason "second reading"
    """
    import tele
    from tele.errors import UnknownTarget
    from tele.store.layout import prepare
    from tele.store.reader import open_store

    with open_store(store) as reader:
        found = reader.rows(
            "SELECT event_id FROM events_raw WHERE event_id = $t OR (span_id = $t AND kind = 'span')", {"t": target}
        )
        root = reader.path
    if not found:
        raise UnknownTarget(target)
    prepare(root)
    tele.configure(store=root, seal="manual", durability="fsync")
    tele.score(target, name, _json_or_text(value), reason=reason)
    if lost := tele.dropped():
        raise TeleError(f"The score was not recorded: {'; '.join(lost)}.")
    print(f"Recorded {name} = {value} for {target}.")


def _json_or_text(value: str) -> Any:
    import orjson

    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
