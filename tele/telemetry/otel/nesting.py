"""Where OpenTelemetry's spans and ours stand to one another.

A span of OpenTelemetry belongs to the experiment, run, condition and item that tele's context is in at its start. One
that starts without such a context (in another thread, for a remote caller) takes them from its parent or from the
baggage of its caller. Within a span of tele's it continues that span's trace, and so the other way round.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opentelemetry import baggage
from opentelemetry.context import get_current
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import INVALID_SPAN, get_current_span

from tele.telemetry.ambient import ambient
from tele.telemetry.ingest.carried import PREFIX
from tele.telemetry.otel.pending import pending
from tele.telemetry.otel.sdk import START, Ended, attributes_of
from tele.telemetry.otel.writing import write_span
from tele.telemetry.process import process
from tele.telemetry.propagate import node_of
from tele.telemetry.sampling import keeps
from tele.telemetry.scope import OUTSIDE, Node, foreign, here
from tele.telemetry.ticker import OPEN_NS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span
    from opentelemetry.trace import SpanContext

__all__ = ["Begun", "TraceIds", "begin", "begun"]


MOST_OPEN = 50_000
"""Spans that are watched while they are open; beyond it the oldest is no more, and is a second row when it ends."""


class Begun:
    """A span of OpenTelemetry that has begun, with what was around it then; what follows from that is found later.

    Made on the application's thread for every span, so it only keeps.
    """

    # No slots: what is seldom set stands in the class, and is not paid for.
    above: Begun | None
    ended: Ended | None = None
    """What became of the span."""
    inherited = False
    """Whether it began in the process that this one was forked from, which writes it."""
    told = False
    """Whether a record says that it began."""
    _event_id = ""
    _place: Node | None = None
    _sampled: bool | None = None

    def __init__(
        self, span: Span | None, own: SpanContext, place: Node, above: Begun | None, context: Context | None
    ) -> None:
        """Take the span, tele's place around it, its parent if that is of this process, and its context if not."""
        self.span = span
        """None once it has ended."""
        self.own = own
        self.here = place
        self.above = above
        self.context = context

    @property
    def node(self) -> Node:
        """What the span belongs to: tele's place around it, else its parent's, else that of the remote caller."""
        if self.here is OUTSIDE:
            if self.above is not None:
                self.here = self.above.node
            elif self.context is not None:
                self.here = _caller(self.context)
            self.context = None
        return self.here

    @property
    def sampled(self) -> bool:
        """Whether the span is kept: as its trace is, else by the trace's id and within the sample size of the run."""
        if self._sampled is None:
            self._sampled = self._decide()
        return self._sampled

    def _decide(self) -> bool:
        node = self.node
        if node.trace_id:
            return node.sampled
        if self.above is not None:
            return self.above.sampled
        scope = node.scope
        rate = process.settings.sampling_rate if node is OUTSIDE else scope.sampling_rate
        if rate < 1.0 and not keeps(f"{self.own.trace_id:032x}", rate):
            return False
        return scope.samples is None or scope.samples.admits(scope.columns.get("item_id"))

    @property
    def place(self) -> Node:
        """This span as a place of tele's: what is recorded within belongs to it."""
        if self._place is None:
            own = self.own
            self._place = Node(self.node.scope, f"{own.trace_id:032x}", f"{own.span_id:016x}", sampled=self.sampled)
        return self._place

    @property
    def parent_id(self) -> str | None:
        """Span of tele's that is nearer than the parent that OpenTelemetry knows."""
        node, above = self.node, self.above
        if not node.span_id or node.trace_id != self.place.trace_id or (above is not None and above.node is node):
            return None
        return node.span_id

    @property
    def event_id(self) -> str:
        """Id of the record, the same for the start and the end."""
        if not self._event_id:
            start = self.ended[START] if self.ended is not None else self.span.start_time if self.span else None
            self._event_id = ambient.ids.event(start or ambient.now())
        return self._event_id

    def write(self) -> None:
        """Write the record of the span that has ended, and those of its events."""
        if self.ended is not None and self.own.trace_flags.sampled and self.sampled:
            write_span(self.ended, self.node, event_id=self.event_id, parent_id=self.parent_id)

    def tell(self) -> None:
        """Write that the span has begun and not ended."""
        self.told = True
        try:
            span = self.span
            if span is None or not (self.own.trace_flags.sampled and self.sampled):
                return
            above = span.parent
            record: dict[str, Any] = {
                "event_id": self.event_id,
                "kind": "span",
                "name": span.name,
                "start_ns": span.start_time,
                "trace_id": self.place.trace_id,
                "span_id": self.place.span_id,
                "status": "open",
            }
            if parent := self.parent_id or (f"{above.span_id:016x}" if above is not None else None):
                record["parent_id"] = parent
            if attributes := attributes_of(dict(span.attributes or {})):
                record["attributes"] = attributes
            process.write(record, self.node.scope.encoded)
        except Exception as error:  # noqa: BLE001  # its end will be written; the thread goes on
            process.lose(error, 0)


