"""Spans: what took time.

A context manager and a decorator, for sync, async, generator and async-generator functions.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Self, TypeVar

from tele.errors import BadInput
from tele.telemetry.ambient import ambient
from tele.telemetry.fields import fill, fit, spoken_of
from tele.telemetry.handed import handed_over
from tele.telemetry.pricing import add_cost
from tele.telemetry.process import process
from tele.telemetry.sampling import keeps
from tele.telemetry.scope import INHERITED, OUTSIDE, Node, here, place
from tele.telemetry.ticker import ticker
from tele.telemetry.wrap import onto, wrap

__all__ = ["Span", "copied", "counted", "current_span", "failure", "inherited", "span"]

F = TypeVar("F", bound=Callable[..., Any])


class Span(Node):
    """One operation with a beginning and an end. Make one with `tele.span`."""

    __slots__ = (
        "_attributes",
        "_event_id",
        "_fields",
        "_generation",
        "_inner",
        "_parent",
        "_token",
        "ended",
        "mono_ns",
        "name",
        "start_ns",
    )

    def __init__(self, name: str, attributes: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Take a name, columns and attributes; nothing is recorded before `with`.

        A keyword that is a user column of `events` fills it, any other becomes an attribute; `attributes` takes
        dotted keys.
        """
        self.name = name
        self._fields = fields
        self._attributes = None if attributes is None else copied(attributes)
        self._token: Token[Node] | None = None
        self._inner: list[Span] = []
        self.ended = False
        self._event_id = ""

    # ── as a context manager ─────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        if self._token is not None:  # entered while it runs: that is a span of its own
            again = self._again()
            self._inner.append(again)
            return again.__enter__()  # type: ignore[return-value]  # of the sort that this one is
        if self.ended:  # used again: a row of its own
            self.ended, self._event_id = False, ""
        above = place()
        self._parent = above
        self.start_ns = now = ambient.now()
        scope = above.scope
        if not INHERITED.isdisjoint(self._fields):
            scope = scope.with_columns(inherited(self._fields))
        self.scope = scope
        if above.trace_id:
            self.trace_id = above.trace_id
            self.sampled = above.sampled
        else:
            self.trace_id = ambient.ids.trace(now)
            rate = process.settings.sampling_rate if above is OUTSIDE else scope.sampling_rate
            self.sampled = rate >= 1.0 or keeps(self.trace_id, rate)
            if scope.samples is not None and not scope.samples.admits(scope.columns.get("item_id")):
                self.sampled = False
        self.span_id = ambient.ids.span()
        self._generation = ticker.generation
        self._token = here.set(self)
        self.mono_ns = ambient.monotonic()
        if self.sampled:
            ticker.young[id(self)] = self
            if not ticker.running:
                ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inner and (node := here.get()) is not self:  # which of us is left, the code's own place says
            inner = next((span for span in self._inner if span is node), self._inner[-1])
            self._inner.remove(inner)
            inner.__exit__(kind, error, trace)
            return
        token, self._token = self._token, None
        if token is None:
            return
        end = self.start_ns + ambient.monotonic() - self.mono_ns
        self.ended = True
        if self.sampled and ticker.young.pop(id(self), None) is None:
            ticker.wait()  # our start is being appended, or was: the end stands behind it
        try:
            here.reset(token)
        except ValueError:  # closed in another context (a generator finished elsewhere): that one was never entered
            pass
        if self.sampled and self._generation == ticker.generation:
            self._write(end, error)

    def _again(self) -> Span:
        return Span(self.name, self._attributes, **self._fields)

    @property
    def outside(self) -> Node:
        """Where the code was that entered this span; once it is entered."""
        return self._parent

    # ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────

    def set(self, **fields: Any) -> Self:
        """Fill columns and attributes, as the keywords of `tele.span` do; later values stand over earlier ones."""
        self._fields |= fields
        if self._token is not None and not INHERITED.isdisjoint(fields):
            self.scope = self.scope.with_columns(inherited(fields))
        return self

    def set_attribute(self, key: str, value: Any) -> Self:
        """Set one attribute; `key` may have dots."""
        if self._attributes is None:
            self._attributes = {}
        self._attributes[key] = value
        return self

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> Self:
        """Say what a model call used.

        Input includes cached tokens, output includes reasoning; dollars follow from the
        price table unless `cost_usd` states them.
        """
        given = {key: value for key, value in locals().items() if key != "self" and value is not None}
        if cost_usd is not None:
            given["price_ref"] = "source"
        return self.set(**given)

    def fail(self, error_type: str, message: str = "") -> Self:
        """Mark as failed without an exception, such as an answer that was refused."""
        return self.set(success=False, error_type=error_type, error_message=message)

    @property
    def event_id(self) -> str:
        """Id of the record of this span, for a later `tele.score`."""
        if not self._event_id:
            begun = self.start_ns if self._token is not None or self.ended else ambient.now()
            self._event_id = ambient.ids.event(begun)
        return self._event_id

    def counted_within(self) -> None:
        """Hear that a call within has counted tokens, or its cost."""

    # ── as a decorator ───────────────────────────────────────────────────────────────────────────────────────────

    def __call__(self, function: F) -> F:
        """Wrap `function`: each call is a span of its own with this name and these fields.

        Of a class each public method is wrapped, and its spans are named `name.method`.
        """
        if callable(self.name):  # `@tele.span` bare: the function came as the name, and this is a call of it
            raise BadInput("tele.span takes a name: write @tele.span('name') above the function.")
        return onto(function, self.name, self._onto)

    def _onto(self, function: F, name: str) -> F:
        return wrap(function, lambda _args, _kwargs: Span(name, self._attributes, **self._fields), returned=_returned)

    # ── the record ───────────────────────────────────────────────────────────────────────────────────────────────

    def start_line(self) -> bytes | None:
        """Encode that this span has begun and not ended; None where that cannot be."""
        record: dict[str, Any] = {
            "event_id": self.event_id,
            "kind": "span",
            "name": self.name,
            "start_ns": self.start_ns,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "status": "open",
        }
        if parent := self._parent.span_id:
            record["parent_id"] = parent
        fill(record, dict(self._fields), dict(self._attributes) if self._attributes else None)
        return process.encode(record, self.scope.encoded)

    def _write(self, end: int, error: BaseException | None) -> None:
        event_id = self._event_id = self._event_id or ambient.ids.event(self.start_ns)
        record: dict[str, Any] = {
            "event_id": event_id,
            "kind": "span",
            "name": self.name,
            "start_ns": self.start_ns,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "end_ns": end,
            "status": "ok",
            "success": True,
        }
        if parent := self._parent.span_id:
            record["parent_id"] = parent
        flat = False
        try:
            attributes = self._attributes
            if error is not None:
                attributes = {**(attributes or {}), **failure(record, error)}
            flat = fill(record, self._fields, attributes)
            if self._attributes is not None and (more := spoken_of(record)):
                self.scope = self.scope.with_columns(more | self.scope.columns)
            if "error_type" in record and "success" not in self._fields:
                record["success"] = False
            if record["success"] is False:
                record["status"] = "error"
            if "model" in record or "input_tokens" in record or "output_tokens" in record or "cost_usd" in record:
                add_cost(record)
                counted(record, self._parent)
        except Exception as fault:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(fault, 0)
        process.write(record, self.scope.encoded, flat=flat and "input" not in record and "output" not in record)


