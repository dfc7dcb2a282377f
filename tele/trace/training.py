"""Training as a chain: metrics by step become events of the training types."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from numbers import Real
from typing import Any, TypeVar

import orjson

from tele.errors import BadInput
from tele.telemetry.plain import plain
from tele.telemetry.points import metric
from tele.telemetry.process import process
from tele.telemetry.span import Span, failure
from tele.telemetry.wrap import wrap
from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.record import record_chain

__all__ = ["Training", "from_training_metrics", "trace_training"]

F = TypeVar("F", bound=Callable[..., Any])
_ABOUT = ("step", "epoch", "timestamp", "created_at", "checkpoint", "early_stopped")
"""Keys of a row that are no metrics."""
_TYPES = ("loss_computed", "gradient_computed", "reward_received", "metric_recorded")


class Training(Span):
    """A span `training`: `log` records the metrics of a step, and at the end the whole is recorded as a chain."""

    __slots__ = ("_begun", "_rows", "config", "training")

    def __init__(self, name: str, config: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Take the name of the training and what it is run with; keywords are as for `tele.span`."""
        self.training = str(name)
        self.config = dict(config or {})
        self._rows: list[Mapping[str, Any]] = []
        about = {"training": self.training} | {f"config.{key}": value for key, value in self.config.items()}
        super().__init__("training", about, **fields)

    def log(self, row: Mapping[str, Any] | None = None, **metrics: Any) -> None:
        """Record the metrics of one step, each as a metric of that step, and keep them for the chain.

        A row is as for `from_training_metrics`, and is held until the end. Never raises: one without a step counts as
        lost.
        """
        try:
            said = {**(row or {}), **metrics}
            step = _step(said, len(self._rows))
            for name, value in _metrics(said).items():
                metric(name, value, step=step)
            self._rows.append(said)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error)

    def _write(self, end: int, error: BaseException | None) -> None:
        try:
            record_chain(self._chain(error), node=self)
        except Exception as fault:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(fault)
        self._rows = []
        super()._write(end, error)

    def _chain(self, error: BaseException | None) -> Chain:
        said = dict(self._fields)
        if error is not None:
            failure(said, error)
        return from_training_metrics(
            self._rows,
            self.training,
            config=self.config,
            failed=said.get("error_type"),
            chain_id=f"{self.span_id}{self.trace_id[:16]}",
        )

    def _again(self) -> Training:
        return Training(self.training, self.config, **self._fields)

    def _onto(self, function: F, name: str) -> F:  # noqa: ARG002  # a training has a name of its own
        return wrap(function, lambda _args, _kwargs: self._again())


trace_training = Training


def from_training_metrics(
    rows: Iterable[Mapping[str, Any]],
    name: str = "training",
    *,
    config: Mapping[str, Any] | None = None,
    failed: str | None = None,
    chain_id: str | None = None,
) -> Chain:
    """Return rows of metrics as a chain: what began, what was measured at each step, how it ended.

    A row has `step`, may have `epoch`, `timestamp` (a time, ISO 8601 or seconds since 1970), `checkpoint` (where it was
    saved) and `early_stopped` (true, or why); every other number is a metric. Names with `loss` make a `loss_computed`,
    with `grad` a `gradient_computed`, with `reward` a `reward_received`, others a `metric_recorded`. `failed` says what
    ended it before its time. Raises BadInput for a row that is no mapping or has no step.
    """
    building = _Building(name, dict(config or {}))
    for number, row in enumerate(rows):
        building.take(row, number)
    events = building.end(failed)
    said = orjson.dumps(plain([name, building.config, *([e.type, e.decision, dict(e.metadata)] for e in events)]))
    identity = chain_id or hashlib.sha256(said).hexdigest()[:32]
    return Chain(identity, name, tuple(events), metadata={"config": building.config} if building.config else {})


