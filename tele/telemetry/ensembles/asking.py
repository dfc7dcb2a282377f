"""Asking the members of an ensemble: at once or in turn, in threads or as tasks."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from tele.telemetry.ensembles.answers import Asked, note_usage, said
from tele.telemetry.ensembles.ensemble import Ballot, Ensemble
from tele.telemetry.ensembles.threads import awaited, in_thread, is_async, quiet, start
from tele.telemetry.ensembles.voting import Outcome

__all__ = ["ask", "ask_async"]

GRACE_SECONDS = 0.2
"""How long a cancelled member may take to clean up before the ensemble goes on without it."""

Said = tuple[Any, Any, Any]
"""Answer, confidence and result of a member."""


def ask(rules: Ensemble, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    """Ask each member in a thread. One that is late goes on unheard: Python cannot stop a thread."""
    ended: SimpleQueue[tuple[str, Any, BaseException | None]] = SimpleQueue()
    deadline = _deadline(rules)
    with Ballot(rules) as ballot:
        waiting = list(rules.members)
        asked: list[str] = []

        def begin(name: str) -> None:
            asked.append(name)
            call = partial(_called, rules, ballot, name, args, kwargs)
            start(call, lambda value, error: ended.put((name, value, error)))

        for name in _first(rules, waiting):
            begin(name)
        while asked:
            try:
                name, value, error = ended.get(timeout=_left(deadline))
            except Empty:
                ballot.timed_out += asked
                break
            asked.remove(name)
            _heard(ballot, name, value, error)
            if waiting and not ballot.enough():
                begin(waiting.pop(0))
        return ballot.decide()


async def ask_async(rules: Ensemble, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    """Ask each member as a task, one that is not async in a thread; one that is late is cancelled."""
    deadline = _deadline(rules)
    with Ballot(rules) as ballot:
        waiting = list(rules.members)
        asked: dict[asyncio.Task[Said], str] = {}

        def begin(name: str) -> None:
            asked[asyncio.create_task(_awaited(rules, ballot, name, args, kwargs))] = name

        try:
            for name in _first(rules, waiting):
                begin(name)
            while asked:
                done, _ = await asyncio.wait(asked, timeout=_left(deadline), return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    ballot.timed_out += asked.values()
                    break
                for task in done:
                    name = asked.pop(task)
                    _heard(ballot, name, *_ended(task))
                if waiting and not asked and not ballot.enough():
                    begin(waiting.pop(0))
            return ballot.decide()
        finally:
            await _cancel(asked)


def _first(rules: Ensemble, waiting: list[str]) -> list[str]:
    """Take those who are asked at once off `waiting`."""
    n = len(waiting) if rules.execution == "parallel" else 1
    first, waiting[:n] = waiting[:n], []
    return first


def _called(rules: Ensemble, ballot: Ballot, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Said:
    with _member(ballot, name) as span:
        return _read(rules, ballot, span, awaited(rules.members[name](*args, **kwargs)))


async def _awaited(rules: Ensemble, ballot: Ballot, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Said:
    member = rules.members[name]
    if not is_async(member):
        found: Said = await in_thread(partial(_called, rules, ballot, name, args, kwargs))
        return found
    with _member(ballot, name) as span:
        return _read(rules, ballot, span, await member(*args, **kwargs))


def _member(ballot: Ballot, name: str) -> Asked:
    return Asked("ensemble.member", {"ensemble_id": ballot.id, "member": name})


def _read(rules: Ensemble, ballot: Ballot, span: Asked, result: Any) -> Said:
    text = note_usage(span, result)
    found = said(result, text, rules.answer, rules.confidence)
    if ballot.outcome is not None:
        span.set(late=True)
    return found.answer, found.confidence, result


def _ended(task: asyncio.Task[Said]) -> tuple[Any, BaseException | None]:
    if task.cancelled():
        return None, asyncio.CancelledError("the member cancelled itself")
    error = task.exception()
    return (None, error) if error is not None else (task.result(), None)


def _heard(ballot: Ballot, name: str, value: Any, error: BaseException | None) -> None:
    if error is None:
        answer, confidence, result = value
        try:
            ballot.vote(name, answer, confidence=confidence, result=result)
        except Exception as raised:  # noqa: BLE001  # the user's normalisation: this answer cannot be counted
            ballot.fail(name, raised)
    elif isinstance(error, (Exception, asyncio.CancelledError)):
        ballot.fail(name, error)
    else:  # KeyboardInterrupt, SystemExit: not the member's to keep
        raise error


async def _cancel(asked: dict[asyncio.Task[Said], str]) -> None:
    for task in asked:
        task.add_done_callback(quiet)
        task.cancel()
    if asked:
        await asyncio.wait(asked, timeout=GRACE_SECONDS)


def _deadline(rules: Ensemble) -> float | None:
    return None if rules.timeout_ms is None else time.monotonic() + rules.timeout_ms / 1000


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
