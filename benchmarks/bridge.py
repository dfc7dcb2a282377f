"""What `tele.otel.install()` costs the application's thread, beside the SDK's own batch processor.

Both sides make the same spans with the same SDK and tracer; one hands them to a BatchSpanProcessor whose exporter does
nothing, the other to tele, which keeps what is around each; a thread of its own converts, redacts and writes. Measured
is the CPU of the application's thread alone, without the flush at the end; what the conversion costs stands in a row of
its own, against the same null exporter: CPU of all threads up to and with the flush. Every span is looked for in the
store afterwards.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Race, Row, Settings, missing, race, row
from benchmarks.spans import ATTRIBUTES, QUEUE

__all__ = ["rows"]

_WHAT = "OpenTelemetry span, 10 attributes"
_SDK, _OURS = "SDK, batch processor, null exporter", "SDK, tele.otel.install()"


def rows(settings: Settings) -> list[Row]:
    """Measure the application's thread, and all threads."""
    try:
        sides = {_SDK: _batch, _OURS: _bridge}
        pool = _pool(settings.spans)
        mine, all_threads = _both(sides, pool, settings.rounds)
    except ImportError as error:
        return [missing("bridge", f"{_WHAT}, application's thread", _SDK, 1.15, error)]
    return [
        row("bridge", f"{_WHAT}, application's thread", mine, _OURS, _SDK, 1.15, per=settings.spans),
        row("bridge-all", f"{_WHAT}, all threads, to the log", all_threads, _OURS, _SDK, None, per=settings.spans),
    ]


Pool = list[dict[str, Any]]
Side = Callable[[Pool], tuple[float, float]]


def _both(sides: dict[str, Side], pool: Pool, rounds: int) -> tuple[Race, Race]:
    """Race once and keep two costs of each side: the application's thread, and all threads."""
    whole: dict[str, list[float]] = {name: [] for name in sides}

    def taking(name: str, side: Side) -> Callable[[], float]:
        def work() -> float:
            mine, everything = side(pool)
            whole[name].append(everything)
            return mine

        return work

    mine = race({name: taking(name, side) for name, side in sides.items()}, rounds)
    return mine, Race({name: costs[1:] for name, costs in whole.items()})  # the first round does not count


def _pool(count: int) -> Pool:
    draw = random.Random(3)
    return [{**ATTRIBUTES, "app.call": f"call_{draw.getrandbits(48):012x}"} for _ in range(count)]


def _timed(tracer: Any, pool: Pool, flush: Callable[[], object]) -> tuple[float, float]:
    whole, mine = time.process_time(), time.thread_time()
    for attributes in pool:
        with tracer.start_as_current_span("step", attributes=attributes) as current:
            current.set_attribute("app.ok", True)
    mine = time.thread_time() - mine
    flush()
    return mine, time.process_time() - whole


def _batch(pool: Pool) -> tuple[float, float]:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Null(SpanExporter):
        """Counts what reaches it, so that a dropped span would be noticed."""

        seen = 0

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            self.seen += len(spans)
            return SpanExportResult.SUCCESS

    exporter = Null()
    processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    took = _timed(provider.get_tracer("benchmark"), pool, processor.force_flush)
    provider.shutdown()
    if exporter.seen != len(pool):
        raise RuntimeError(f"the SDK exported {exporter.seen} of {len(pool)} spans")
    return took


def _bridge(pool: Pool) -> tuple[float, float]:
    from opentelemetry.sdk.trace import TracerProvider

    import tele
    from tele.telemetry.otel.installing import install

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".tele"
        tele.configure(store=store, durability="process", seal="manual")
        with tele.span("first"):  # opens the journal
            pass
        provider = TracerProvider(shutdown_on_exit=False)
        installed = install(provider, logs=False, metrics=False)
        took = _timed(provider.get_tracer("benchmark"), pool, installed.force_flush)
        with tele.open(store) as reader:
            found = reader.rows("SELECT count(*) FROM spans WHERE name = 'step'")[0][0]
        if found != len(pool) or tele.dropped():
            raise RuntimeError(f"the store has {found} of {len(pool)} spans; lost: {tele.dropped()}")
        provider.shutdown()
        tele.configure(seal="manual")  # closes the journal before its folder goes
    return took
