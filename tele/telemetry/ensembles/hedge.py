"""`tele.hedge`: a second request where the first is slow; the first answer counts (Dean and Barroso, 2013)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from threading import Event, Lock
from types import TracebackType
from typing import Any, Self

from tele.errors import BadInput
from tele.telemetry.ambient import ambient
from tele.telemetry.ensembles.delays import Adaptive, Delay, Fixed, Percentile
from tele.telemetry.ensembles.opening import Opening
from tele.telemetry.span import Span

__all__ = ["Hedge", "Race", "hedge"]

Function = Callable[..., Any]


class Race:
    """One hedged request in progress, as `with tele.hedge(...) as race:` gives it."""

    def __init__(self, rules: Hedge) -> None:
        self._rules = rules
        self._lock = Lock()
        self.delay_ms = rules.delay.ms()
        """How long the first request has before a second is sent."""
        facts = {"strategy": rules.delay.strategy, "delay_ms": self.delay_ms, "samples": rules.delay.samples}
        self.span = Span("hedge", facts, **rules.fields)
        self.fired = 0
        """How many requests were sent beside the first."""
        self.winner: str | None = None
        self.over = Event()
        """Set when the race is decided: a request that still runs has lost."""

    def __enter__(self) -> Self:
        self.span.__enter__()
        self.span.set_attribute("hedge_id", self.span.span_id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.span.set(fired=self.fired > 0, attempts=self.fired + 1)
        self.span.__exit__(kind, error, trace)

    @property
    def id(self) -> str:
        """The race's id: that of its span."""
        return self.span.span_id

    def fire(self) -> None:
        """Say that one more request was sent."""
        self.fired += 1

    def win(self, attempt: str = "primary") -> bool:
        """Say who answered first, `primary` or `backup`; False where another did already, or the race is over."""
        with self._lock:
            if self.winner is not None or self.over.is_set():
                return False
            self.winner = attempt
            self.over.set()
        self.span.set(winner=attempt)
        return True

    def waste(self, *, usd: float | None = None, tokens: int | None = None) -> None:
        """State what the losers used, where no spans of theirs tell."""
        told = {"wasted_usd": usd, "wasted_tokens": tokens}
        self.span.set(**{key: value for key, value in told.items() if value is not None})

    def saw_primary(self) -> None:
        """Tell the delay how long the first request took, or has taken so far."""
        self._rules.delay.saw((ambient.monotonic() - self.span.mono_ns) / 1e6, fired=self.fired > 0)


