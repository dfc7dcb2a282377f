"""`tele ingest`: whose experiment the files are, and a progress bar."""

from __future__ import annotations

import sys
from pathlib import Path

from tele.store.layout import prepare
from tele.telemetry.ingest.driver import IngestReport
from tele.telemetry.ingest.into import ingest_into

__all__ = ["bring_in"]


def bring_in(
    paths: list[Path],
    store: Path | None,
    *,
    experiment: str | None,
    format_: str | None,
    select: str | None,
    strict: bool,
) -> IngestReport:
    """Ingest `paths` into the store; without a name, the first path's own is the experiment's."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} records"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("reading", total=None)
        return ingest_into(
            prepare(store),
            paths,
            experiment=experiment or _named(paths[0]),
            format=format_,
            select=select,
            strict=strict,
            on_progress=lambda file, count: bar.update(task, description=Path(file).name, completed=count),
        )


def _named(path: Path) -> str:
    resolved = path.resolve()
    name = resolved.name
    return (name.split(".")[0] or name) if not resolved.is_dir() else name
