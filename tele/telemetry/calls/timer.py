"""`tele.timer`: how long something took, as a metric in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from tele.telemetry.ambient import ambient
from tele.telemetry.points import metric
from tele.telemetry.wrap import onto, wrap

__all__ = ["Timer", "timer"]

F = TypeVar("F", bound=Callable[..., Any])


class Timer:
    """A stopwatch by the monotonic clock. Make one with `tele.timer`."""

    def __init__(self, name: str | None, attributes: Mapping[str, Any] | None, fields: dict[str, Any]) -> None:
        self.name = name
        self.ms: float | None = None
        """What the last timing took; None before its end."""
        self._attributes = attributes
        self._fields = fields
        self._begun: list[int] = []

    def __enter__(self) -> Self:
        begun = ambient.monotonic()
        self._begun.append(begun)
        _running.set((*_still(), (self, begun)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now, still = ambient.monotonic(), _still()
        begun = next((at for timer, at in reversed(still) if timer is self), self._begun[-1])
        self._begun.remove(begun)
        _running.set(_still())
        self.ms = (now - begun) / 1e6
        failed = kind is not None and not issubclass(kind, GeneratorExit)
        fields = {"unit": "ms", **({"error_type": kind.__qualname__} if kind and failed else {}), **self._fields}
        metric(self.name or "duration", self.ms, self._attributes, **fields)

    def __call__(self, function: F) -> F:
        """Wrap `function`: each call is a timing, named after it where no name was given; of a class each method."""
        return onto(function, self.name, self._onto)

    def _onto(self, function: F, name: str) -> F:
        return wrap(function, lambda _args, _kwargs: Timer(name, self._attributes, self._fields))


_running: ContextVar[tuple[tuple[Timer, int], ...]] = ContextVar("tele.timers", default=())
"""Timings that began in this thread or task: several may be at work with one timer."""


def _still() -> tuple[tuple[Timer, int], ...]:
    """Those that have not ended, wherever they were ended."""
    return tuple(one for one in _running.get() if one[1] in one[0]._begun)  # noqa: SLF001  # the module's own


@overload
def timer(function: F, /) -> F: ...
@overload
def timer(name: str | None = None, attributes: Mapping[str, Any] | None = None, **fields: Any) -> Timer: ...
def timer(name: Any = None, attributes: Mapping[str, Any] | None = None, **fields: Any) -> Any:
    """Time a block (`with tele.timer("load") as timed:`, then `timed.ms`), or as a decorator, also bare, each call.

    It records a metric of that name in milliseconds, also where an exception ends it: `error_type` says which. A
    generator is timed from its first step to its end. Keywords are as for `tele.metric`.
    """
    if callable(name):
        return Timer(None, None, {})(name)
    return Timer(name, attributes, fields)
