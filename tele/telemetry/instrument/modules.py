"""Forward passes of modules as spans.

Hooks of whole modules only: hooks of the backward pass wrap the tensors that go through, and a module that works in
place would then raise. In code that `torch.compile` compiles the hooks are left out of the graph, which is not broken
by them, and nothing is recorded.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from tele.telemetry.instrument.handle import guarded
from tele.telemetry.instrument.steps import DeviceClock
from tele.telemetry.points import metric
from tele.telemetry.span import Span

__all__ = ["ModuleSpans"]


class ModuleSpans:
    """Spans of the modules that are in their forward pass, a stack for each thread."""

    def __init__(self, torch: Any, due: Callable[[], bool], clock: DeviceClock) -> None:
        self._compiling = torch.compiler.is_compiling
        self._due = due
        self._clock = clock
        self._stacks = threading.local()

    def watch(self, path: str, module: Any) -> Callable[[], None]:
        """Hook one module; return what takes the hooks out again."""
        enter, leave, compiling = guarded(self._enter), guarded(self._leave), self._compiling

        def before(module: Any, args: Any) -> None:
            if not compiling():
                enter(path, module, args)

        def after(module: Any, args: Any, result: Any) -> None:
            del args
            if not compiling():
                leave(module, result)

        first = module.register_forward_pre_hook(before)
        second = module.register_forward_hook(after, always_call=True)

        def remove() -> None:
            first.remove()
            second.remove()

        return remove

    def _stack(self) -> list[tuple[Any, Span, Any, str]]:
        try:
            return self._stacks.open  # type: ignore[no-any-return]  # what the next line puts there
        except AttributeError:
            self._stacks.open = []
            return self._stacks.open  # type: ignore[no-any-return]  # the same

    def _enter(self, path: str, module: Any, args: Any) -> None:
        if not self._due():
            return
        span = Span(f"forward {type(module).__name__}").set_attribute("torch.module", path)
        if shapes := [list(value.shape) for value in args if hasattr(value, "shape")]:
            span.set_attribute("torch.input_shapes", shapes)
        mark = self._clock.mark() if self._clock.available and _on_device(args) else None
        span.__enter__()
        self._stack().append((module, span, mark, path))

    def _leave(self, module: Any, result: Any) -> None:
        stack = self._stack()
        if not any(module is open_ for open_, *_ in stack):
            return  # the pass began before it was watched, or is not recorded
        error = sys.exc_info()[1] if result is None else None
        while stack:  # what a failure skipped ends with what is around it
            of, span, mark, path = stack.pop()
            span.__exit__(type(error) if error else None, error, None)
            if of is module:
                break
        if mark is not None:
            tell: Callable[[float], Any] = lambda ms: metric("module_ms", ms, unit="ms", module=path, clock="cuda")  # noqa: E731
            self._clock.between(mark, self._clock.mark(), tell)


def _on_device(args: Any) -> bool:
    return any(getattr(value, "is_cuda", False) for value in args)
