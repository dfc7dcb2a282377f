"""What every adapter stands on: the handle it returns, the library it needs, and the promise that it never raises."""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tele.errors import BadInput
from tele.telemetry.process import process

__all__ = ["Instrumentation", "guarded", "load"]


class Instrumentation:
    """A library that is being watched; `remove()`, or leaving the `with` block, puts it back as it was."""

    def __init__(self, library: str, remove: Callable[[], None]) -> None:
        self.library = library
        self._undo: list[Callable[[], None]] = [remove]
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether the library is still watched."""
        return bool(self._undo)

    def remove(self) -> None:
        """Take tele out of the library again; a second call does nothing. Never raises."""
        with self._lock:
            undo, self._undo = self._undo, []
        for step in reversed(undo):
            guarded(step)()

    def uninstrument(self) -> None:
        """Do what `remove` does, under the name that OpenTelemetry's instrumentations have."""
        self.remove()

    def also(self, undo: Callable[[], None]) -> None:
        """Have `remove` call `undo` too; the last given is the first called."""
        with self._lock:
            self._undo.append(undo)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def load(library: str, extra: str | None = None) -> Any:
    """Import a library that tele can do without.

    Raises BadInput, in one sentence with what to install, where it is missing or does not import.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        top = library.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == top:
            why = f"{top} is not installed"
        else:
            why = f"{top} does not import ({error})"
        raise BadInput(f"tele.instrument({top!r}): {why}. Run `pip install 'tele[{extra or top}]'`.") from None


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose own failures are counted and shown by `tele.dropped` and the log, and never raised."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error, 0)
            return None

    return call
