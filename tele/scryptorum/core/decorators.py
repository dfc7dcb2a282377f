"""The decorators, by Scryptorum's rules: outside a run they only call, and what they cannot use they pass over."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from itertools import islice
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from tele.scryptorum.core.runs import begun, get_current_run
from tele.telemetry.wrap import wrap

__all__ = ["batch_processor", "experiment", "llm_call", "metric", "time_operation", "timer"]

F = TypeVar("F", bound=Callable[..., Any])


class _Run:
    """A run around one call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Self:
        self._run = begun(self._name)
        self._run.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._run.log_event("experiment_error", {"error": error, "error_type": type(error).__qualname__})
        self._run.__exit__(kind, error, trace)


def experiment(name: str) -> Callable[[F], F]:
    """Make each call of the function a run, unless a run is active: then it is a plain call.

    The keyword `project_root` is taken out of a call.
    """

    def decorate(function: F) -> F:
        ran = wrap(function, lambda *_: _Run(name))
        return _calling(function, lambda: function if get_current_run() else ran, drop=("project_root",))

    return decorate


def timer(name: str) -> Callable[[F], F]:
    """Record how long each call takes, also where it raises."""

    def decorate(function: F) -> F:
        return wrap(function, lambda *_: time_operation(name))

    return decorate


def time_operation(name: str) -> AbstractContextManager[object]:
    """Record how long a block takes; nothing outside a run."""
    run = get_current_run()
    return nullcontext() if run is None else run.timer(name)


def metric(name: str | None = None, metric_type: str = "custom") -> Callable[[F], F]:
    """Record what the function returns: a number, a mapping with `value`, or a pair of value and mapping.

    Anything else is passed over. The result is returned unchanged; the name is the function's where none is given.
    """

    def decorate(function: F) -> F:
        called = name or function.__name__

        def record(result: Any) -> Any:
            if (run := get_current_run()) is not None and (found := _measured(result)) is not None:
                value, more = found
                run.log_metric(called, value, metric_type, **more)
            return result

        return _returning(function, record)

    return decorate


def _measured(result: Any) -> tuple[float, dict[str, Any]] | None:
    more: Any = {}
    if isinstance(result, Mapping) and "value" in result:
        result, more = result["value"], {key: value for key, value in result.items() if key != "value"}
    elif isinstance(result, tuple) and len(result) == 2:  # noqa: PLR2004  # a pair
        result, more = result
    if not isinstance(result, (int, float)) or not isinstance(more, Mapping):
        return None
    taken = ("name", "value", "metric_type")
    return result, {f"user.{key}" if key in taken else str(key): value for key, value in more.items()}


def llm_call(model: str | None = None, *, log_input: bool = True, log_output: bool = True) -> Callable[[F], F]:
    """Record each call as a call of `model`, else of its keyword `model`, with input, output and duration.

    The input is the one positional argument, else all of them, else the keyword `prompt` or `input`, else all keywords.
    """

    def decorate(function: F) -> F:
        def log(given: tuple[Any, Any], began: float, output: Any, error: BaseException | None = None) -> None:
            args, kwargs = given
            if (run := get_current_run()) is not None:
                run.log_llm_call(
                    model or str(kwargs.get("model", "unknown")),
                    _input(function, args, kwargs) if log_input else None,
                    output if log_output else None,
                    (perf_counter() - began) * 1e3,
                    error=error,
                )

        return _watching(function, log)

    return decorate


def _input(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and next(iter(inspect.signature(function).parameters), "") in ("self", "cls"):
        args = args[1:]
    if args:
        return args[0] if len(args) == 1 else args
    for key in ("prompt", "input"):
        if key in kwargs:
            return kwargs[key]
    return kwargs


def batch_processor(batch_size: int = 10, *, parallel: bool = False) -> Callable[[F], F]:
    """Make a function of one item one of many: it is called for each, batch by batch, and each batch is an event.

    With `parallel` the items of a batch run in threads, each in the run of the caller. Results keep the items' order;
    items are drawn as they are needed. Raises ValueError where `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1, not {batch_size}")

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def process(items: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
            def one(item: Any) -> Any:
                return function(item, *args, **kwargs)

            _tell("batch_processing_started", batch_size=batch_size, parallel=parallel)
            results: list[Any] = []
            rest, number, began = iter(items), 0, perf_counter()
            while batch := list(islice(rest, batch_size)):
                at = perf_counter()
                results += _in_threads(one, batch) if parallel else map(one, batch)
                _tell("batch_completed", batch=number, items=len(batch), duration_ms=(perf_counter() - at) * 1e3)
                number += 1
            took = (perf_counter() - began) * 1e3
            _tell("batch_processing_finished", batches=number, items=len(results), elapsed_ms=took)
            return results

        return cast("F", process)

    return decorate


def _in_threads(one: Callable[[Any], Any], batch: list[Any]) -> list[Any]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(batch), thread_name_prefix="tele-batch") as pool:
        return [made.result() for made in [pool.submit(copy_context().run, one, item) for item in batch]]


def _tell(name: str, **facts: Any) -> None:
    if (run := get_current_run()) is not None:
        run.log_event(name, facts)


# ── one shape for functions and coroutine functions ──────────────────────────────────────────────────────────────────


def _calling(function: F, choose: Callable[[], Callable[..., Any]], *, drop: tuple[str, ...]) -> F:
    """Wrap `function` so that each call is of what `choose` says then, without the keywords in `drop`."""

    def kept(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in kwargs.items() if key not in drop}

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await choose()(*args, **kept(kwargs))

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return choose()(*args, **kept(kwargs))

    return cast("F", called)


def _returning(function: F, record: Callable[[Any], Any]) -> F:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return record(await function(*args, **kwargs))

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return record(function(*args, **kwargs))

    return cast("F", called)


def _watching(function: F, log: Callable[..., None]) -> F:
    """Wrap `function` so that `log` hears of each call: arguments, beginning, what it returned or raised."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                result = await cast("Awaitable[Any]", function(*args, **kwargs))
            except BaseException as error:
                log((args, kwargs), began, None, error)
                raise
            log((args, kwargs), began, result)
            return result

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            log((args, kwargs), began, None, error)
            raise
        log((args, kwargs), began, result)
        return result

    return cast("F", called)
