"""Steps of an optimizer as metrics."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from tele.telemetry.ambient import ambient
from tele.telemetry.instrument.handle import guarded
from tele.telemetry.points import metric
from tele.telemetry.process import process

__all__ = ["DeviceClock", "Steps"]

_MOST_PENDING = 1000
_NS_PER_S = 1e9


class _Pending(NamedTuple):
    begin: Any
    end: Any
    tell: Callable[[float], None]


class DeviceClock:
    """Times on a CUDA device, not waited for: two events are marked, and read when the device has passed them."""

    def __init__(self, event: Callable[..., Any], available: bool) -> None:
        self._event = event
        self.available = available
        self._pending: deque[_Pending] = deque()

    def mark(self) -> Any:
        """Mark the present point of the device's stream."""
        event = self._event(enable_timing=True)
        event.record()
        return event

    def between(self, begin: Any, end: Any, tell: Callable[[float], None]) -> None:
        """Call `tell` with the milliseconds from `begin` to `end` once they are known."""
        if len(self._pending) >= _MOST_PENDING:
            self._pending.popleft()
        self._pending.append(_Pending(begin, end, guarded(tell)))

    def poll(self) -> None:
        """Tell what is known by now."""
        while self._pending and self._pending[0].end.query():
            self._told(self._pending.popleft())

    def drain(self) -> None:
        """Wait for the device and tell all that is left."""
        while self._pending:
            pending = self._pending.popleft()
            pending.end.synchronize()
            self._told(pending)

    def _told(self, pending: _Pending) -> None:
        pending.tell(float(pending.begin.elapsed_time(pending.end)))


class Steps:
    """What an optimizer's hooks know between two steps."""

    def __init__(self, torch: Any, optimizer: Any, every: int, batch_size: int | None, clock: DeviceClock) -> None:
        self._torch = torch
        self._optimizer = optimizer
        self._every = every
        self._batch_size = batch_size
        self._clock = clock
        self._name = type(optimizer).__name__
        self._done = 0
        self._loss: Any = None
        self._samples = 0
        self._norm: float | None = None
        self._last_ns: int | None = None
        self._told_ns: int | None = None
        self._mark: Any = None

    @property
    def due(self) -> bool:
        """Whether the step at hand is one of those that are recorded; the first is step 1."""
        return (self._done + 1) % self._every == 0

    def said_loss(self, value: Any) -> None:
        """Keep the loss without what it hangs on."""
        if self.due:
            detach = getattr(value, "detach", None)
            self._loss = detach() if callable(detach) else value

    def said_samples(self, count: int) -> None:
        """Count samples of the step at hand."""
        self._samples += count

    def before(self, *_: object) -> None:
        """Read the gradients: after the step they may be gone."""
        if self._told_ns is None:
            self._told_ns = ambient.monotonic()
        if self.due:
            self._norm = self._gradient_norm()

    def after(self, *_: object) -> None:
        """Count the step, and record it where it is due."""
        due = self.due
        self._done += 1
        self._samples += self._batch_size or 0
        now, last = ambient.monotonic(), self._last_ns
        self._last_ns = now
        try:
            if due:
                self._tell(now)
        finally:
            self._time(now, last, due=due)
            self._loss = self._norm = None

    # ── what is recorded ─────────────────────────────────────────────────────────────────────────────────────────

    def _metric(self, name: str, value: Any, unit: str | None = None, *, step: int | None = None, **more: Any) -> None:
        metric(name, value, step=self._done if step is None else step, optimizer=self._name, unit=unit, **more)

    def _tell(self, now: int) -> None:
        if self._loss is not None:
            self._part(self._tell_loss)
        self._part(self._tell_rates)
        if self._norm is not None:
            self._metric("gradient_norm", self._norm)
        if self._samples and self._told_ns is not None and now > self._told_ns:
            self._metric("samples_per_second", self._samples / (now - self._told_ns) * _NS_PER_S, "{sample}/s")
        self._samples, self._told_ns = 0, now
        self._part(self._tell_memory)

    def _part(self, tell: Callable[[], None]) -> None:
        """Do one part; what fails in it does not take the others with it."""
        try:
            tell()
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error, 0)

    def _tell_loss(self) -> None:
        self._metric("loss", float(self._loss))

    def _tell_rates(self) -> None:
        for number, group in enumerate(self._optimizer.param_groups):
            if "lr" in group:
                self._metric("learning_rate", float(group["lr"]), param_group=number)

    def _tell_memory(self) -> None:
        if (resident := resident_bytes()) is not None:
            self._metric("memory_resident", resident, "By")
        if self._on_device():
            cuda = self._torch.cuda
            self._metric("memory_device", cuda.memory_allocated(), "By")
            self._metric("memory_device_peak", cuda.max_memory_allocated(), "By")

    def _gradient_norm(self) -> float | None:
        grads = [p.grad for group in self._optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not grads:
            return None
        dense = [grad.coalesce().values() if grad.is_sparse else grad for grad in grads]
        norm = self._torch.nn.utils.get_total_norm(dense)
        whole = getattr(norm, "full_tensor", None)  # parameters that are sharded over processes
        return float(whole() if callable(whole) else norm)

    def _time(self, now: int, last: int | None, *, due: bool) -> None:
        if not self._on_device():
            if due and last is not None:
                self._metric("step_ms", (now - last) / 1e6, "ms")
            return
        begin, self._mark = self._mark, None
        if due or self.due:  # this step is recorded, or the next one is
            self._mark = self._clock.mark()
            if due and begin is not None:
                step = self._done
                tell: Callable[[float], None] = lambda ms: self._metric("step_ms", ms, "ms", step=step, clock="cuda")  # noqa: E731
                self._clock.between(begin, self._mark, tell)
        self._clock.poll()

    def _on_device(self) -> bool:
        if not self._clock.available:
            return False
        return any(p.is_cuda for group in self._optimizer.param_groups for p in group["params"][:1])


def resident_bytes() -> int | None:
    """Memory of this process that is in use now, or on systems that do not say so the most it ever used; or None."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123  # read at every recorded step
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
