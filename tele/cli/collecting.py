"""`tele collect`: an OTLP receiver until Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tele.cli.app import StoreOption, app
from tele.errors import BadInput

__all__ = ["token_in"]


_Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
_Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")]
_Experiment = Annotated[
    str | None,
    typer.Option("--experiment", help="Of records that name none as `tele.experiment`; else `service.name`."),
]
_Durability = Annotated[
    str, typer.Option("--durability", help="process: acknowledged is in write(2); fsync: is on the disk.")
]
_TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="Token that clients must send; else $TELE_COLLECT_TOKEN.")
]
_AllowHost = Annotated[
    list[str] | None, typer.Option("--allow-host", help="A further name that local clients may call this by.")
]
_ReadyFile = Annotated[
    Path | None, typer.Option("--ready-file", help="File that gets the address once requests can come.")
]


@app.command()
def collect(
    host: _Host = "127.0.0.1",
    port: _Port = 4318,
    experiment: _Experiment = None,
    durability: _Durability = "process",
    token_file: _TokenFile = None,
    allow_host: _AllowHost = None,
    ready_file: _ReadyFile = None,
    store: StoreOption = None,
) -> None:
    """Receive OTLP over HTTP into the store: traces, logs, metrics.

    Protobuf or JSON. Any OpenTelemetry SDK or collector can send: its OTLP/HTTP exporter's default endpoint is this
    command's default address. A request that was answered with 200 is in the store, also if this process is killed
    then. Stops on Ctrl-C or SIGTERM, when the requests under way are through.

    Example: tele collect

    Example: OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python app.py
    """
    from tele.cli.output import choice

    choice("--durability", durability, ("process", "fsync"))
    if sys.platform == "win32":
        raise BadInput("tele collect writes a store, which tele does on Linux and macOS.")
    try:
        from tele.telemetry.collect import Bounds, Door
        from tele.telemetry.collect import collect as serve
        from tele.telemetry.collect.intake import Intake
    except ModuleNotFoundError as error:
        if error.name != "h11":
            raise
        raise BadInput("tele collect needs h11: pip install 'tele[server]'.") from error
    from tele.store.layout import network_filesystem, prepare

    token = os.environ.get("TELE_COLLECT_TOKEN") or None if token_file is None else token_in(token_file)
    door, bounds = Door(host, port, token, tuple(allow_host or ())), Bounds()
    layout = prepare(store)
    if network := network_filesystem(layout.root):
        print(f"tele: the store lies on a network file system ({network}): choose a local folder.", file=sys.stderr)
    intake = Intake(layout, "fsync" if durability == "fsync" else "process", experiment, bounds)

    def ready(address: str) -> None:
        print(f"Listening on {address}, into {layout.root}. Ctrl-C stops.", flush=True)
        if ready_file is not None:
            from tele.store.files import replace_file

            replace_file(ready_file, address.encode())

    try:
        counts = serve(intake, door, bounds, ready)
    finally:
        intake.close()
    print(
        f"Took {counts['taken']:,} records in {counts['requests']:,} requests; {counts['known']:,} were there already, "
        f"{counts['rejected']:,} could not be read, {counts['refused']:,} requests were refused."
    )


def token_in(path: Path) -> str:
    """Read the token that clients must send; raises BadInput where there is none or others can read it."""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise BadInput(f"The token cannot be read from {path}: {getattr(error, 'strerror', None) or error}.") from None
    if not token:
        raise BadInput(f"The file {path} holds no token.")
    if path.stat().st_mode & 0o077:
        raise BadInput(f"Others can read the token in {path}; take that right away with `chmod 600 {path}`.")
    return token
