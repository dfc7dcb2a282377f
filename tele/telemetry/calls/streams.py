"""A streamed answer, watched while its reader reads it: when the first token came, how fast the others, what it said.

The span of the call stays open until the stream is exhausted, closed, dropped or fails. The reader gets the very stream
that the library made, its class exchanged for one that looks on; a generator is driven by another one.
"""

from __future__ import annotations

import functools
import inspect
import io
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Hashable
from contextvars import ContextVar
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Self, TypeVar, cast

from tele.telemetry.ambient import ambient
from tele.telemetry.calls.gather import Gathered
from tele.telemetry.calls.results import Answer
from tele.telemetry.process import process
from tele.telemetry.scope import Node, here
from tele.telemetry.span import Span
from tele.telemetry.wrap import Steps, Swap, drive, drive_async

__all__ = ["Watch", "is_stream", "watch"]

S = TypeVar("S")
_MILLION = 1e6
_PLAIN = frozenset({"builtins", "itertools"})
"""Iterators from there carry nothing but their items, so that a generator can stand for them."""


class Watch:
    """What was seen of one stream so far. Times are by the monotonic clock."""

    __slots__ = ("_begun", "_first", "_gathered", "_last", "_token", "complete")

    def __init__(self, begun: int) -> None:
        """Take the monotonic time, in nanoseconds, at which the call began."""
        self._begun = begun
        self._first = self._token = self._last = 0
        self._gathered = Gathered()
        self.complete = False
        """Whether the stream came to its own end."""

    def see(self, chunk: object) -> None:
        """Take one chunk, now. Never raises."""
        now = ambient.monotonic()
        self._last = now
        self._first = self._first or now
        if self._gathered.take(chunk) and not self._token:
            self._token = now

    @property
    def chunks(self) -> int:
        """How many came."""
        return self._gathered.chunks

    @property
    def ttft_ms(self) -> float | None:
        """Milliseconds to the first chunk that held output, else, where none could be read, to the first one."""
        first = self._token or self._first
        return (first - self._begun) / _MILLION if first else None

    @property
    def time_per_output_token_ms(self) -> float | None:
        """Milliseconds from the first token to the last, over the number of tokens after the first."""
        tokens = self.answer.output_tokens
        if not self._token or tokens is None or tokens < 2:  # noqa: PLR2004  # one token has no pace
            return None
        return (self._last - self._token) / (tokens - 1) / _MILLION

    @property
    def answer(self) -> Answer:
        """What the chunks make together."""
        return self._gathered.answer()

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the span: seconds where the name is one of the GenAI conventions'."""
        found: dict[str, Any] = {"gen_ai.request.stream": True, "tele.stream.chunks": self.chunks}
        if self._first:
            found["gen_ai.response.time_to_first_chunk"] = (self._first - self._begun) / 1e9
        if self.chunks > 1:
            pace = (self._last - self._first) / (self.chunks - 1) / 1e9
            found["gen_ai.client.operation.time_per_output_chunk"] = pace
        if (pace_ms := self.time_per_output_token_ms) is not None:
            found["tele.stream.time_per_output_token_ms"] = pace_ms
        if not self.complete:
            found["tele.stream.complete"] = False
        return found


def is_stream(value: object) -> bool:
    """Whether `value` is read step by step: a generator, or an iterator that can be watched. Files are not."""
    kind = type(value)
    if isinstance(value, (GeneratorType, AsyncGeneratorType)):
        return True
    if isinstance(value, io.IOBase) or not (hasattr(kind, "__next__") or hasattr(kind, "__anext__")):
        return False
    of_python = hasattr(value, "__dict__") and kind.__flags__ & (_HEAP | _FIXED) == _HEAP
    return of_python or kind.__module__ in _PLAIN


_HEAP, _FIXED = 1 << 9, 1 << 8
"""Flags of a class that was made while the program ran, and of one that cannot be changed."""


def watch(stream: S, span: Span, done: Callable[[Watch], None]) -> S:
    """Return `stream` with `span`, which the code is in, kept open until it ends; `done` may fill the span then.

    The same object comes back, except for generators and for iterators of Python's own. Call it where the stream was
    made, within the span. What cannot be watched comes back as it is, and the span ends now. Never raises.
    """
    watched = Watch(span.mono_ns)
    ending = _Ending(span, watched, done)
    try:
        if isinstance(stream, AsyncGeneratorType):
            return cast("S", _dropped(ending, drive_async(lambda *_: Steps(stream, ending, watched.see))(), stream))
        if isinstance(stream, GeneratorType) or type(stream).__module__ in _PLAIN:
            return cast("S", _dropped(ending, drive(lambda *_: Steps(stream, ending, watched.see))(), stream))
        _watch_in_place(stream, ending)
    except Exception as error:  # noqa: BLE001  # a class that cannot be exchanged: the stream is the user's all the same
        process.lose(error, 0)
        ending.leave(None)
    return stream


