"""Stages of a pipeline: a span `stage` that names itself on every event of reasoning recorded within."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tele.telemetry.handed import handed_over
from tele.telemetry.scope import Node, place
from tele.telemetry.span import Span, copied
from tele.telemetry.wrap import wrap
from tele.trace.chain import Chain

__all__ = ["Stage", "staged", "trace_stage"]

F = TypeVar("F", bound=Callable[..., Any])


class Stage(Span):
    """A span `stage` with the attribute `stage`; its status is `ok`, or `error` where an exception left it.

    It is a context manager and a decorator as `tele.span` is, and takes the same keywords.
    """

    __slots__ = ("stage",)

    def __init__(self, stage: str, attributes: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Take the name of the stage, such as `plan` or `review`."""
        self.stage = str(stage)
        super().__init__("stage", {**copied(attributes or {}), "stage": self.stage}, **fields)

    def _again(self) -> Stage:
        return Stage(self.stage, self._attributes, **self._fields)

    def _onto(self, function: F, name: str) -> F:  # noqa: ARG002  # the span's name says no more than that it is a stage
        return wrap(function, lambda _args, _kwargs: self._again(), returned=_returned)


def _returned(entered: Stage, result: Any) -> Any:
    """Leave the stage of a call; a chain that the function hands over, as `(result, chain)`, is recorded in it."""
    handed_over(result, entered)
    entered.__exit__(None, None, None)
    return result


trace_stage = Stage


def staged(chain: Chain, node: Node | None = None) -> Chain:
    """Return the chain with the innermost stage around `node` on the events that name none; else the chain itself."""
    at: object = place() if node is None else node
    while isinstance(at, Span):
        if isinstance(at, Stage):
            return _marked(chain, at.stage)
        at = at.outside
    return chain


def _marked(chain: Chain, stage: str) -> Chain:
    if all(event.stage is not None for event in chain.events):
        return chain
    events = (event if event.stage is not None else dataclasses.replace(event, stage=stage) for event in chain.events)
    return dataclasses.replace(chain, events=tuple(events))
