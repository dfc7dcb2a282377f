"""`tele scan`: secrets in a store that is there, and their purge."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tele.cli.app import StoreOption, app
from tele.errors import BadInput

if TYPE_CHECKING:
    from tele.store.layout import Layout
    from tele.telemetry.redaction.scan import ScanReport

__all__: list[str] = []

SHOWN = 20


@app.command()
def scan(
    purge: Annotated[bool, typer.Option("--purge", help="Take what is found out of the store's files.")] = False,
    pii: Annotated[bool, typer.Option("--pii", help="Look for personal data as well.")] = False,
    key: Annotated[list[str] | None, typer.Option("--key", help="A name whose values go; may stand again.")] = None,
    pattern: Annotated[
        list[str] | None, typer.Option("--pattern", help="A rule of your own, RE2 syntax.", metavar="NAME=PATTERN")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for other processes when purging.")] = 10.0,
    store: StoreOption = None,
) -> None:
    """Look for secrets in every file of the store.

    Says where they stand, never what they are. Exits with 0 where there is none and with 1 where there is one, or a
    file that cannot be read. `--purge` rewrites the files that hold them: the one command that changes what was
    recorded. What a living process holds in its journal stays until that ends.

    Example: tele scan

    Example: tele scan --pii --pattern ticket='ACME-[0-9]+' --purge
    """
    from tele.cli.output import choice
    from tele.store.layout import open_layout
    from tele.telemetry.redaction.ruleset import set_up
    from tele.telemetry.redaction.scan import scan as run_scan

    choice("--format", format_, ("table", "json"))
    set_up(personal=pii or None, keys=key, patterns=dict(map(_rule, pattern or ())))
    layout = open_layout(store)
    done = _purge(layout, wait) if purge else {}
    report = run_scan(layout)
    _print(report, format_, done)
    if report.total or report.unreadable:  # of what cannot be read nobody knows
        sys.exit(1)


def _rule(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not equals:
        raise BadInput(f"A rule is NAME=PATTERN, such as ticket='ACME-[0-9]+', not {text!r}.")
    return name, pattern


def _purge(layout: Layout, wait: float) -> dict[str, object]:
    import dataclasses

    from tele.store.purge import Cleaner
    from tele.store.purge import purge as run_purge
    from tele.telemetry.redaction import gate
    from tele.telemetry.redaction.ruleset import suspicious

    cleaner = Cleaner(gate.TEXTS, suspicious, gate.row, gate.record, gate.body)
    return dataclasses.asdict(run_purge(layout, cleaner, wait=wait))


def _print(report: ScanReport, format_: str, done: dict[str, object]) -> None:
    from tele.cli.output import count, safe, write_facts, write_line

    if format_ == "json":
        names = ("total", "rules", "files", "hits", "unreadable")
        write_facts({name: getattr(report, name) for name in names} | ({"purged": done} if done else {}))
        return
    if done:
        rewritten = f"{done['rows']:,} rows in {done['segments']:,} segments and {done['bodies']:,} bodies"
        write_line(f"Purged: {rewritten} written anew, {done['entries']:,} entries of the manifest taken away.")
        if done["waiting"]:
            write_line("A reader that began before is still open, so the old files stay: purge again when it is done.")
    for hit in report.hits[:SHOWN]:
        rules = ", ".join(f"{rule} x{number}" if number > 1 else rule for rule, number in sorted(hit.rules.items()))
        write_line(safe(f"{hit.file}, {hit.where}: {rules}"))
    if len(report.hits) > SHOWN:
        write_line(f"... and more; `--format json` lists up to {len(report.hits):,}.")
    for sentence in report.unreadable:
        write_line(safe(sentence))
    if not report.total:
        rest = " in the files that can be read" if report.unreadable else ""
        write_line(f"No secret was found{rest}." if not done else f"No secret is left{rest}.")
        return
    rules = ", ".join(f"{rule} {number:,}" for rule, number in report.rules.most_common())
    write_line(f"{count(report.total, 'secret')} in {count(len(report.files), 'file')} ({rules}).")
    write_line(_advice(report, bool(done)))


def _advice(report: ScanReport, purged: bool) -> str:
    if not purged:
        return "`tele scan --purge` takes them out. Change the credentials all the same: they have been on a disk."
    places = {file.split("/")[0] for file in report.files}
    if places == {"journal"}:
        return "Those are in the journals of processes that still run: purge again when they have ended."
    if "quarantine" in places:
        return "What lies in quarantine/ is yours to delete; a damaged file is `tele repair`'s to mend first."
    return "Run `tele check`: a damaged file is not rewritten."
