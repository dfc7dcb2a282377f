"""`tele.batch`: a function of one item becomes a function of many, batch by batch, in threads or tasks if asked."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator, Sized
from contextlib import aclosing, contextmanager
from itertools import islice
from typing import Any, Self, TypeVar, overload

from tele.errors import BadInput
from tele.telemetry.ambient import ambient
from tele.telemetry.calls.capture import is_method
from tele.telemetry.points import event
from tele.telemetry.wrap import is_coroutine_function, onto

__all__ = ["batch"]

F = TypeVar("F", bound=Callable[..., Any])
Outcome = tuple[Any, BaseException | None]
STARTED, COMPLETED, FINISHED = "batch_processing_started", "batch_completed", "batch_processing_finished"


@overload
def batch(function: F, /) -> Callable[..., Any]: ...
@overload
def batch(*, batch_size: int = 10, parallel: bool = False, name: str | None = None) -> Callable[[F], F]: ...
def batch(function: Any = None, /, *, batch_size: int = 10, parallel: bool = False, name: str | None = None) -> Any:
    """Let a function of one item take many: `f(items)` gives the list of results, in the order of the items.

    Items are taken `batch_size` at a time from anything that can be looped over (async iterables too, where the
    function is a coroutine function); further arguments go to each call. `parallel` runs the items of a batch at once:
    in threads, which see the caller's context variables, or as tasks where the function is a coroutine function. A
    generator function gives the values of all items one after the other. Recorded are the events
    `batch_processing_started`, `batch_completed` for each batch, and `batch_processing_finished`, with sizes, failures
    and `duration_ms`. The first exception in the order of the items is raised after its batch. Raises BadInput.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise BadInput(f"batch_size is a whole number from 1 on, not {batch_size!r}.")

    def decorate(thing: F) -> F:
        return onto(thing, name, lambda found, called: _Batch(found, called, batch_size, parallel).function())

    return decorate if function is None else decorate(function)


class _Batch:
    """One function that was decorated."""

    def __init__(self, function: Callable[..., Any], name: str, size: int, parallel: bool) -> None:
        self._function = function
        self._name = name
        self._size = size
        self._parallel = parallel
        self._skip = 1 if is_method(function) else 0
        self._parameter = _parameter(function, self._skip)

    def function(self) -> Callable[..., Any]:
        """The function that takes many items, of the same sort as the one that takes one."""
        if inspect.isasyncgenfunction(self._function):
            return functools.wraps(self._function)(self._async_generator())
        if is_coroutine_function(self._function):
            return functools.wraps(self._function)(self._coroutine())
        if inspect.isgeneratorfunction(self._function):
            return functools.wraps(self._function)(self._generator())
        return functools.wraps(self._function)(self._plain())

    def _plain(self) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> list[Any]:
            items, one = self._bound(self._function, args, kwargs)
            return [value for batch in self._batches(items, one) for value in batch]

        return call

    def _generator(self) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            items, one = self._bound(lambda *a, **k: list(self._function(*a, **k)), args, kwargs)
            for batch in self._batches(items, one):
                for values in batch:
                    yield from values

        return call

    def _coroutine(self) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> list[Any]:
            items, one = self._bound(self._function, args, kwargs)
            return [value async for batch in self._async_batches(items, one) for value in batch]

        return call

    def _async_generator(self) -> Callable[..., Any]:
        async def listed(*args: Any, **kwargs: Any) -> list[Any]:
            return [value async for value in self._function(*args, **kwargs)]

        async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            items, one = self._bound(listed, args, kwargs)
            async with aclosing(self._async_batches(items, one)) as batches:
                async for batch in batches:
                    for values in batch:
                        for value in values:
                            yield value

        return call

    def _bound(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Callable[[Any], Any]]:
        """The items, and the call of one of them with all other arguments."""
        before, after = args[: self._skip], args[self._skip + 1 :]
        if len(args) > self._skip:
            return args[self._skip], lambda item: function(*before, item, *after, **kwargs)
        if self._parameter not in kwargs:
            raise TypeError(f"{self._name}() takes the items as its first argument")
        rest = {key: value for key, value in kwargs.items() if key != self._parameter}
        return kwargs[self._parameter], lambda item: function(*before, **rest, **{self._parameter: item})

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _batches(self, items: Iterable[Any], one: Callable[[Any], Any]) -> Iterator[list[Any]]:
        with _Told(self._name, self._size, self._parallel, items) as told:
            rest = iter(items)
            while batch := list(islice(rest, self._size)):
                with told.batch(len(batch)) as outcomes:
                    outcomes.extend(_threads(one, batch) if self._parallel else _in_turn(one, batch))
                yield _values(outcomes)

    async def _async_batches(self, items: Any, one: Callable[[Any], Any]) -> AsyncGenerator[list[Any], None]:
        with _Told(self._name, self._size, self._parallel, items) as told:
            async for batch in _cut(items, self._size):
                with told.batch(len(batch)) as outcomes:
                    outcomes.extend(await _tasks(one, batch) if self._parallel else await _awaited_in_turn(one, batch))
                yield _values(outcomes)


