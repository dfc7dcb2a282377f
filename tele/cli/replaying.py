"""`tele replay`: a stored experiment to an OTLP endpoint."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer

from tele.cli.app import StoreOption, app
from tele.errors import BadInput

__all__: list[str] = []


@app.command()
def replay(
    experiment: Annotated[str, typer.Argument(help="Name of the experiment.")],
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", help="Base address; else $OTEL_EXPORTER_OTLP_ENDPOINT.", metavar="URL"),
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="Send one run alone.", metavar="RUN")] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="http/protobuf or http/json; else http/protobuf.")
    ] = None,
    compression: Annotated[str | None, typer.Option("--compression", help="gzip or none.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="A header, as NAME=VALUE; may stand again.", metavar="H")
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds of one try; else 10.")] = None,
    patience: Annotated[float, typer.Option("--patience", help="Seconds that a request is tried again for.")] = 60.0,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    store: StoreOption = None,
) -> None:
    """Send a stored experiment to an OTLP endpoint.

    Spans, log records and metrics go over HTTP. Corrections are applied, and secrets are looked for again before a byte
    leaves. 429, 502, 503, 504 and failing connections are tried again. Headers with credentials stand better in
    $OTEL_EXPORTER_OTLP_HEADERS than in the list of processes. Exit code 1 says that the endpoint did not take every
    item.

    Example: tele replay prompt-ab --endpoint http://localhost:4318
    """
    import orjson

    from tele.cli.output import choice, safe
    from tele.cli.reading import reading
    from tele.store.names import experiment_id

    choice("--format", output, ("table", "json"))
    headers = dict(_header(text) for text in header or [])
    with reading(store, experiment=experiment_id(experiment)) as reader:
        from tele.telemetry.otel.replaying import send

        done = send(
            reader,
            experiment,
            endpoint,
            run=run,
            protocol=protocol,
            compression=compression,
            headers=headers,
            timeout=timeout,
            patience=patience,
        )
    if output == "json":
        print(orjson.dumps(dataclasses.asdict(done)).decode())
    else:
        sent = f"{done.spans:,} spans with {done.span_events:,} events, {done.log_records:,} log records and "
        print(f"Sent {sent}{done.data_points:,} data points to {safe(done.endpoint)} in {done.requests:,} requests.")
        if done.open:
            print(f"{done.open:,} spans have not ended and were left out.")
    if done.rejected:
        said = f" It says: {'; '.join(done.messages)}" if done.messages else ""
        print(f"tele: the endpoint did not take {done.rejected:,} items.{safe(said)}", file=sys.stderr)
        raise typer.Exit(1)


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise BadInput("--header is NAME=VALUE.")
    return name.strip(), value.strip()
