"""Commands that keep a store: check, repair, compact, and `tele store` stats, upgrade, prune."""

from __future__ import annotations

import datetime as dt
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tele.cli.app import StoreOption, app
from tele.errors import BadInput

if TYPE_CHECKING:
    from tele.store.check import CheckReport
    from tele.store.prune import PruneReport
    from tele.store.stats import Stats

__all__ = ["age", "size"]

store_app = typer.Typer(
    help="Figures and housekeeping of a store.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
app.add_typer(store_app, name="store")

WaitOption = Annotated[float, typer.Option("--wait", help="Seconds to wait for another process that holds the store.")]
FormatOption = Annotated[str, typer.Option("--format", help="table or json.")]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@app.command()
def check(
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte again, sealed ones and bodies too.")] = False,
    expect: Annotated[
        str | None,
        typer.Option("--expect", help="A head hash kept elsewhere, which the store must have had.", metavar="HASH"),
    ] = None,
    format_: FormatOption = "table",
    store: StoreOption = None,
) -> None:
    """Say whether the store is what was written.

    Names each damaged file, the place and what is lost. Exits with 0 where nothing is lost and with 1 where something
    is. Notes are worth knowing and lose nothing.

    Example: tele check --deep

    Example: tele check --expect "$(cat head-of-yesterday)"
    """
    from tele.cli.output import choice
    from tele.store.check import check as run_check

    choice("--format", format_, ("table", "json"))
    report = run_check(store, deep=deep, expect=expect)
    _print_check(report, format_)
    if not report.ok:
        sys.exit(1)


@app.command()
def repair(store: StoreOption = None, wait: WaitOption = 10.0) -> None:
    """Set damaged files aside and save what can be proven.

    Nothing is deleted and nothing is guessed. What is set aside lies in quarantine/, and what was done is in the log as
    events `tele.repaired`. It may be interrupted and run again.

    Example: tele repair
    """
    from tele.cli.output import count, safe, write_line
    from tele.store.repair import repair as run_repair

    report = run_repair(store, wait=wait)
    for action in report.actions:
        write_line(safe(f"{action}."))
    if not report.actions:
        write_line("There was nothing to repair.")
        return
    write_line(f"Did {count(len(report.actions), 'thing')}; saved {report.saved:,} rows, lost {report.lost:,}.")
    write_line("See them again with: tele sql \"select time, attributes from events where name = 'tele.repaired'\"")


@app.command()
def compact(store: StoreOption = None, wait: WaitOption = 10.0) -> None:
    """Fold small segments into files of about a million rows.

    They are smaller and faster to read. The old files go ten minutes later, and not while a reader that began before is
    open. It may be interrupted at any instant: what is done stays done.

    Example: tele compact
    """
    from tele.cli.output import human, write_line
    from tele.store.compact import compact as run_compact
    from tele.store.layout import open_layout

    report = run_compact(open_layout(store), wait=wait)
    if not report.before:
        write_line("There was nothing to fold.")
        return
    sizes = f"{human(report.bytes_before)} became {human(report.bytes_after)}"
    write_line(f"Folded {report.before:,} segments into {report.after:,}: {report.rows:,} rows, {sizes}.")


@store_app.command()
def stats(format_: FormatOption = "table", store: StoreOption = None) -> None:
    """Say what the store holds and takes, and the hash of its newest entry.

    Keep that hash elsewhere: `tele check --expect HASH` finds a store that was rolled back or exchanged since.

    Example: tele store stats
    """
    from tele.cli.output import choice
    from tele.store.layout import open_layout
    from tele.store.stats import stats as run_stats

    choice("--format", format_, ("table", "json"))
    _print_stats(run_stats(open_layout(store)), format_)


@store_app.command()
def upgrade(store: StoreOption = None, wait: WaitOption = 10.0) -> None:
    """Bring a store of an older release to this one's format; older releases refuse it afterwards.

    Example: tele store upgrade
    """
    from tele.cli.output import write_line
    from tele.store.upgrade import upgrade as run_upgrade

    report = run_upgrade(store, wait=wait)
    if report.format_before == report.format_after and not report.segments:
        write_line(f"The store is up to date (format {report.format_after}).")
        return
    rewritten = f"; {report.segments:,} segments ({report.rows:,} rows) written anew" if report.segments else ""
    write_line(f"Format {report.format_before} became {report.format_after}{rewritten}.")


@store_app.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Age of a run's last event: 36h, 30d, 8w.", metavar="AGE")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", help="Size to come down to: 500MB, 20GB, 4GiB.", metavar="SIZE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go and change nothing.")] = False,
    store: StoreOption = None,
    wait: WaitOption = 10.0,
) -> None:
    """Remove whole runs, the oldest first; an event for each says what went. A living run is never touched.

    Bodies that nothing refers to any more go with them. The space is free ten minutes later, when the next command
    opens the store.

    Example: tele store prune --older-than 90d --dry-run

    Example: tele store prune --max-size 20GB
    """
    import time

    from tele.store.layout import open_layout
    from tele.store.prune import prune as run_prune

    if older_than is None and max_size is None:
        raise BadInput("Say what goes: --older-than 90d, --max-size 20GB, or both.")
    before = time.time_ns() - round(age(older_than).total_seconds() * 1e9) if older_than is not None else None
    most = size(max_size) if max_size is not None else None
    report = run_prune(open_layout(store), older_than_ns=before, max_bytes=most, dry_run=dry_run, wait=wait)
    _print_prune(report, dry_run=dry_run)


