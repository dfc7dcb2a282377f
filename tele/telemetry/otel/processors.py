"""What is put into OpenTelemetry's pipelines: it appends, and `pending` converts and writes.

Spans, log records and metrics take the same way as tele's own records: redaction, caps, blobs and prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tele.store.journal import flush_all
from tele.telemetry.otel.measured import metric_records
from tele.telemetry.otel.nesting import Begun, begin, begun
from tele.telemetry.otel.pending import pending
from tele.telemetry.otel.sdk import ended
from tele.telemetry.otel.writing import write, write_log, write_span
from tele.telemetry.process import flush, process
from tele.telemetry.scope import Node, here, place

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["Exporter", "LogProcessor", "MetricsIn", "SpansIn", "exporter"]


class SpansIn(SpanProcessor):
    """Brings every span that the provider makes into the store."""

    def __init__(self) -> None:
        self._over = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember what is around the span."""
        if not self._over:
            begin(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand the span to the thread that writes it."""
        started = begun.pop(id(span.context), None)
        if self._over:
            _late("span")
            return
        if started is None:  # it began before there was anybody to see it
            started = Begun(None, span.context, here.get(), None, None)
        elif started.inherited:
            return
        started.span, started.ended = None, ended(span)
        pending.add(started)

    def shutdown(self) -> None:
        """Write what waits; what ends later is counted as lost."""
        self._over = True
        _settle()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what waits; False where that takes longer than `timeout_millis`."""
        return _settle(timeout_millis)


class _Emitted(NamedTuple):
    """A log record, and where it was emitted."""

    log: ReadWriteLogRecord
    node: Node

    def write(self) -> None:
        """Write it."""
        write_log(self.log, self.node)


class LogProcessor(LogRecordProcessor):
    """Brings every log record that the provider emits into the store, as a point event."""

    def __init__(self) -> None:
        self._over = False

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Hand the record to the thread that writes it."""
        if self._over:
            _late("log record")
            return
        pending.add(_Emitted(log_record, place()))

    def shutdown(self) -> None:
        """Write what waits; what is emitted later is counted as lost."""
        self._over = True
        _settle()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what waits; False where that takes longer than `timeout_millis`."""
        return _settle(timeout_millis)


class Exporter(SpanExporter):
    """Writes the spans that a pipeline of the SDK hands over; each belongs to where tele's context is at `__init__`.

    For pipelines that are built elsewhere: `BatchSpanProcessor(tele.otel.exporter())`. `install` does more: it sees
    where each span begins.
    """

    def __init__(self) -> None:
        self._node = here.get()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans before returning."""
        if self._node.sampled:
            for span in spans:
                write_span(ended(span), self._node)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand what was written to the operating system."""
        del timeout_millis
        flush()
        return True

    def shutdown(self) -> None:
        """Hand what was written to the operating system."""
        flush()


class MetricsIn(MetricExporter):
    """Writes one row for each data point of a collection; they belong to where tele's context is at `__init__`."""

    def __init__(self) -> None:
        super().__init__()
        self._node = here.get()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Write the data points before returning."""
        del timeout_millis, kwargs
        try:
            for record in metric_records(metrics_data):
                write(record, self._node)
        except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
            process.lose(error)
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Hand what was written to the operating system."""
        del timeout_millis
        flush()
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Hand what was written to the operating system."""
        del timeout_millis, kwargs
        flush()


def exporter() -> Exporter:
    """Give a SpanExporter of the SDK that writes into the store, for any pipeline.

    `BatchSpanProcessor(tele.otel.exporter())`: its spans belong to the experiment around this call.
    """
    return Exporter()


def _settle(timeout_millis: float | None = None) -> bool:
    done = pending.settle(None if timeout_millis is None else timeout_millis / 1000)
    flush_all()
    process.warn()
    return done


def _late(what: str) -> None:
    process.lose(RuntimeError(f"the provider of OpenTelemetry was shut down before this {what}"))
