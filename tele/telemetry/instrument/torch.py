"""torch: an optimizer's steps as metrics, modules as spans where asked for, finished profiles as spans.

    watch = tele.instrument("torch", optimizer=optimizer, every=50)
    for batch in batches:
        loss = watch.loss(update(model, batch))
        watch.samples(len(batch))

Nothing is read from a tensor but at every `every`-th step: reading waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tele.errors import BadInput
from tele.telemetry.instrument.handle import Instrumentation, guarded, load
from tele.telemetry.instrument.kineto import record_profile
from tele.telemetry.instrument.modules import ModuleSpans
from tele.telemetry.instrument.steps import DeviceClock, Steps

__all__ = ["Training", "install"]

T = TypeVar("T")


class Training(Instrumentation):
    """A training loop that is being watched."""

    def __init__(self, steps: Steps | None) -> None:
        super().__init__("torch", lambda: None)
        self._steps = steps

    def loss(self, value: T) -> T:
        """Say what the loss of the step at hand is, and get it back; it is read at every `every`-th step only."""
        if self._steps is not None:
            self._steps.said_loss(value)
        return value

    def samples(self, count: int) -> None:
        """Say how many samples the step at hand took, for samples per second."""
        if self._steps is not None:
            self._steps.said_samples(count)

    def on_trace_ready(self, profiler: Any) -> None:
        """Record a finished profile as spans where the running code is: `torch.profiler.profile(on_trace_ready=...)`.

        Times are Kineto's own. Of a profile of more than 20,000 events the longest are kept, and the span above them
        says how many were left out.
        """
        guarded(record_profile)(profiler)


def install(
    *, model: Any = None, optimizer: Any = None, every: int = 1, modules: bool = False, batch_size: int | None = None
) -> Training:
    """Watch an optimizer, and with `modules=True` each forward pass of the modules of `model`.

    Metrics of every `every`-th step: `loss` where `handle.loss` was given it, `learning_rate` of each group,
    `gradient_norm` (L2 over all parameters), `step_ms` (from the end of one step to the end of the next; by CUDA events
    where the parameters lie on such a device), `samples_per_second` where `batch_size` or `handle.samples` tells how
    many, and memory in bytes. Modules are not watched unless asked for: their hooks cost time at every call.
    Raises BadInput.
    """
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise BadInput(f"every is a whole number of steps from 1, not {every!r}.")
    if optimizer is not None and not hasattr(optimizer, "register_step_post_hook"):
        raise BadInput(f"optimizer is a torch.optim.Optimizer, not {type(optimizer).__name__}.")
    if modules and not hasattr(model, "named_modules"):
        raise BadInput("modules=True needs model=, a torch.nn.Module.")
    torch = load("torch")
    clock = DeviceClock(torch.cuda.Event, torch.cuda.is_available())
    steps = None if optimizer is None else Steps(torch, optimizer, every, batch_size, clock)
    handle = Training(steps)
    if steps is not None:
        handle.also(clock.drain)
        _hook(torch, handle, optimizer.register_step_pre_hook, guarded(steps.before))
        _hook(torch, handle, optimizer.register_step_post_hook, guarded(steps.after))
    if modules:
        spans = ModuleSpans(torch, (lambda: steps.due) if steps is not None else (lambda: True), clock)
        for name, module in model.named_modules():
            handle.also(spans.watch(name, module))
    return handle


def _hook(torch: Any, handle: Training, register: Callable[[Any], Any], hook: Callable[..., None]) -> None:
    compiling = torch.compiler.is_compiling

    def quiet(*args: Any, **kwargs: Any) -> None:  # what a hook returns, torch takes for new arguments
        if not compiling():
            hook(*args, **kwargs)

    handle.also(register(quiet).remove)
