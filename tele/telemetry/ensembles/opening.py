"""`with` over one set of rules: each entry begins something of its own, with a span of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from tele.telemetry.scope import here
from tele.telemetry.span import Span

__all__ = ["Opening"]


class Held(Protocol):
    """What an entry begins."""

    span: Span

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


H = TypeVar("H", bound=Held)


class Opening(ABC, Generic[H]):
    """Rules that may be entered many times at once: by threads, by tasks, and one within the other."""

    def __init__(self) -> None:
        self._open: list[H] = []

    @abstractmethod
    def opened(self) -> H:
        """Make what one entry begins."""

    def __enter__(self) -> H:
        held = self.opened()
        self._open.append(held)
        return held.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        node = here.get()  # which of several that are open is left, the code's own place says
        held = next((each for each in tuple(self._open) if each.span is node), self._open[-1])
        self._open.remove(held)
        held.__exit__(kind, error, trace)
