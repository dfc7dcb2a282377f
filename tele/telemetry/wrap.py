"""One way to put a context manager around any kind of function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

from tele.telemetry.scope import here

__all__ = ["Entered", "wrap"]

F = TypeVar("F", bound=Callable[..., Any])


class Entered(Protocol):
    """What `wrap` puts around a call."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


def wrap(function: F, make: Callable[[], Entered]) -> F:
    """Return `function` with `make()` entered around each call.

    Around a generator it is entered at the first step and left at the end; between the steps the caller is where it
    was.
    """
    if inspect.isasyncgenfunction(function):
        return cast("F", _async_generator(function, make))
    if inspect.iscoroutinefunction(function):
        return cast("F", _coroutine(function, make))
    if inspect.isgeneratorfunction(function):
        return cast("F", _generator(function, make))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with make():
            return function(*args, **kwargs)

    return cast("F", call)


def _coroutine(function: Callable[..., Any], make: Callable[[], Entered]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with make():
            return await function(*args, **kwargs)

    return call


def _generator(function: Callable[..., Any], make: Callable[[], Entered]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps: Generator[Any, Any, Any] = function(*args, **kwargs)
        guard = _Swap(make())
        try:
            step: Callable[[], Any] = functools.partial(next, steps)
            while True:
                with guard:
                    try:
                        value = step()
                    except StopIteration as stop:
                        returned = stop.value
                        break
                try:
                    step = functools.partial(steps.send, (yield value))
                except GeneratorExit:
                    with guard:
                        steps.close()
                    raise
                except BaseException as error:  # noqa: BLE001  # thrown in by the caller: it is the generator's to handle
                    step = functools.partial(steps.throw, error)
        except BaseException as error:
            guard.leave(error)
            raise
        guard.leave(None)
        return returned

    return call


def _async_generator(function: Callable[..., Any], make: Callable[[], Entered]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        guard = _Swap(make())
        try:
            sent, thrown = None, None
            while True:
                with guard:
                    try:
                        value = await (steps.asend(sent) if thrown is None else steps.athrow(thrown))
                    except StopAsyncIteration:
                        break
                sent, thrown = None, None
                try:
                    sent = yield value
                except GeneratorExit:
                    with guard:
                        await steps.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  # thrown in by the caller: it is the generator's to handle
                    thrown = error
        except BaseException as error:
            guard.leave(error)
            raise
        guard.leave(None)

    return call


class _Swap:
    """Stands in the span during a step of a generator, and in the caller's place between the steps.

    Only tele's own variable is swapped: the user's context variables pass in and out as they do without a span.
    """

    def __init__(self, entered: Entered) -> None:
        self._here = here
        outside = here.get()
        self._entered = entered
        entered.__enter__()
        self._inside = here.get()
        here.set(outside)

    def __enter__(self) -> None:
        self._outside = self._here.get()
        self._here.set(self._inside)

    def __exit__(self, *_: object) -> None:
        self._inside = self._here.get()
        self._here.set(self._outside)

    def leave(self, error: BaseException | None) -> None:
        outside = self._here.get()
        self._here.set(self._inside)
        self._entered.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        self._here.set(outside)