class Hedge(Opening[Race]):
    """A function with others, or itself, as its backup. Make one with `tele.hedge`.

    Called, it calls the function, and a backup where that has not answered after the delay; the first answer is
    returned and the others are cancelled. Async functions are awaited. What the delay learns belongs to this object.
    """

    def __init__(
        self,
        function: Function | None = None,
        *backups: Function,
        strategy: str | Callable[[Sequence[float]], float] = "fixed",
        delay_ms: float = 100.0,
        percentile: float = 95.0,
        min_samples: int = 10,
        window: int = 1000,
        rate: float = 0.05,
        min_ms: float = 1.0,
        max_ms: float = 10_000.0,
        max_hedges: int = 1,
        timeout_ms: float | None = None,
        on_error: bool = True,
        stop: str | None = None,
        **fields: Any,
    ) -> None:
        """Take a function and its backups, which stand for it when it is slow; without any it is its own backup.

        `strategy`: `fixed` waits `delay_ms`; `percentile` waits that percentile of the latencies seen so far, over a
        `window` of first requests, and `delay_ms` while there are fewer than `min_samples`; `adaptive` begins at
        `delay_ms` and moves between `min_ms` and `max_ms` until a share `rate` of the requests is hedged; a function
        takes the latencies in milliseconds and returns the delay, under the same `min_samples`.

        At most `max_hedges` backups are sent, each after one more delay. A request that fails has the next one sent
        at once, unless `on_error` is False; where all fail, the first one's exception is raised. After `timeout_ms`
        TimeoutError is raised. A task that lost is cancelled; a thread cannot be: it runs on, and, where `stop` names
        a keyword, finds a `threading.Event` there that is set then. Without a function it is a decorator, or, in
        `with`, records a request that is hedged elsewhere. Other keywords are as for `tele.span`. Raises BadInput.
        """
        self.functions: tuple[Function, ...] = () if function is None else (function, *backups)
        self.max_hedges, self.timeout_ms, self.on_error, self.stop = max_hedges, timeout_ms, on_error, stop
        self.fields = {"operation": "invoke_workflow"} | fields
        super().__init__()
        self._rule = functools.partial(
            _delay, strategy, delay_ms, percentile, (window, min_samples), (rate, min_ms, max_ms)
        )
        if max_hedges < 0 or (timeout_ms is not None and not timeout_ms > 0):
            raise BadInput("max_hedges is 0 or more, and timeout_ms above 0.")
        self.delay: Delay = self._rule()

    def attempt(self, number: int) -> tuple[str, Function]:
        """Name and function of request `number`; backups take turns."""
        name = "primary" if number == 0 else "backup" if number == 1 else f"backup-{number}"
        others = self.functions[1:]
        return name, self.functions[0] if number == 0 or not others else others[(number - 1) % len(others)]

    def opened(self) -> Race:
        """A hedged request that is recorded by hand."""
        return Race(self)

    # ── as a function, and as a decorator ────────────────────────────────────────────────────────────────────────

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the request: its answer, or, where the function or a backup is async, an awaitable of it."""
        from tele.telemetry.ensembles import racing
        from tele.telemetry.ensembles.threads import is_async

        if not self.functions:
            return self._around(*args, **kwargs)
        run = racing.race_async if any(map(is_async, self.functions)) else racing.race
        return run(self, args, kwargs)

    def _around(self, function: Function) -> Function:
        """Wrap `function`, with a delay that learns from its calls alone."""
        from tele.telemetry.ensembles.threads import is_async

        if not callable(function):
            raise BadInput(f"tele.hedge takes a function, not {function!r}.")
        bound = object.__new__(Hedge)
        bound.__dict__ |= self.__dict__ | {"functions": (function,), "delay": self._rule(), "_open": []}
        if is_async(function):

            @functools.wraps(function)
            async def hedged(*args: Any, **kwargs: Any) -> Any:
                return await bound(*args, **kwargs)
        else:

            @functools.wraps(function)
            def hedged(*args: Any, **kwargs: Any) -> Any:
                return bound(*args, **kwargs)

        return hedged


hedge = Hedge


def _delay(
    strategy: str | Callable[[Sequence[float]], float],
    delay_ms: float,
    percentile: float,
    seen: tuple[int, int],
    moving: tuple[float, float, float],
) -> Delay:
    (window, min_samples), (rate, least, most) = seen, moving
    if not delay_ms >= 0:
        raise BadInput(f"delay_ms is 0 or more, not {delay_ms!r}.")
    if strategy == "fixed":
        return Fixed(delay_ms)
    if strategy == "adaptive":
        if not (0 < rate < 1 and 0 < least <= most):
            raise BadInput(f"rate is between 0 and 1 and min_ms up to max_ms, not {rate!r}, {least!r} and {most!r}.")
        return Adaptive(rate, initial_ms=delay_ms, min_ms=least, max_ms=most)
    if strategy != "percentile" and not callable(strategy):
        raise BadInput(f"strategy is a function or one of fixed, percentile, adaptive, not {strategy!r}.")
    if not (0 <= percentile <= 100 and 1 <= min_samples <= window):  # noqa: PLR2004
        raise BadInput("percentile is from 0 to 100, and min_samples from 1 up to the window.")
    of = strategy if callable(strategy) else None
    return Percentile(percentile, window=window, min_samples=min_samples, initial_ms=delay_ms, of=of)
