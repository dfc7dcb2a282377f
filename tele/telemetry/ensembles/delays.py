"""How long a hedged request waits before it sends a second one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import exp, floor
from threading import Lock
from typing import Protocol

__all__ = ["Adaptive", "Delay", "Fixed", "Percentile", "quantile"]


class Delay(Protocol):
    """A rule for the delay. It is told how each race went, and may be asked from several threads."""

    strategy: str

    @property
    def samples(self) -> int:
        """How many latencies it has seen."""

    def ms(self) -> float:
        """Milliseconds to wait from the start of the first request."""

    def saw(self, latency_ms: float, *, fired: bool) -> None:
        """Take the latency of a first request, at least: one that lost was stopped before its end."""


class Fixed:
    """Always the same delay."""

    strategy = "fixed"

    def __init__(self, delay_ms: float) -> None:
        self._ms = delay_ms
        self.samples = 0

    def ms(self) -> float:
        """The delay."""
        return self._ms

    def saw(self, latency_ms: float, *, fired: bool) -> None:
        """Count."""
        del latency_ms, fired
        self.samples += 1


class Percentile:
    """A percentile of the first requests' latencies in a window, or a function of them.

    A first request that lost counts with the time it had taken when it lost. That is longer than the delay was, so
    leaving it out would draw the percentile, and with it the delay, down and down.
    """

    strategy = "percentile"

    def __init__(
        self,
        percentile: float,
        *,
        window: int,
        min_samples: int,
        initial_ms: float,
        of: Callable[[Sequence[float]], float] | None = None,
    ) -> None:
        self.min_samples = min_samples
        self._initial = initial_ms
        self._of = of or (lambda seen: quantile(seen, percentile / 100))
        self._seen: deque[float] = deque(maxlen=window)
        self._lock = Lock()
        if of is not None:
            self.strategy = getattr(of, "__name__", "custom")

    @property
    def samples(self) -> int:
        """How many latencies are in the window."""
        return len(self._seen)

    def ms(self) -> float:
        """The percentile; below `min_samples` latencies, the initial delay."""
        with self._lock:
            seen = tuple(self._seen)
        return self._initial if len(seen) < self.min_samples else max(0.0, float(self._of(seen)))

    def saw(self, latency_ms: float, *, fired: bool) -> None:
        """Put a latency into the window."""
        del fired
        with self._lock:
            self._seen.append(latency_ms)


class Adaptive:
    """A delay that moves until the wanted share of requests is hedged: no window, no guess of a percentile.

    After a race that fired the delay grows by the factor exp(0.5 * (1 - rate)), after one that did not it shrinks by
    exp(-0.5 * rate): it rests where a share `rate` fires. That is stochastic approximation (Robbins and Monro, 1951) of
    the (1 - rate) quantile of latency, on a logarithmic scale.
    """

    strategy = "adaptive"
    step = 0.5

    def __init__(self, rate: float, *, initial_ms: float, min_ms: float, max_ms: float) -> None:
        self._rate, self._least, self._most = rate, min_ms, max_ms
        self._ms = min(max(initial_ms, min_ms), max_ms)
        self._lock = Lock()
        self.samples = 0

    def ms(self) -> float:
        """The delay as it stands."""
        return self._ms

    def saw(self, latency_ms: float, *, fired: bool) -> None:
        """Move the delay."""
        del latency_ms
        factor = exp(self.step * ((1 - self._rate) if fired else -self._rate))
        with self._lock:
            self._ms = min(max(self._ms * factor, self._least), self._most)
            self.samples += 1


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile with linear interpolation (R type 7, numpy's default)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
