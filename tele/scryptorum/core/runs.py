"""Experiments and runs by hand, and the run that the running code is in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tele.telemetry.ambient import ambient
from tele.telemetry.configure import configure
from tele.telemetry.experiment import Experiment as Run
from tele.telemetry.experiment import current_run
from tele.telemetry.process import flush, process
from tele.telemetry.runs.kinds import RunType, checked, default
from tele.telemetry.scope import OUTSIDE, here

if TYPE_CHECKING:
    from tele.store.runs import RunFacts

__all__ = [
    "Experiment",
    "begun",
    "get_current_run",
    "run_context",
    "run_id",
    "set_current_run",
    "set_default_run_type",
]


class Experiment:
    """One experiment, for its runs. `project_root` is taken and not needed: tele's store holds every experiment."""

    def __init__(self, project_root: str | os.PathLike[str] = ".", name: str = "default") -> None:
        self.project_root = project_root
        self.name = name

    def create_run(self, run_type: RunType | str | None = None, run_id: str | None = None) -> Run:
        """Begin a run, which `finish` ends; a trial stands in the place of the trial before it."""
        return begun(self.name, run_type, run_id)

    def list_runs(self) -> list[RunFacts]:
        """Runs of this experiment, the newest first; empty where there is none."""
        from tele.store.runs import runs

        flush()
        return runs(self.name, path=process.settings.store)

    def load_run(self, run_id: str) -> RunFacts:
        """What the log tells of one run; nothing is written. Raises UnknownTarget."""
        from tele.store.runs import load_run

        flush()
        return load_run(run_id, experiment=self.name, path=process.settings.store)


def begun(name: str, run_type: RunType | str | None = None, id_: str | None = None) -> Run:
    """Begin a run as Scryptorum does."""
    kind = default(process.settings.run_type) if run_type is None else checked(run_type)
    return Run(name, run_type=kind, run_id=id_ or run_id(kind), replace=True).start()


def run_id(kind: RunType) -> str:
    """An id of Scryptorum's shape: `tr-` or `ms-`, the UTC time to the second, and 4 hex digits."""
    now = ambient.now()
    moment = datetime.fromtimestamp(now // 10**9, UTC)
    return f"{'ms' if kind is RunType.MILESTONE else 'tr'}-{moment:%Y%m%d-%H%M%S}-{ambient.ids.run(now)[-4:]}"


def set_default_run_type(run_type: RunType | str) -> None:
    """Say what sort of run it is where the code does not; raises BadInput."""
    configure(run_type=str(run_type))


def get_current_run() -> Run | None:
    """Return the run that the running code is in: of this thread or task, not of the process."""
    return current_run()


def set_current_run(run: Run | None) -> None:
    """Be in `run` from now on, in this thread or task; None leaves whatever run it is in."""
    here.set(OUTSIDE if run is None else run)


@contextmanager
def run_context(run: Run) -> Iterator[Run]:
    """Be in `run` within this block; it does not end the run."""
    with run.active():
        yield run
