"""Experiments and their runs: lifecycle events, and the scope that all records within share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextvars import Token
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from tele.store.names import experiment_id
from tele.telemetry import pricing
from tele.telemetry.ambient import ambient
from tele.telemetry.environment import cheap_facts, environment
from tele.telemetry.fields import fit
from tele.telemetry.plain import plain
from tele.telemetry.points import record_point
from tele.telemetry.process import process
from tele.telemetry.scope import Node, Scope, here
from tele.telemetry.span import inherited
from tele.telemetry.ticker import ticker
from tele.telemetry.wrap import wrap

__all__ = ["Experiment", "experiment"]

F = TypeVar("F", bound=Callable[..., Any])
_OURS = frozenset({"environment", "sampling_rate", "parent_run_id"})
"""Attributes of a run that tele sets itself."""


class Experiment(Node):
    """One run of an experiment: `with tele.experiment(name, condition=...)`, or a decorator."""

    __slots__ = ("_arguments", "_ended", "_environment", "_generation", "_inner", "_token", "name", "run_id")

    def __init__(
        self,
        name: str,
        condition: str | None = None,
        *,
        hypothesis: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | str = (),
        sample_size: int | None = None,
        replicate: int | None = None,
        seed: int | None = None,
        cluster: str | None = None,
        **attributes: Any,
    ) -> None:
        """Name the experiment; nothing is recorded before `with`.

        Runs of one name belong together across processes and days.

        `condition`, `replicate`, `seed` and `cluster` are columns of every record within. `sample_size` is the number
        of items that the plan asks for. Other keywords are attributes of the run.
        """
        self.name = _text(name)
        given = {"condition": condition, "replicate": replicate, "seed": seed, "cluster": cluster}
        columns = {key: value for key, value in given.items() if value is not None}
        fitted = inherited(columns)
        misfits = {f"user.{key}": value for key, value in columns.items() if key not in fitted}
        told = {f"user.{key}" if key in _OURS else key: value for key, value in attributes.items()} | misfits
        self._arguments: dict[str, Any] = {
            "columns": fitted,
            "tags": fit("tags", tags) or [],
            "attributes": {
                key: value
                for key, value in (
                    ("hypothesis", hypothesis),
                    ("description", description),
                    ("sample_size", sample_size),
                    *told.items(),
                )
                if value is not None
            },
        }
        self.run_id = ""
        self._token: Token[Node] | None = None
        self._ended = False
        self._inner: list[Experiment] = []

    def __enter__(self) -> Self:
        if self._token is not None:  # entered while it runs: that is a run of its own
            again = self._again()
            self._inner.append(again)
            return again.__enter__()  # type: ignore[return-value]  # an Experiment, as this one is
        try:
            pricing.load()
        except Exception as error:  # noqa: BLE001  # a run without prices is still a run
            process.lose(error, 0)
        self._ended = False
        now = ambient.now()
        above = here.get()
        self.run_id = ambient.ids.run(now)
        identity = {"experiment": self.name, "experiment_id": experiment_id(self.name), "run_id": self.run_id}
        super().__init__(Scope(identity | self._arguments["columns"], process.sampling_rate))
        facts = dict(self._arguments["attributes"])
        if process.sampling_rate < 1:
            facts["sampling_rate"] = process.sampling_rate
        if parent := above.scope.columns.get("run_id"):
            facts["parent_run_id"] = parent
        if self._arguments["tags"]:
            facts["tags"] = self._arguments["tags"]
        facts["environment"] = cheap_facts(host=process.record_host)
        self._lifecycle("started", facts)
        if process.sampling_rate < 1:
            self._lifecycle("sampled", {"sampling_rate": process.sampling_rate})
        drawn = ambient.ids.event(now)  # here, so that ids do not depend on how fast the thread is
        self._environment = threading.Thread(
            target=self._record_environment, args=(drawn,), name="tele-environment", daemon=True
        )
        try:
            self._environment.start()
        except RuntimeError as error:
            process.lose(error, 0)
        self._generation = ticker.generation
        self._token = here.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inner and (node := here.get()) is not self:
            inner = next((run for run in self._inner if run is node), self._inner[-1])
            self._inner.remove(inner)
            inner.__exit__(kind, error, trace)
            return
        token, self._token = self._token, None
        if token is None:
            return
        try:
            here.reset(token)
        except ValueError:  # left in another context than it was entered in: that one never saw it
            pass
        if self._generation != ticker.generation:  # a forked child leaves the block: the run is its parent's
            return
        if self._environment.is_alive():
            self._environment.join(2.0)
        if not self._ended:
            self._end(error)
        process.seal_soon()

    def _end(self, error: BaseException | None) -> None:
        if error is None or isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
            self._lifecycle("stopped", {})
            return
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        self._lifecycle("failed", {"error_type": name, "error_message": error})

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pause(self) -> None:
        """Say that the run rests; what is recorded meanwhile is kept."""
        self._lifecycle("paused", {})

    def resume(self) -> None:
        """Say that the run goes on."""
        self._lifecycle("resumed", {})

    def stop(self) -> None:
        """End the run now; leaving the `with` block then says nothing more."""
        if not self._ended:
            self._ended = True
            self._lifecycle("stopped", {})

    def archive(self) -> None:
        """Leave the run out of later analyses; its events stay."""
        self._lifecycle("archived", {})

    def __call__(self, function: F) -> F:
        """Wrap `function`: each call is a run of its own."""
        return wrap(function, self._again)

    def _again(self) -> Experiment:
        again = Experiment(self.name)
        again._arguments = self._arguments
        return again

    def _lifecycle(self, what: str, attributes: dict[str, Any], **columns: Any) -> None:
        record_point("event", f"tele.experiment.{what}", columns, {}, attributes, node=Node(self.scope))

    def _record_environment(self, event_id: str) -> None:
        facts = {"environment": environment(host=process.record_host)}
        self._lifecycle("environment", facts, event_id=event_id)


experiment = Experiment


def _text(name: object) -> str:
    """`name` as text, whatever it is."""
    try:
        return str(name)
    except Exception:  # noqa: BLE001  # a name that cannot say itself is still no reason to fail the program
        return orjson.dumps(plain(name)).decode()