def age(text: str) -> dt.timedelta:
    """Read an age such as `90d`; raises BadInput."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if not found:
        raise BadInput(f"An age is a number and s, m, h, d or w, such as 90d, not {text!r}.")
    try:
        return dt.timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    except OverflowError:
        raise BadInput(f"{text} is older than anything can be.") from None


def size(text: str) -> int:
    """Read a size in bytes such as `20GB` or `4GiB`; raises BadInput."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", text.strip().upper())
    if not found or found[2] not in _UNITS:
        raise BadInput(f"A size is a number and B, kB, MB, GB or TB (or KiB ...), such as 20GB, not {text!r}.")
    try:
        return round(float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise BadInput(f"{text} is more than any disk holds.") from None


def _print_check(report: CheckReport, format_: str) -> None:
    from tele.cli.output import count, safe, write_facts, write_line

    if format_ == "json":
        write_facts({"ok": report.ok, **{name: getattr(report, name) for name in report.__slots__}})
        return
    for finding in report.findings:
        write_line(safe(str(finding)))
    for note in report.notes:
        write_line(safe(f"note: {note}"))
    how = "every byte was read" if report.deep else "sealed files that were verified before were not read again"
    if report.ok:
        write_line(f"Nothing is lost in {safe(report.store)} ({how}).")
    else:
        write_line(
            f"{count(report.findings, 'finding')} in {safe(report.store)} ({how}). `tele repair` saves what can be."
        )


def _print_stats(stats: Stats, format_: str) -> None:
    from tele.cli.output import count, human, safe, write_facts, write_line

    if format_ == "json":
        write_facts(stats)
        return
    small = f", {stats.small:,} of them small: `tele compact` folds them" if stats.small else ""
    writers = ", ".join(f"{number:,} {state}" for state, number in stats.writers.items()) or "none"
    sizes = ", ".join(f"{name} {human(size)}" for name, size in stats.sizes.items() if size)
    for name, value in (
        ("store", safe(stats.path)),
        ("id", stats.id),
        ("format", f"{stats.format}, columns {', '.join(map(str, stats.schemas)) or '-'}"),
        ("size", f"{human(stats.total)} ({sizes})"),
        ("experiments", f"{stats.experiments:,}"),
        ("rows sealed", f"{stats.rows:,} in {count(stats.segments, 'segment')}{small}"),
        ("not sealed", f"{human(stats.unsealed)} of journals; {count(stats.open, 'span')} carried open"),
        ("journals", writers),
        ("entry", f"{stats.entry:,}"),
        ("head", stats.head or "-"),
    ):
        write_line(f"{name:<12} {value}")


def _print_prune(report: PruneReport, *, dry_run: bool) -> None:
    from tele.cli.output import cell, count, human, write_line

    for unit in report.units:
        last = dt.datetime.fromtimestamp((unit.last_ns or 0) / 1e9, dt.UTC)
        what = f"run {cell(unit.run_id)}" if unit.run_id else "outside any run"
        write_line(f"{cell(unit.experiment)}, {what}: {unit.rows:,} rows, {human(unit.bytes)}, until {cell(last)}")
    if not report.units:
        write_line(f"There is nothing to prune; the store's rows take {human(report.size)}.")
        return
    bodies = f" and {count(report.blobs, 'body').replace('bodys', 'bodies')} from blobs/" if report.blobs else ""
    total = f"{count(report.units, 'run')}, {report.rows:,} rows, about {human(report.bytes)}"
    write_line(f"{'Would prune' if dry_run else 'Pruned'} {total}{bodies}; {human(report.size)} stay.")
