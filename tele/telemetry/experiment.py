"""Experiments and their runs: lifecycle events, and the scope that all records within share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, Self, TypeVar

from tele.errors import WrongState
from tele.store.names import experiment_id
from tele.telemetry import pricing
from tele.telemetry.ambient import ambient
from tele.telemetry.environment import cheap_facts, environment
from tele.telemetry.points import record_point
from tele.telemetry.process import process
from tele.telemetry.redact import redact
from tele.telemetry.runs.claims import claim
from tele.telemetry.runs.kinds import RunType, default
from tele.telemetry.runs.plan import DECLARED, Plan, declared, measured
from tele.telemetry.runs.recorder import Recorder
from tele.telemetry.runs.snapshot import Snapshot
from tele.telemetry.samples import Samples
from tele.telemetry.scope import OUTSIDE, Node, Scope, here
from tele.telemetry.span import failure
from tele.telemetry.ticker import ticker
from tele.telemetry.wrap import onto, wrap

__all__ = ["Experiment", "current_run", "experiment"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_log = logging.getLogger("tele")


class Experiment(Recorder):
    """One run of an experiment: `with tele.experiment(name, condition=...)`, a decorator, or `start` and `stop`."""

    __slots__ = (
        "_background",
        "_begun_ns",
        "_ended",
        "_generation",
        "_inner",
        "_paused",
        "_plan",
        "_run_type",
        "_state",
        "_token",
        "run_id",
    )

    def __init__(
        self,
        name: str,
        condition: str | None = None,
        *,
        hypothesis: str | None = None,
        hypotheses: Iterable[str | Mapping[str, Any]] | str | None = None,
        guardrails: Iterable[str] | str | None = None,
        description: str | None = None,
        tags: Iterable[str] | str = (),
        sample_size: int | None = None,
        stop_at_sample_size: bool = False,
        metrics_config: Mapping[str, Any] | Iterable[str] | None = None,
        config: object = None,
        run_type: str | None = None,
        run_id: str | None = None,
        replace: bool = False,
        snapshot: bool = True,
        replicate: int | None = None,
        seed: int | None = None,
        cluster: str | None = None,
        **attributes: Any,
    ) -> None:
        """Name the experiment; nothing is recorded before `with`, or `start`.

        Runs of one name belong together across processes and days.

        `condition`, `replicate`, `seed` and `cluster` are columns of every record within. `sample_size` is the number
        of samples that the plan asks for: distinct item ids, else root spans; with `stop_at_sample_size` root spans
        beyond it are not recorded. `metrics_config` says which of latency, cost, success_rate and tokens an analysis
        shows, and which `custom` metrics. `run_type` is `trial` or `milestone`; a milestone keeps its code (unless
        `snapshot=False`) and artifacts, and is closed once it is finished. A trial with `replace=True` stands in the
        place of earlier trials of its condition and replicate. `hypotheses` (`"correct: few-shot > baseline"`) and
        `guardrails` (`"p99_ms < 2000"`) are declared before the run, and an analysis says so. Other keywords are
        attributes of the run.
        """
        self._plan = Plan.of(
            name,
            {"condition": condition, "replicate": replicate, "seed": seed, "cluster": cluster},
            {
                "hypothesis": hypothesis,
                "hypotheses": declared(hypotheses),
                "guardrails": declared(guardrails),
                "description": description,
                "sample_size": sample_size,
                "stop_at_sample_size": stop_at_sample_size or None,
                "metrics_config": measured(metrics_config),
                "config": config,
            },
            attributes,
            tags=tags,
            run_type=run_type,
            run_id=run_id,
            replace=replace,
            snapshot=snapshot,
            stops=stop_at_sample_size,
        )
        self._unbegun()

    def _unbegun(self) -> None:
        super().__init__(OUTSIDE.scope)
        self.run_id = ""
        self._run_type = self._plan.run_type
        self._token: Token[Node] | None = None
        self._begun_ns: int | None = None
        self._ended = self._paused = False
        self._inner: list[Experiment] = []
        self._state = threading.RLock()  # a signal's handler may stop the run within

    # ── beginning and end ────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        if self._token is not None:  # entered while it runs: that is a run of its own
            again = self._again()
            self._inner.append(again)
            return again.__enter__()  # type: ignore[return-value]  # an Experiment, as this one is
        if not self.running:
            self._begin()
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
        self._end(error)

    def start(self) -> Self:
        """Begin the run without stepping into it: it records what it is told to, and what happens in `active()`.

        `stop` ends it, or leaving a `with` block of it. Raises WrongState where it runs already.
        """
        if self.running:
            raise WrongState("already_running", self.name, "start")
        self._begin()
        return self

    @contextmanager
    def active(self) -> Iterator[Self]:
        """Be in the run within this block, such as in another thread; leaving it does not end the run.

        Raises WrongState where the run has not begun.
        """
        self._check_begun("step into")
        token = here.set(self)
        try:
            yield self
        finally:
            try:
                here.reset(token)
            except ValueError:  # left in another context: that one never saw it
                pass

    def _begin(self) -> None:
        try:
            pricing.load()
        except Exception as error:  # noqa: BLE001  # a run without prices is still a run
            process.lose(error, 0)
        plan, now, above = self._plan, ambient.now(), here.get()
        self._run_type = plan.run_type or default(process.settings.run_type)
        self._begun_ns, self._ended, self._paused = ambient.monotonic(), False, False
        self.run_id, asked = self._identified(now)
        columns = {"experiment": plan.name, "experiment_id": experiment_id(plan.name), "run_id": self.run_id}
        samples = Samples(plan.sample_size, stops=plan.stops) if plan.sample_size else None
        scope = Scope(columns | plan.columns, process.settings.sampling_rate, run=self, samples=samples)
        Node.__init__(self, scope)
        self._tell_start(plan, above.scope.columns.get("run_id"), asked)
        self._look_around(now)
        self._generation = ticker.generation

    def _identified(self, now: int) -> tuple[str, str | None]:
        """The run's id, and the one that was asked for where another run has it."""
        asked = self._plan.run_id
        drawn = ambient.ids.run(now)
        if asked is None:
            return drawn, None
        try:
            if claim(process.layout.root, experiment_id(self.name), asked):
                return asked, None
        except Exception as error:  # noqa: BLE001  # a run whose id cannot be claimed is still a run
            process.lose(error, 0)
            return asked, None
        found = f"{asked}-{drawn[-8:]}"
        told = map(redact, (self.name, asked, found))
        _log.warning("tele: '%s' has a run %s already, and none is written twice: this one is %s.", *told)
        return found, asked

    def _tell_start(self, plan: Plan, parent: str | None, asked: str | None) -> None:
        facts: dict[str, Any] = plan.attributes | {"run_type": self.run_type.value}
        if process.settings.sampling_rate < 1:
            facts["sampling_rate"] = process.settings.sampling_rate
        if parent:
            facts["parent_run_id"] = parent
        if asked:
            facts["asked_run_id"] = asked
        if plan.tags:
            facts["tags"] = plan.tags
        facts["environment"] = cheap_facts(host=process.settings.record_host)
        self._lifecycle("started", facts)
        if process.settings.sampling_rate < 1:
            self._lifecycle("sampled", {"sampling_rate": process.settings.sampling_rate})
        if "metrics_config" in plan.attributes:
            self._lifecycle("configured", {"metrics_config": plan.attributes["metrics_config"]})
        before: dict[str, Any] = {key: plan.attributes[key] for key in DECLARED if key in plan.attributes}
        if before:
            self._lifecycle("declared", before)
        if plan.replace and self.run_type is RunType.TRIAL:
            self._lifecycle("replaced", {"run_type": self.run_type.value})

    def _look_around(self, now: int) -> None:
        """Record the environment, and a milestone's code, in a thread of its own: git may take its time."""
        keeps = self.run_type is RunType.MILESTONE and self._plan.snapshot
        # Drawn here, so that ids do not depend on how fast the thread is.
        ids = ambient.ids.event(now), ambient.ids.event(now) if keeps else None
        self._background = threading.Thread(target=self._record_around, args=ids, name="tele-environment", daemon=True)
        try:
            self._background.start()
        except RuntimeError as error:
            process.lose(error, int(keeps))

    def _record_around(self, of_environment: str, of_snapshot: str | None) -> None:
        node = Node(self.scope)
        facts = {"environment": environment(host=process.settings.record_host)}
        _record(node, "environment", facts, event_id=of_environment)
        if of_snapshot is not None:
            Snapshot(node).take(of_snapshot)

    def _end(self, error: BaseException | None) -> None:
        """End the run once, and not in a forked child: there it is its parent's."""
        if self._generation != ticker.generation:
            return
        try:
            if self._background.is_alive():
                self._background.join(60.0 if self.run_type is RunType.MILESTONE else 2.0)
        finally:  # who does not want to wait interrupts the wait, not the end
            with self._state:
                ended, self._ended = self._ended, True
            if not ended:
                self._tell_end(error)
            process.seal_soon()

    def _tell_end(self, error: BaseException | None) -> None:
        facts: dict[str, Any] = {"duration_seconds": (ambient.monotonic() - (self._begun_ns or 0)) / 1e9}
        if (samples := self.scope.samples) is not None:
            facts |= {"samples": samples.count} | ({"left_out": samples.left_out} if samples.left_out else {})
        failed: dict[str, Any] = {}
        if error is not None:
            failed |= failure(failed, error)
        if failed.pop("success", True):
            if self._plan.stops and self.full:
                facts["reason"] = "sample_size"
            self._lifecycle("stopped", facts)
        else:
            self._lifecycle("failed", failed | facts)
        if self.run_type is RunType.MILESTONE:
            try:
                process.finish(self.scope.encoded)
            except Exception as fault:  # noqa: BLE001  # there is no store to close it in
                process.lose(fault, 0)

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self._plan.name

    @property
    def run_type(self) -> RunType:
        """Trial or milestone."""
        return self._run_type or default(process.settings.run_type)

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended; a paused run runs."""
        return self._begun_ns is not None and not self._ended

    @property
    def closed(self) -> bool:
        """Whether it takes no more records: a milestone that is finished."""
        return self._ended and self.run_type is RunType.MILESTONE

    def pause(self) -> None:
        """Say that the run rests; what is recorded meanwhile is kept. Raises WrongState where it cannot."""
        self._turn("pause", paused=True)

    def resume(self) -> None:
        """Say that the run goes on. Raises WrongState where it is not paused."""
        self._turn("resume", paused=False)

    def _turn(self, what: str, *, paused: bool) -> None:
        with self._state:
            if not self.running:
                raise WrongState("not_running", self.name, what)
            if self._paused is paused:
                raise WrongState("already_paused" if paused else "not_paused", self.name, what)
            self._paused = paused
        self._lifecycle("paused" if paused else "resumed", {})

    def stop(self) -> None:
        """End the run now; once is enough, and leaving its `with` block then says nothing more.

        Raises WrongState where it has not begun.
        """
        self._check_begun("stop")
        if not self._ended:
            self._end(None)

    def finish(self) -> None:
        """End the run, as `stop` does."""
        self.stop()

    def archive(self) -> None:
        """Leave the run out of later analyses; its events stay. Raises WrongState where it has not begun."""
        self._check_begun("archive")
        self._lifecycle("archived", {})

    # ── its samples ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def full(self) -> bool:
        """Whether it has as many samples as its plan asks for; False where the plan names no size."""
        return self.scope.samples is not None and self.scope.samples.full

    def samples(self, items: Iterable[T]) -> Iterator[T]:
        """Give the items one by one, each a sample, until the plan's size is reached; all where it names none."""
        for item in items:
            if self.scope.samples is not None and not self.scope.samples.take():
                return
            yield item

    # ── as a decorator ───────────────────────────────────────────────────────────────────────────────────────────

    def __call__(self, function: F) -> F:
        """Wrap `function`: each call is a run of its own. Of a class it is its `execute`, `run` or `__call__`."""
        only = ("execute", "run", "__call__")
        return onto(function, None, lambda each, _: wrap(each, lambda *_: self._again()), only=only)

    def _again(self) -> Experiment:
        again = object.__new__(Experiment)
        again._plan = self._plan
        again._unbegun()
        return again

    def _check_begun(self, what: str) -> None:
        if self._begun_ns is None:
            raise WrongState("not_running", self.name, what)

    def _lifecycle(self, what: str, attributes: dict[str, Any]) -> None:
        _record(Node(self.scope), what, attributes)


experiment = Experiment


def current_run() -> Experiment | None:
    """Return the run of this process that the running code is in, or None."""
    run = here.get().scope.run
    return run if isinstance(run, Experiment) else None


def _record(node: Node, what: str, attributes: dict[str, Any], **columns: Any) -> None:
    record_point("event", f"tele.experiment.{what}", columns, {}, attributes, node=node)