begun: dict[int, Begun] = {}
"""Spans that have begun and not ended, oldest first, by the identity of their context, which each keeps alive."""


def begin(span: Span, context: Context | None) -> None:
    """Remember what is around a span that begins."""
    node = here.get()
    above = begun.get(id(span.parent))
    if node is OUTSIDE and above is None and context is None:
        context = get_current()
    own = span.context
    started = begun[id(own)] = Begun(span, own, node, above, context)
    if node.scope.samples is not None:
        started.sampled  # noqa: B018  # it counts the samples of the run, in the order in which they begin
    if not pending.awake:
        pending.start()


def tell(age_ns: int = OPEN_NS) -> None:
    """Write as started what is open for `age_ns`, so that a process that is killed leaves behind what it was doing."""
    limit = ambient.now() - age_ns
    for key in tuple(begun)[:-MOST_OPEN]:  # spans that nobody will end: the log has them as open
        begun.pop(key, None)
    for started in tuple(begun.values()):
        if started.told or started.inherited or (span := started.span) is None:
            continue
        if (span.start_time or 0) > limit:
            return
        started.tell()


def _after_in_child() -> None:
    for started in begun.values():
        started.inherited = True


def _leave() -> None:
    """What ended is written, and what did not is told, when the process ends."""
    pending.settle()
    pending.alone(lambda: tell(0))


pending.rounds.append(tell)
atexit.register(_leave)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)


def _caller(context: Context) -> Node:
    """Give the place that a remote caller's baggage speaks of; OUTSIDE where it says nothing of tele."""
    ours = {key: str(value) for key, value in baggage.get_all(context).items() if key.startswith(PREFIX)}
    if not ours:
        return OUTSIDE
    return node_of(
        {"BAGGAGE": ",".join(f"{key}={quote(value, safe='', errors='replace')}" for key, value in ours.items())}
    )


def _innermost(node: Node) -> Node:
    """Give OpenTelemetry's current span as a place where it began within `node`, else `node`."""
    span = get_current_span()
    if span is INVALID_SPAN:
        return node
    started = begun.get(id(span.get_span_context()))
    if started is None or not (node is OUTSIDE or started.node is node):
        return node
    return started.place


foreign.innermost = _innermost


class TraceIds(IdGenerator):
    """The provider's own ids, but that a root within one of tele's spans continues its trace."""

    def __init__(self, inner: IdGenerator) -> None:
        self.inner = inner
        self.generate_span_id = inner.generate_span_id  # type: ignore[method-assign]  # one call less for each span

    def generate_span_id(self) -> int:
        """Give 64 bits; see `__init__`."""
        return self.inner.generate_span_id()

    def generate_trace_id(self) -> int:
        """Give 128 bits: those of the trace that tele's context is in, else the provider's own."""
        trace_id = here.get().trace_id
        return int(trace_id, 16) if trace_id else self.inner.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """Say whether the last 56 bits are random; those of tele's are."""
        random = getattr(self.inner, "is_trace_id_random", None)  # since SDK 1.41
        return bool(random()) if random is not None else False
