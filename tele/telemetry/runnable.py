"""The class pattern: an experiment as `prepare`, `run` or `execute`, `score` and `cleanup`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from tele.errors import BadInput
from tele.telemetry.experiment import Experiment

if TYPE_CHECKING:
    import asyncio

__all__ = ["Runnable"]


class Runnable:
    """An experiment of four stages; `MyExperiment.launch("name", config)` runs them in one run.

    Subclasses define `run` or `execute`, and may define `prepare`, `score` and `cleanup`; any of them may be a
    coroutine function. `self.config` is what was given, `self.run` the run (also where the class has a method `run`:
    the stage is looked up on the class), `self.result` what `run` or `execute` returned.

    `run` follows `prepare` even where that failed; `score` is left out where `run` failed; `cleanup` always comes. The
    last error of the three is raised, with a note of an earlier one, and each is an event `execution_error`; an error
    of `cleanup` is an event `cleanup_error` and is not raised.
    """

    run: Any

    def __init__(
        self, experiment: object = None, run: Experiment | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        """Take the run to record in; `launch` calls this."""
        self.experiment = experiment
        self.run = run
        self.config = dict(config or {})
        self.result: Any = None

    def prepare(self) -> Any:
        """Set up what the experiment needs."""

    def score(self) -> Any:
        """Judge the result and record metrics."""

    def cleanup(self) -> Any:
        """Give back what was taken."""

    @classmethod
    def launch(cls, name: str, config: Mapping[str, Any] | None = None, **settings: Any) -> Self:
        """Run the stages as one run of experiment `name` and return the object; `settings` are `tele.experiment`'s.

        Raises BadInput where the class has neither `run` nor `execute`, else what a stage raises.
        """
        cls.main_stage()
        with Experiment(name, config=config or None, **settings) as run:
            made = cls(name, run, config)
            made.run = run  # also where a subclass's own __init__ does not say so
            made.carry_out()
        return made

    @classmethod
    def main_stage(cls) -> Callable[..., Any]:
        """Return the stage that does the work, as the class defines it; raises BadInput where it does not."""
        for stage in ("execute", "run"):
            found: Callable[..., Any] | None = getattr(cls, stage, None)
            if callable(found):
                return found
        raise BadInput(f"{cls.__qualname__} has neither a method `run` nor `execute`: define one.")

    def carry_out(self) -> None:
        """Run the stages in the order and by the rules that the class states."""
        loop: list[asyncio.Runner] = []
        try:
            self._stages(loop)
        finally:
            for runner in loop:
                runner.close()

    def _stages(self, loop: list[asyncio.Runner]) -> None:
        try:
            first = self._try("prepare", type(self).prepare, loop)
            last = self._try("execute", type(self).main_stage(), loop)
            if last is None:
                last = self._try("score", type(self).score, loop)
        finally:  # also where somebody interrupts the run
            self._tidy_up(loop)
        if last is not None and first is not None:
            last.add_note(f"Before it, prepare had failed: {first!r}")
        if (raised := last or first) is not None:
            raise raised

    def _tidy_up(self, loop: list[asyncio.Runner]) -> None:
        try:
            self._call(type(self).cleanup, loop)
        except Exception as error:  # noqa: BLE001  # what was measured counts; that it could not tidy up is told
            self.run.log_event("cleanup_error", {"stage": "cleanup", "error": error})

    def _try(self, stage: str, method: Callable[..., Any], loop: list[asyncio.Runner]) -> Exception | None:
        try:
            returned = self._call(method, loop)
        except Exception as error:  # noqa: BLE001  # it is raised when the other stages had their turn
            self.run.log_event("execution_error", {"stage": stage, "error": error})
            return error
        if stage == "execute":
            self.result = returned
        return None

    def _call(self, method: Callable[..., Any], loop: list[asyncio.Runner]) -> Any:
        returned = method(self)
        if not inspect.iscoroutine(returned):
            return returned
        import asyncio

        if not loop:  # one for all stages, so that what one opens another can close
            loop.append(asyncio.Runner())
        return loop[0].run(returned)
