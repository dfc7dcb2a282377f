"""One way to put a context manager around any kind of function, and to see what it gives."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from types import FunctionType, TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from tele.errors import BadInput
from tele.telemetry.scope import Node, here

__all__ = ["Entered", "Steps", "Swap", "drive", "drive_async", "is_coroutine_function", "onto", "tap", "wrap"]

F = TypeVar("F", bound=Callable[..., Any])
Arguments = tuple[Any, ...]


class Entered(Protocol):
    """What `wrap` puts around a call."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


def onto(thing: F, name: Any, decorate: Callable[[Any, Any], Any], *, only: Sequence[str] = ()) -> F:
    """Return `thing` with `decorate(function, name)` applied: to a function itself, to a class's public methods.

    A function goes by `name`, or by its own where that is None; a method of a class by `name.method`. Of a class those
    methods count that its own body defines, `__call__` among them; names that begin with an underscore, properties and
    nested classes do not. `only` takes the first of these names that the class has, inherited or not, and no other:
    BadInput where it has none, and where `thing` is nothing that is called. Of a property it is what reads it.
    """
    if (method := _method(thing, lambda inner: onto(inner, name, decorate))) is not None:
        return cast("F", method)
    if not callable(cast("object", thing)):
        raise BadInput(f"tele's decorators stand above functions, methods and classes, not above {thing!r}.")
    if name is None:
        name = getattr(thing, "__name__", type(thing).__name__)
    if not isinstance(thing, type):
        return cast("F", decorate(thing, name))
    if only:
        methods = [method for method in only if any(method in vars(above) for above in thing.__mro__)][:1]
        if not methods:
            raise BadInput(
                f"{thing.__qualname__} has none of the methods {', '.join(only)}: give it one to begin with."
            )
    else:
        methods = [method for method in vars(thing) if method == "__call__" or not method.startswith("_")]
    for method in methods:
        found: Any = inspect.getattr_static(thing, method)
        called = name if only else f"{name}.{method}"
        if isinstance(found, (FunctionType, classmethod, staticmethod)):
            setattr(thing, method, onto(cast("Any", found), called, decorate))
    return thing


