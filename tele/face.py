"""What a user calls by `tele.` to read: each opens the nearest store, asks and closes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tele.store.reader import MEMORY_LIMIT, Store, open_store

if TYPE_CHECKING:
    from tele.analysis import Analysis
    from tele.analysis.comparisons import Comparisons
    from tele.store.runs import RunFacts

__all__ = ["analyze", "compare", "load_run", "open", "page_path", "runs", "view"]

Location = str | os.PathLike[str]
_COMPARED = ("better", "margins", "correction", "failures", "alpha", "power", "sequential")
"""What `analyze` passes on to a comparison."""


def open(  # noqa: A001  # `tele.open` is the name that users expect
    path: Location | None = None, *, memory_limit: str = MEMORY_LIMIT
) -> Store:
    """Open the store at `path`, else the one that this process records into, for reading: one snapshot of it.

    That is the one given to `tele.configure`, else `$TELE_STORE`, else the nearest `.tele`.

    `memory_limit` is DuckDB's share, such as `4GB`; what is larger spills to disk where DuckDB can.
    Raises NoStore, ForeignStore, NewerFormat, DamagedFile or BadInput.
    """
    return open_store(_where(path), memory_limit=memory_limit)


def analyze(
    experiment: str,
    *,
    by: Sequence[str] = (),
    on: str | None = None,
    baseline: str | None = None,
    metrics: Sequence[str] = (),
    fail_if: Sequence[str] = (),
    store: Location | None = None,
    **asked: Any,
) -> Analysis:
    """Summarize an experiment as `tele analyze` does; durations in milliseconds, cost in US dollars.

    `by` are columns or attributes to group by (default `condition`); `on` is `llm`, `root`, `all` or a span's name.
    With `baseline` every other group is compared with it, in `metrics` or all; `better`, `margins`, `correction`,
    `failures`, `alpha` and `sequential` are as for `tele.compare`. `fail_if` are conditions whose `checks` say whether
    they hold. Other keywords are those of `tele.analysis.analyze`.
    Raises UnknownExperiment, BadInput, or what `tele.open` raises.
    """
    from tele.analysis import analyze as run

    options = None
    settings = {name: asked.pop(name) for name in _COMPARED if name in asked}
    if baseline is not None or metrics or settings:
        from tele.analysis.compare import Options

        options = Options(metrics=tuple(metrics), **settings)
    with open_store(_where(store), experiment=experiment) as reader:
        return run(reader, experiment, by=by, on=on, baseline=baseline, options=options, fail_if=fail_if, **asked)


def compare(
    a: str,
    b: str,
    *,
    experiment: str | None = None,
    metrics: Sequence[str] = (),
    on: str | None = None,
    better: Mapping[str, str] | None = None,
    margins: Mapping[str, float] | None = None,
    correction: str | None = None,
    failures: str = "exclude",
    alpha: float = 0.05,
    sequential: bool = False,
    store: Location | None = None,
) -> Comparisons:
    """Compare `b` with the baseline `a`, as `tele compare` does: two conditions, two runs or two experiments.

    Sides are paired by `item_id` where the ids match, replicates averaged first; differences are `b` less `a`.
    `metrics` are `latency` (ms), `cost` (US dollars), `tokens`, `success`, `ttft`, `latency.p99`, or names of recorded
    ones; all where none is named. `better` says `higher` or `lower` by metric, `margins` how small a difference does
    not matter. `correction` is `holm` (default for what is named or declared), `bh` (for the rest), `bonferroni`,
    `max-t` or `none`; `failures` is `exclude` or `as-worst`; `sequential` holds however often a growing run is looked
    at. Raises UnknownTarget, BadInput with the candidates where a name can mean several things, or what `tele.open`
    raises.
    """
    from tele.analysis.compare import Options
    from tele.analysis.compare import compare as run

    options = Options(
        metrics=tuple(metrics),
        better=better or {},
        margins=margins or {},
        correction=correction,
        failures=failures,
        alpha=alpha,
        sequential=sequential,
    )
    with open(store) as reader:
        return run(reader, a, b, experiment=experiment, on=on, options=options)


def view(target: str, output: Location | None = None, *, store: Location | None = None) -> Path:
    """Write the page of an experiment, run, trace or chain to `output` (default `<target>.html`) and return its path.

    Raises UnknownTarget, OSError, or what `tele.open` raises.
    """
    from tele.viewer import view as write

    with open(store) as reader:
        return write(reader, target, page_path(target) if output is None else Path(output))


def runs(experiment: str | None = None, *, path: Location | None = None) -> list[RunFacts]:
    """Say what the log tells of its runs, those of `experiment` where it is named; the newest first.

    None where there is no store yet. Raises what `tele.open` raises.
    """
    from tele.store.runs import runs as read

    return read(experiment, path=_where(path))


def load_run(run_id: str, *, experiment: str | None = None, path: Location | None = None) -> RunFacts:
    """Say what the log tells of one run; reading changes nothing. Raises UnknownTarget, or what `tele.open` raises."""
    from tele.store.runs import load_run as read

    return read(run_id, experiment=experiment, path=_where(path))


def _where(store: Location | None) -> Path | None:
    """The store that is meant: the one that is named, else the one that this process was set up to record into."""
    if store is not None:
        return Path(store)
    from tele.telemetry.process import process

    return process.settings.store


def page_path(target: str) -> Path:
    """Where the page of `target` goes when nobody says: a file in this folder that bears its name, made safe."""
    return Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', target).strip('-.')[:80] or 'tele'}.html")
