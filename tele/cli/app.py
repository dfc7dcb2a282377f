"""The commands and what they share: the store option, the exit codes, the sentence on an error.

Exit codes: 0 done, 1 the answer is no (or its reader has gone), 2 cannot be done as asked, 130 interrupted. A TeleError
is one sentence on stderr; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Protocol

import typer
from typer.core import TyperGroup

from tele.errors import TeleError

__all__ = ["StoreOption", "app", "main"]

ROOMS = {
    "Record": ("demo", "ingest", "collect", "score"),
    "Ask": ("experiments", "runs", "analyze", "compare", "plan", "sql", "chain", "tail"),
    "Show and send": ("view", "replay"),
    "Keep": ("check", "repair", "seal", "compact", "archive", "scan", "store"),
    "Price": ("price", "reprice"),
}
"""Every command, under the word for what one does with it; `tele --help` shows them so."""


class Paper(Protocol):
    """What help is written on."""

    def section(self, name: str) -> AbstractContextManager[None]:
        """Begin a part under a heading."""

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write names, and beside each what it means."""


class Overview(TyperGroup):
    """The commands by room, each with its first sentence."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002  # the same for every call
        """Return the names in the order of the rooms."""
        return [name for room in ROOMS.values() for name in room]

    def format_commands(self, ctx: object, formatter: Paper) -> None:
        """Write a section for each room."""
        widest = max(map(len, self.list_commands(ctx)))
        for room, names in ROOMS.items():
            with formatter.section(room):
                formatter.write_dl(
                    [(name.ljust(widest), self.commands[name].get_short_help_str(limit=80)) for name in names]
                )


app = typer.Typer(
    name="tele",
    cls=Overview,
    help="Telemetry for experiments with language models, kept on your own disk: record, query, analyze, view.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the store; else $TELE_STORE, else the nearest .tele.", metavar="PATH"),
]


def main() -> None:
    """Run the command line; ends the process."""
    try:
        app(standalone_mode=True)
    except TeleError as error:
        from tele.cli.output import safe

        print(f"tele: {safe(str(error))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        raise
    except OSError as error:
        from tele.cli.output import safe

        where = f": {error.filename}" if error.filename else ""
        print(f"tele: {safe((error.strerror or str(error)) + where)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"tele {version('tele')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Telemetry for experiments with language models, kept on your own disk: record, query, analyze, view."""


from tele.cli import asking, chains, collecting, comparing, keeping, pricing, recording, replaying, running, scanning  # noqa: E402, F401  # each registers its commands on `app`
