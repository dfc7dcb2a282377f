"""A call in a thread of its own, in a copy of the caller's context: spans within it hang where they should.

The threads are daemons: Python cannot stop one, and a member that never answers must not keep the program alive.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

__all__ = ["Done", "awaited", "in_thread", "is_async", "quiet", "start"]

Done = Callable[[Any, BaseException | None], None]
"""Told of the end of a call, in its thread: what it returned, or what it raised."""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives a coroutine: an `async def`, a partial of one, an object with such a call."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def start(call: Callable[[], Any], done: Done) -> None:
    """Begin `call` in a thread and tell `done` how it ended."""
    context = copy_context()

    def work() -> None:
        try:
            value = context.run(call)
        except BaseException as error:  # noqa: BLE001  # it is the caller's, who waits elsewhere
            done(None, error)
        else:
            done(value, None)

    try:
        threading.Thread(target=work, name="tele-member", daemon=True).start()
    except RuntimeError as error:  # no thread to be had
        done(None, error)


async def in_thread(call: Callable[[], Any]) -> Any:
    """Run `call` in a thread and wait for it; cancelled, the wait ends and the thread goes on."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if not ended.done():
            ended.set_result((value, error))

    def done(value: Any, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    start(call, done)
    value, error = await ended
    if error is not None:
        raise error
    return value


def awaited(result: Any) -> Any:
    """`result`, or what it comes to where it is an awaitable, in a thread that has no event loop."""
    return asyncio.run(_await(result)) if inspect.isawaitable(result) else result


async def _await(result: Awaitable[Any]) -> Any:
    return await result


def quiet(task: asyncio.Task[Any]) -> None:
    """Look at how a task ended that nobody waits for, so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()