class _Ending(Swap):
    """Ends the span once, with what was seen of the stream."""

    def __init__(self, span: Span, watched: Watch, done: Callable[[Watch], None]) -> None:
        super().__init__(span, inside=span, outside=span.outside)
        self.watched = watched
        self._done = done
        self._left = False

    def step_in(self) -> Node:
        """Stand in the call; return where the code was. It is the step's to know: several may be made at once."""
        outside = here.get()
        here.set(self._inside)
        return outside

    def step_out(self, outside: Node) -> None:
        """Stand where the code was."""
        self._inside = here.get()
        here.set(outside)

    def leave(self, error: BaseException | None) -> None:
        if self._left:
            return
        self._left = True
        self.watched.complete = error is None or isinstance(error, (StopIteration, StopAsyncIteration))
        try:
            self._done(self.watched)
        except Exception as fault:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(fault, 0)
        super().leave(None if self.watched.complete else error)

    def drop(self) -> None:
        """The stream is gone and nobody read it to its end."""
        self.leave(GeneratorExit())


def _dropped(ending: _Ending, steps: Any, named_after: Any) -> Any:
    """Let `steps` go by the name of the generator that they drive; one that is never begun ends when it is dropped."""
    for attribute in ("__name__", "__qualname__"):
        if isinstance(name := getattr(named_after, attribute, None), str):
            setattr(steps, attribute, name)
    weakref.finalize(steps, ending.drop)
    return steps


# ── in place ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_MARK = "_tele_ending"


def _watch_in_place(stream: Any, ending: _Ending) -> None:
    endings: list[_Ending] | None = vars(stream).get(_MARK)
    if endings is None:
        kind = _looking_on(cast("Hashable", type(stream)))
        setattr(stream, _MARK, endings := [])
        try:
            stream.__class__ = kind
        except BaseException:
            delattr(stream, _MARK)
            raise
    endings.append(ending)  # a call within a call gives the same stream: both spans last as long
    weakref.finalize(stream, ending.drop)


@functools.cache
def _looking_on(kind: Any) -> type:
    """A subclass of `kind` whose steps are seen and whose closing ends the span."""
    body: dict[str, Any] = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    makers = {"__iter__": _iter, "__next__": _next, "__aiter__": _aiter, "__anext__": _anext}
    body |= {name: make(kind) for name, make in makers.items() if hasattr(kind, name)}
    for name in ("close", "aclose"):
        close = getattr(kind, name, None)
        if close is not None:
            body[name] = _aclose(close) if inspect.iscoroutinefunction(close) else _close(close)
    return type(kind.__name__, (kind,), body)


def _iter(kind: Any) -> Callable[[Any], Any]:
    def __iter__(self: Any) -> Any:  # noqa: N807  # it becomes the method
        made = kind.__iter__(self)
        return self if made is self else _steps(self, made)

    return __iter__


def _steps(stream: Any, made: Any) -> Generator[Any, None, None]:
    """What an iterator gives that the stream made of itself."""
    while True:
        try:
            with _Seeing(stream) as seen:
                seen.chunk = next(made)
        except StopIteration:
            return
        yield seen.chunk


def _aiter(kind: Any) -> Callable[[Any], Any]:
    def __aiter__(self: Any) -> Any:  # noqa: N807  # it becomes the method
        made = kind.__aiter__(self)
        return self if made is self else _async_steps(self, made)

    return __aiter__


async def _async_steps(stream: Any, made: Any) -> AsyncGenerator[Any, None]:
    while True:
        try:
            with _Seeing(stream) as seen:
                seen.chunk = await anext(made)
        except StopAsyncIteration:
            return
        yield seen.chunk


def _next(kind: Any) -> Callable[[Any], Any]:
    def __next__(self: Any) -> Any:  # noqa: N807  # it becomes the method
        with _Seeing(self) as seen:
            seen.chunk = kind.__next__(self)
        return seen.chunk

    return __next__


def _anext(kind: Any) -> Callable[[Any], Any]:
    async def __anext__(self: Any) -> Any:  # noqa: N807  # it becomes the method
        with _Seeing(self) as seen:
            seen.chunk = await kind.__anext__(self)
        return seen.chunk

    return __anext__


_stepping: ContextVar[object] = ContextVar("tele.stepping", default=None)
"""Endings of the stream that makes a step."""


class _Seeing:
    """One step of a stream: within the innermost call, and seen by each, but not the steps that it is made of."""

    __slots__ = ("_around", "_endings", "_outside", "chunk")
    chunk: Any

    def __init__(self, stream: Any) -> None:
        self._endings: list[_Ending] = getattr(stream, _MARK)

    def __enter__(self) -> Self:
        self._around = _stepping.get()
        if self._around is not self._endings:
            _stepping.set(self._endings)
            self._outside = self._endings[0].step_in()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._around is self._endings:
            return
        self._endings[0].step_out(self._outside)
        _stepping.set(self._around)
        for ending in self._endings:
            if error is None:
                ending.watched.see(self.chunk)
            else:
                ending.leave(error)


def _close(close: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(close)
    def closing(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return close(self, *args, **kwargs)
        finally:
            _drop(self)

    return closing


def _aclose(close: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(close)
    async def closing(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await close(self, *args, **kwargs)
        finally:
            _drop(self)

    return closing


def _drop(stream: Any) -> None:
    for ending in getattr(stream, _MARK):
        ending.drop()