def _method(thing: Any, decorated: Callable[[Any], Any]) -> Any:
    """What Python's own decorators make of a method, made again of the method decorated; None for anything else."""
    match thing:
        case classmethod() | staticmethod():
            return type(thing)(decorated(thing.__func__))
        case property():
            return thing.getter(decorated(thing.fget))
        case functools.cached_property():
            return functools.cached_property(decorated(thing.func))
    return None


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether a call of `function` is to be awaited: also of an object whose `__call__` is a coroutine function."""
    return inspect.iscoroutinefunction(function) or (
        not isinstance(function, FunctionType)
        and inspect.iscoroutinefunction(getattr(type(function), "__call__", None))  # noqa: B004  # the function itself is asked
    )


def wrap(
    function: F,
    make: Callable[[Arguments, dict[str, Any]], Entered],
    *,
    returned: Callable[[Any, Any], Any] | None = None,
    yielded: Callable[[Any, Any], None] | None = None,
) -> F:
    """Return `function` with `make(args, kwargs)` entered around each call.

    Around a generator it is entered at the first step and left at the end; between the steps the caller is where it
    was. `yielded(entered, value)` sees what a generator gives. `returned(entered, value)` takes over from a function
    that has returned: it leaves what was entered, now or later, and gives what the caller gets. Where it is interrupted
    what was entered is left once more, which does nothing to what was left before.
    """
    if inspect.isasyncgenfunction(function):
        return cast("F", _async_generator(function, make, yielded))
    if is_coroutine_function(function):
        return cast("F", _coroutine(function, make, returned))
    if inspect.isgeneratorfunction(function):
        return cast("F", _generator(function, make, yielded))
    if returned is not None:
        return cast("F", _handing_over(function, make, returned))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with make(args, kwargs):
            return function(*args, **kwargs)

    return cast("F", call)


def _handing_over(function: Callable[..., Any], make: Any, returned: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        entered = make(args, kwargs)
        entered.__enter__()
        try:
            return returned(entered, function(*args, **kwargs))
        except BaseException as error:  # an interrupt while the value is read ends the call as well
            entered.__exit__(type(error), error, error.__traceback__)
            raise

    return call


def _coroutine(
    function: Callable[..., Any], make: Any, returned: Callable[[Any, Any], Any] | None
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        entered = make(args, kwargs)
        entered.__enter__()
        try:
            value = await function(*args, **kwargs)
            if returned is not None:
                return returned(entered, value)
        except BaseException as error:
            entered.__exit__(type(error), error, error.__traceback__)
            raise
        entered.__exit__(None, None, None)
        return value

    return call


def _generator(function: Callable[..., Any], make: Any, yielded: Any) -> Callable[..., Any]:
    return functools.wraps(function)(drive(_beginning(function, make, yielded)))


def _async_generator(function: Callable[..., Any], make: Any, yielded: Any) -> Callable[..., Any]:
    return functools.wraps(function)(drive_async(_beginning(function, make, yielded)))


def _beginning(function: Callable[..., Any], make: Any, yielded: Any) -> Callable[[Arguments, dict[str, Any]], Steps]:
    def begin(args: Arguments, kwargs: dict[str, Any]) -> Steps:
        steps = function(*args, **kwargs)
        entered = make(args, kwargs)
        return Steps(steps, Swap(entered), None if yielded is None else functools.partial(yielded, entered))

    return begin


class Steps(NamedTuple):
    """An iterator, where the code stands during its steps, and who sees what they give."""

    iterator: Any
    guard: Swap
    see: Callable[[Any], None] | None


def drive(begin: Callable[[Arguments, dict[str, Any]], Steps]) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function that makes the steps of `begin(args, kwargs)`, which is called at its own first step.

    What its caller sends, throws and closes goes through, where the iterator takes such.
    """

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps, guard, see = begin(args, kwargs)
        try:
            step: Callable[[], Any] = functools.partial(next, steps)
            while True:
                with guard:
                    try:
                        value = step()
                    except StopIteration as stop:
                        returned = stop.value
                        break
                if see is not None:
                    see(value)
                try:
                    sent = yield value
                    step = functools.partial(next, steps) if sent is None else functools.partial(steps.send, sent)
                except GeneratorExit:
                    with guard:
                        if close := getattr(steps, "close", None):
                            close()
                    raise
                except BaseException as error:
                    if not hasattr(steps, "throw"):
                        raise
                    step = functools.partial(steps.throw, error)  # it is the generator's to handle
        except BaseException as error:
            guard.leave(error)
            raise
        guard.leave(None)
        return returned

    return call


def drive_async(begin: Callable[[Arguments, dict[str, Any]], Steps]) -> Callable[..., AsyncGenerator[Any, Any]]:
    """As `drive`, for async generators."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps, guard, see = begin(args, kwargs)
        try:
            sent, thrown = None, None
            while True:
                with guard:
                    try:
                        value = await (steps.asend(sent) if thrown is None else steps.athrow(thrown))
                    except StopAsyncIteration:
                        break
                if see is not None:
                    see(value)
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


class Swap:
    """Stands in the span during a step of a generator, and in the caller's place between the steps.

    Only tele's own variable is swapped: the user's context variables pass in and out as they do without a span.
    """

    def __init__(self, entered: Entered, *, inside: Node | None = None, outside: Node | None = None) -> None:
        """Enter `entered`; or take over one that was entered, `inside`, from a caller that stood `outside`."""
        self._here = here
        self._entered = entered
        if inside is not None and outside is not None:
            self._inside = inside
        else:
            outside = here.get()
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
        """Leave what was entered."""
        outside = self._here.get()
        self._here.set(self._inside)
        self._entered.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        self._here.set(outside)


def tap(function: F, see: Callable[[Any, int | None], None]) -> F:
    """Return `function` with `see(value, None)` called on what it returns, or `see(value, n)` on the n-th it yields."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return wrap(function, lambda _args, _kwargs: _Counting(see), yielded=_Counting.step)
    if is_coroutine_function(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            result = await function(*args, **kwargs)
            see(result, None)
            return result

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        see(result, None)
        return result

    return cast("F", called)


class _Counting:
    """Numbers what one generator gives."""

    def __init__(self, see: Callable[[Any, int | None], None]) -> None:
        self._see = see
        self._number = 0

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def step(self, value: Any) -> None:
        number, self._number = self._number, self._number + 1
        self._see(value, number)
