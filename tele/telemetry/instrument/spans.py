"""Spans that begin in one place and end in another: a callback opens them, a callback of another thread ends them."""

from __future__ import annotations

import traceback
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from threading import Lock
from types import TracebackType
from typing import Any

from tele.telemetry.ambient import ambient
from tele.telemetry.scope import here
from tele.telemetry.span import Span

__all__ = ["Bounded", "ModelCall", "begin", "end", "kind_of", "without"]

_SHORTEST_SECRET = 4


class ModelCall(Span):
    """A call of a model that an adapter records; adapters of libraries below it see that it is told already."""

    __slots__ = ("attempts", "secrets")

    def __init__(self, name: str, attributes: Mapping[str, Any] | None = None, **fields: Any) -> None:
        super().__init__(name, attributes, **fields)
        self.attempts = 1
        self.secrets: tuple[object, ...] = ()
        """Keys that the call is made with: a server may repeat them in what it refuses with."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(code := getattr(error, "status_code", None), int):
            self.set_attribute("http.response.status_code", code)
        if error is None or isinstance(error, GeneratorExit) or not any(self.secrets):
            super().__exit__(kind, error, trace)
            return
        try:
            self.fail(kind_of(error), without(self.secrets, str(error)))
            self.set_attribute(
                "exception.stacktrace", without(self.secrets, "".join(traceback.format_exception(error)))
            )
        except Exception:  # noqa: BLE001  # an exception whose own text raises
            self.fail(kind_of(error), "(the exception's text cannot be read)")
        super().__exit__(None, None, None)


def kind_of(error: BaseException) -> str:
    """The name under which a span records an exception."""
    kind = type(error)
    builtin = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}"


def without(secrets: Iterable[object], text: str) -> str:
    """`text` with these very words taken out of it."""
    for secret in secrets:
        if isinstance(secret, str) and len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, f"[REDACTED:key:{len(secret)}]")
    return text


def begin(span: Span) -> Span:
    """Begin `span` where the running code is, without being in it: what follows is not its child."""
    outside = here.get()
    span.__enter__()
    here.set(outside)
    return span


def end(span: Span, error: BaseException | None = None, *, took_ns: int | None = None) -> None:
    """End a span that `begin` began, in whatever thread or context this is.

    `took_ns` is how long it took where somebody measured that better than the time until now does.
    """
    outside = here.get()
    if took_ns is not None:
        span.mono_ns = ambient.monotonic() - max(took_ns, 0)
    span.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
    here.set(outside)


class Bounded:
    """A dictionary of at most `most` entries, for many threads; the oldest goes first.

    What began and is never ended (a stream that nobody read) does not fill the memory.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def put(self, key: Hashable, value: Any) -> None:
        """Keep `value`, in place of what stood under `key`."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def add(self, key: Hashable, value: Any) -> Any:
        """Keep `value` where nothing stands under `key`; return what stands there then."""
        with self._lock:
            found = self._kept.setdefault(key, value)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return found

    def get(self, key: Hashable) -> Any:
        """Return what stands under `key`, or None."""
        with self._lock:
            return self._kept.get(key)

    def pop(self, key: Hashable) -> Any:
        """Return what stood under `key`, or None, and forget it."""
        with self._lock:
            return self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)