def _parameter(function: Callable[..., Any], skip: int) -> str | None:
    """Name of the parameter that takes the item."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some builtins have none
        return None
    return names[skip] if len(names) > skip else None


def _values(outcomes: list[Outcome]) -> list[Any]:
    for _, error in outcomes:
        if error is not None:
            raise error
    return [value for value, _ in outcomes]


def _outcome(one: Callable[[Any], Any], item: Any) -> Outcome:
    try:
        return one(item), None
    except Exception as error:  # noqa: BLE001  # it is raised when its batch is told of
        return None, error


def _in_turn(one: Callable[[Any], Any], batch: list[Any]) -> Iterator[Outcome]:
    for item in batch:
        outcome = _outcome(one, item)
        yield outcome
        if outcome[1] is not None:  # as a loop would, it goes no further
            return


def _threads(one: Callable[[Any], Any], batch: list[Any]) -> list[Outcome]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(batch), thread_name_prefix="tele-batch") as pool:
        running = [pool.submit(contextvars.copy_context().run, _outcome, one, item) for item in batch]
        return [future.result() for future in running]


async def _awaited_outcome(one: Callable[[Any], Any], item: Any) -> Outcome:
    try:
        return await one(item), None
    except Exception as error:  # noqa: BLE001  # it is raised when its batch is told of
        return None, error


async def _awaited_in_turn(one: Callable[[Any], Any], batch: list[Any]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for item in batch:
        outcomes.append(await _awaited_outcome(one, item))
        if outcomes[-1][1] is not None:
            break
    return outcomes


async def _tasks(one: Callable[[Any], Any], batch: list[Any]) -> list[Outcome]:
    import asyncio

    return list(await asyncio.gather(*(_awaited_outcome(one, item) for item in batch)))


async def _cut(items: Any, size: int) -> AsyncIterator[list[Any]]:
    if not isinstance(items, AsyncIterable):
        rest = iter(items)
        while batch := list(islice(rest, size)):
            yield batch
        return
    batch = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _Told:
    """The events of one call: begun, each batch, finished."""

    def __init__(self, name: str, size: int, parallel: bool, items: object) -> None:
        self._name = name
        self._size = size
        self._parallel = parallel
        self._total = len(items) if isinstance(items, Sized) else None
        self._items = self._failed = self._batches = 0

    def __enter__(self) -> Self:
        self._begun = ambient.monotonic()
        facts = {"function": self._name, "batch_size": self._size, "parallel": self._parallel}
        event(STARTED, facts | ({} if self._total is None else {"items": self._total}))
        return self

    def __exit__(self, *_: object) -> None:
        told = {"items": self._items, "batches": self._batches, "failed": self._failed}
        event(FINISHED, {"function": self._name, **told, "duration_ms": self._since(self._begun)})

    @contextmanager
    def batch(self, size: int) -> Iterator[list[Outcome]]:
        """Take the outcomes of one batch of `size` items, and tell of it when it is done."""
        outcomes: list[Outcome] = []
        begun = ambient.monotonic()
        try:
            yield outcomes
        finally:
            failed = sum(error is not None for _, error in outcomes)
            self._items += len(outcomes)
            self._failed += failed
            facts = {"function": self._name, "batch": self._batches, "size": size, "done": len(outcomes) - failed}
            event(COMPLETED, {**facts, "failed": failed, "duration_ms": self._since(begun)})
            self._batches += 1

    @staticmethod
    def _since(begun: int) -> float:
        return (ambient.monotonic() - begun) / 1e6