class _Building:
    """Events so far, the epoch that is open and the last value of each metric."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.name = name
        self.config = config
        self.events: list[ReasoningEvent] = []
        self.last: dict[str, tuple[float, float]] = {}
        self.epoch: Any = None
        self.epoch_id: str | None = None
        self.stopped = ""
        said = ", ".join(f"{key} {value}" for key, value in config.items())
        self.add("training_started", f"Train {name}", f"With {said}." if said else "No configuration was given.", {})

    def add(
        self, type_: str, decision: str, why: str, more: dict[str, Any], when: dt.datetime | None = None
    ) -> ReasoningEvent:
        inner = self.epoch_id if self.epoch_id is not None else "1"
        event = ReasoningEvent(
            type_,
            decision,
            why,
            str(len(self.events) + 1),
            parent=inner if self.events else None,
            created_at=when,
            metadata=more,
        )
        self.events.append(event)
        return event

    def take(self, row: Mapping[str, Any], number: int) -> None:
        step = _step(row, number)
        when = _time(row)
        about: dict[str, Any] = {"step": step}
        if (epoch := row.get("epoch")) is not None:
            if epoch != self.epoch:
                self.close_epoch(when)
                self.epoch = epoch
                self.epoch_id = self.add("epoch_started", f"Epoch {epoch}", f"At step {step:g}.", about, when).id
            about["epoch"] = epoch
        groups: dict[str, dict[str, float]] = {}
        for name, value in _metrics(row).items():
            groups.setdefault(_type(name), {})[name] = value
        for type_ in _TYPES:
            if found := groups.get(type_):
                decision = ", ".join(f"{name} {value:g}" for name, value in found.items())
                why = " ".join(self.since(name, value) for name, value in found.items())
                self.add(type_, f"{decision} at step {step:g}", why, about | found, when)
                self.last |= {name: (step, value) for name, value in found.items()}
        if saved := row.get("checkpoint"):
            self.add("checkpoint_saved", f"Save {saved}", f"At step {step:g}.", about, when)
        if stopped := row.get("early_stopped"):
            self.stopped = "" if stopped is True else str(stopped)
            self.add("early_stopped", f"Stop at step {step:g}", self.stopped or "No reason was given.", about, when)

    def since(self, name: str, value: float) -> str:
        if name not in self.last:
            return f"The first {name}."
        step, before = self.last[name]
        return f"{name} {value - before:+.6g} since step {step:g}."

    def close_epoch(self, when: dt.datetime | None) -> None:
        if self.epoch_id is not None:
            self.add("epoch_completed", f"Epoch {self.epoch} done", self.values(), {"epoch": self.epoch}, when)
            self.epoch_id = None

    def values(self) -> str:
        said = ", ".join(f"{name} {value:g}" for name, (_, value) in self.last.items())
        return f"Last values: {said}." if said else "No metric was recorded."

    def end(self, failed: str | None) -> list[ReasoningEvent]:
        when = self.events[-1].created_at
        more: dict[str, Any] = {"status": "ok"}
        if failed is None:
            self.close_epoch(when)
        else:  # an epoch that was cut off was not completed
            self.epoch_id = None
            more = {"status": "error", "error_type": failed}
        more |= {name: value for name, (_, value) in self.last.items()}
        decision = f"{self.name} done" if failed is None else f"{self.name} failed: {failed}"
        self.add("training_completed", decision, self.values(), more, when)
        return self.events


def _step(row: Mapping[str, Any], number: int) -> float:
    if not isinstance(row, Mapping):
        raise BadInput(f"Row {number} of the metrics is no mapping but {type(row).__name__}.")
    step = row.get("step")
    if isinstance(step, bool) or not isinstance(step, Real) or not isfinite(found := float(step)):
        raise BadInput(f"Row {number} of the metrics has no step: give each row a number as 'step'.")
    return int(found) if found.is_integer() else found


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row that are its metrics; what `float` takes but is no Real (a tensor of one) is one too."""
    found = {}
    for name, value in row.items():
        if name in _ABOUT or value is None or isinstance(value, (str, bytes, Mapping)):
            continue
        try:
            found[str(name)] = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue
    return found


def _type(name: str) -> str:
    lower = name.lower()
    for word, type_ in (("loss", "loss_computed"), ("grad", "gradient_computed"), ("reward", "reward_received")):
        if word in lower:
            return type_
    return "metric_recorded"


def _time(row: Mapping[str, Any]) -> dt.datetime | None:
    said: object = row.get("timestamp", row.get("created_at"))
    try:
        if isinstance(said, str):
            said = dt.datetime.fromisoformat(said)
        elif isinstance(said, (int, float)):
            said = dt.datetime.fromtimestamp(float(said), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(said, dt.datetime):
        return None
    return said if said.tzinfo is not None else said.replace(tzinfo=dt.UTC)
