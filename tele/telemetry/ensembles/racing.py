"""Making a hedged request: who is sent when, who wins, and what becomes of the others."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from tele.telemetry.ensembles.answers import Asked, note_usage
from tele.telemetry.ensembles.hedge import Hedge, Race
from tele.telemetry.ensembles.threads import awaited, in_thread, is_async, quiet, start

__all__ = ["race", "race_async"]

_LOST: Any = object()
"""What an attempt gives that did not win: its answer is not wanted."""


class _Plan:
    """When the next request is due, and when it is too late for any: moments of `time.monotonic`."""

    def __init__(self, rules: Hedge, race: Race) -> None:
        now = time.monotonic()
        self._delay = race.delay_ms / 1000
        self._on_error = rules.on_error
        self._due = now + self._delay
        self._end = None if rules.timeout_ms is None else now + rules.timeout_ms / 1000
        self._most = rules.max_hedges
        self.sent = 0
        self.errors: list[tuple[int, BaseException]] = []

    @property
    def more(self) -> bool:
        """Whether there is another request to send."""
        return self.sent <= self._most and not (self.errors and not self._on_error)

    def send(self) -> int:
        """Count a request; return its number."""
        self._due = time.monotonic() + self._delay
        self.sent += 1
        return self.sent - 1

    def wait(self) -> float | None:
        """Seconds until something is due."""
        due = [moment for moment in (self._due if self.more else None, self._end) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def fail(self, number: int, error: BaseException) -> bool:
        """Take the end of a request that failed; return whether the race is lost."""
        if not isinstance(error, (Exception, asyncio.CancelledError)):
            raise error
        self.errors.append((number, error))
        return len(self.errors) == self.sent and not self.more

    def check(self, held: Race) -> None:
        """Raise TimeoutError where it is too late and nobody has won."""
        if self._end is not None and time.monotonic() >= self._end and held.winner is None:
            held.saw_primary()
            raise TimeoutError("no answer to the hedged request in time")

    def first_error(self) -> BaseException:
        """What the first of the requests that failed raised, by number."""
        return min(self.errors, key=lambda each: each[0])[1]


def race(rules: Hedge, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the request in threads; one that lost runs on unheard."""
    ended: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
    with Race(rules) as held:
        plan = _Plan(rules, held)

        def send() -> None:
            number = plan.send()
            held.fired = number
            call = partial(_called, rules, held, number, args, kwargs)
            start(call, lambda value, error: ended.put((number, value, error)))

        send()
        while True:
            try:
                number, value, error = ended.get(timeout=plan.wait())
            except Empty:
                plan.check(held)
                if plan.more and held.winner is None:
                    send()
                continue
            if error is None and value is not _LOST:
                return _won(held, plan, number, value)
            if error is not None and plan.fail(number, error):
                raise plan.first_error()
            if error is not None and plan.more and held.winner is None:
                send()


async def race_async(rules: Hedge, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the request as tasks; those that lost are cancelled."""
    tasks: dict[asyncio.Task[Any], int] = {}
    with Race(rules) as held:
        plan = _Plan(rules, held)

        def send() -> None:
            number = plan.send()
            held.fired = number
            tasks[asyncio.create_task(_awaited(rules, held, number, args, kwargs))] = number

        send()
        try:
            while True:
                done, _ = await asyncio.wait(tasks, timeout=plan.wait(), return_when=asyncio.FIRST_COMPLETED)
                for task, number in sorted(((t, tasks.pop(t)) for t in done), key=lambda each: each[1]):
                    error = asyncio.CancelledError() if task.cancelled() else task.exception()
                    if error is None and (value := task.result()) is not _LOST:
                        return _won(held, plan, number, value)
                    if error is not None and plan.fail(number, error):
                        raise plan.first_error()
                if not done:
                    plan.check(held)
                if plan.more and held.winner is None and (done or plan.wait() == 0):
                    send()
        finally:
            held.over.set()
            await _cancel(tasks)


def _won(held: Race, plan: _Plan, number: int, value: Any) -> Any:
    if number and all(failed for failed, _ in plan.errors):  # the first request was slow: so long it took at least
        held.saw_primary()
    return value


def _called(rules: Hedge, held: Race, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name, function = rules.attempt(number)
    more = {rules.stop: held.over} if rules.stop else {}
    with _attempt(held, name, number) as span:
        try:
            result = awaited(function(*args, **kwargs, **more))
        except Exception:
            _failed(span, held)
            raise
        return _ended(span, held, name, number, result)


async def _awaited(rules: Hedge, held: Race, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name, function = rules.attempt(number)
    if not is_async(function):
        return await in_thread(partial(_called, rules, held, number, args, kwargs))
    with _attempt(held, name, number) as span:
        try:
            result = await function(*args, **kwargs)
        except asyncio.CancelledError:
            span.set(outcome="cancelled")
            if held.winner is None:
                raise
            span.fail("Cancelled", f"{held.winner} answered first")
            return _LOST
        except Exception:
            _failed(span, held)
            raise
        return _ended(span, held, name, number, result)


def _attempt(held: Race, name: str, number: int) -> Asked:
    return Asked("hedge.attempt", {"hedge_id": held.id, "attempt": name, "number": number})


def _failed(span: Asked, held: Race) -> None:
    span.set(outcome="failed", late=True if held.over.is_set() else None)


def _ended(span: Asked, held: Race, name: str, number: int, result: Any) -> Any:
    """Say on the attempt's own span who it was: the claim is made here, so that exactly one wins."""
    note_usage(span, result)
    won = held.win(name)
    span.set(outcome="won" if won else "lost")
    if won and number == 0:
        held.saw_primary()
    return result if won else _LOST


async def _cancel(tasks: dict[asyncio.Task[Any], int]) -> None:
    for task in tasks:
        task.add_done_callback(quiet)
        task.cancel()
    if tasks:  # a cancelled task ends in the loop's next rounds: the answer waits for no clean-up longer than that
        await asyncio.wait(tasks, timeout=0.005)
