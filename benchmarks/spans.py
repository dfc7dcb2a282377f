"""What one span costs the program that makes it, beside OpenTelemetry and beside a span written by hand.

Every side gives the same ten attributes when the span begins and sets one more before it ends. The SDK's queue is
large enough that it drops nothing, and its worker, which hands the spans to an exporter that does nothing, counts:
CPU is that of all threads, up to and with the flush. Ours has redaction on, keeps ids and parents, and has the record
in write(2) when the span is left (`process`), or in write(2) after the flush at the end of the round (`buffered`).
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from benchmarks.measure import Race, Row, Settings, cpu, missing, race, row
from benchmarks.workload import text

__all__ = ["rows"]

ATTRIBUTES: dict[str, Any] = {
    "gen_ai.request.temperature": 0.7,
    "gen_ai.request.max_tokens": 512,
    "app.model": "claude-3-5-sonnet-20241022",
    "app.component": "retrieve",
    "app.tenant": "t4",
    "app.items": 17,
    "app.score": 0.8125,
    "app.cached": False,
    "app.stream": True,
    "app.call": "",  # stands for an id that is another one in each span, see `_pool`
}
_BODY = text(random.Random(11), 1600)
QUEUE = 2_000_000

Side = Callable[[list[dict[str, Any]]], float]


def rows(settings: Settings) -> list[Row]:
    """Measure ours against the SDK, the bare span and the no-op API."""
    found: list[Row] = []
    for key, title, more in (
        ("span", "10 attributes", {}),
        ("span-body", "10 attributes and 1.6 kB", {"app.body": _BODY}),
    ):
        took, absent = _race(settings, _pool(settings.spans, more))
        body = key == "span-body"
        asked = (
            ("", f"span, {title}, `process`", "tele", "OTel SDK, batch", None if body else 0.5),
            ("-bare", f"span, {title}, `process`", "tele", "bare span in a list", None if body else 8.0),
            ("-buffered", f"span, {title}, `buffered`", "tele buffered", "OTel no-op", None if body else 1.5),
        )
        for suffix, what, ours, against, hold in asked:
            if against in took.costs:
                found.append(row(key + suffix, what, took, ours, against, hold, per=settings.spans))
            elif absent:
                found.append(missing(key + suffix, what, against, hold, absent))
    return found


def _pool(count: int, more: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes of each span of a round; the id of the call differs, as in life, so that no side can remember it."""
    draw = random.Random(3)
    return [{**ATTRIBUTES, "app.call": f"call_{draw.getrandbits(48):012x}", **more} for _ in range(count)]


def _race(settings: Settings, pool: list[dict[str, Any]]) -> tuple[Race, ImportError | None]:
    sides: dict[str, Side] = {
        "tele": _tele("process"),
        "tele buffered": _tele("buffered"),
        "bare span in a list": _bare,
    }
    absent = None
    try:
        sides |= {"OTel SDK, batch": _sdk(), "OTel no-op": _noop()}
    except ImportError as error:
        absent = error
    bound = {name: (lambda side=side: side(pool)) for name, side in sides.items()}
    return race(bound, settings.rounds), absent


# ── ours ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tele(durability: str) -> Side:
    import tele

    def side(pool: list[dict[str, Any]]) -> float:
        def work() -> None:
            span = tele.span
            for attributes in pool:
                with span("step", attributes=attributes) as current:
                    current.set_attribute("app.ok", True)
            tele.flush()

        with tempfile.TemporaryDirectory() as folder:
            tele.configure(store=Path(folder) / ".tele", durability=durability, seal="manual")
            with tele.span("first"):  # opens the journal
                pass
            took = cpu(work)
            if lost := tele.dropped():
                raise RuntimeError(f"records were lost: {lost}")
            tele.configure(seal="manual")  # closes the journal before its folder goes
        return took

    return side


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_here: ContextVar[_Bare | None] = ContextVar("here", default=None)
_random = random.Random()


class _Bare:
    """The least that a span can be: ids, parent, times, attributes; kept in a list."""

    __slots__ = ("attributes", "end", "name", "out", "parent_id", "span_id", "start", "token", "trace_id")

    def __init__(self, out: list[_Bare], name: str, attributes: dict[str, Any]) -> None:
        self.out = out
        self.name = name
        self.attributes = dict(attributes)

    def __enter__(self) -> Self:
        above: _Bare | None = _here.get()
        self.trace_id: int = above.trace_id if above else _random.getrandbits(128)
        self.parent_id = above.span_id if above else 0
        self.span_id: int = _random.getrandbits(64)
        self.token = _here.set(self)
        self.start = time.time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.end = time.time_ns()
        _here.reset(self.token)
        self.out.append(self)

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value


def _bare(pool: list[dict[str, Any]]) -> float:
    out: list[_Bare] = []

    def work() -> None:
        for attributes in pool:
            with _Bare(out, "step", attributes) as current:
                current.set_attribute("app.ok", True)

    return cpu(work)


# ── OpenTelemetry ────────────────────────────────────────────────────────────────────────────────────────────────────


def _sdk() -> Side:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Null(SpanExporter):
        """Counts what reaches it, so that a dropped span would be noticed."""

        def __init__(self) -> None:
            self.seen = 0

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            self.seen += len(spans)
            return SpanExportResult.SUCCESS

    def side(pool: list[dict[str, Any]]) -> float:
        exporter = Null()
        processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        tracer = provider.get_tracer("benchmark")

        def work() -> None:
            for attributes in pool:
                with tracer.start_as_current_span("step", attributes=attributes) as current:
                    current.set_attribute("app.ok", True)
            processor.force_flush()

        took = cpu(work)
        provider.shutdown()
        if exporter.seen != len(pool):
            raise RuntimeError(f"the SDK exported {exporter.seen} of {len(pool)} spans")
        return took

    return side


def _noop() -> Side:
    from opentelemetry.trace import NoOpTracerProvider

    tracer = NoOpTracerProvider().get_tracer("benchmark")

    def side(pool: list[dict[str, Any]]) -> float:
        def work() -> None:
            for attributes in pool:
                with tracer.start_as_current_span("step", attributes=attributes) as current:
                    current.set_attribute("app.ok", True)

        return cpu(work)

    return side