def counted(record: dict[str, Any], above: Node) -> None:
    """Tell the spans above of a record that it counts tokens or a cost, so that none of them counts them again."""
    if "input_tokens" in record or "output_tokens" in record or "cost_usd" in record:
        while isinstance(above, Span):
            above.counted_within()
            above = above.outside


def _returned(entered: Span, result: Any) -> Any:
    """Leave the span of a call; a chain that the function hands over, as `(result, chain)`, is recorded in it."""
    if type(result) is tuple:
        handed_over(result, entered)
    entered.__exit__(None, None, None)
    return result


span = Span


def current_span() -> Span | None:
    """Return the span that the running code is in, or None."""
    node = here.get()
    return node if isinstance(node, Span) else None


def inherited(fields: dict[str, Any]) -> dict[str, Any]:
    """Columns among `fields` that records within take over, in their columns' types."""
    given = {key: fit(key, fields[key]) for key in INHERITED & fields.keys() if fields[key] is not None}
    return {key: value for key, value in given.items() if value is not None}


def copied(attributes: object) -> dict[str, Any]:
    """`attributes` as a dict of its own; what is no mapping is kept under a name of tele's."""
    if type(attributes) is dict or isinstance(attributes, Mapping):
        return dict(attributes)
    return {"user.attributes": attributes}


def failure(record: dict[str, Any], error: BaseException) -> dict[str, Any]:
    """Mark the record as failed by `error`; return the attributes that say more."""
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
        return {}
    kind = type(error)
    builtin = kind.__module__ in ("builtins", "__main__")
    record["success"] = False
    record["error_type"] = kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}"
    try:
        record["error_message"] = str(error)
        return {"exception.stacktrace": "".join(traceback.format_exception(error))}
    except Exception:  # noqa: BLE001  # an exception whose own text raises
        record["error_message"] = "(the exception's text cannot be read)"
        return {}
