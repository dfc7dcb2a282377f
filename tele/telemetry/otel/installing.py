"""`tele.otel.install()`: tele at the end of the application's own pipelines of OpenTelemetry."""

from __future__ import annotations

import atexit
import logging
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider

from tele.errors import BadInput
from tele.telemetry.otel.nesting import TraceIds
from tele.telemetry.otel.pending import INTERVAL, pending
from tele.telemetry.otel.processors import LogProcessor, MetricsIn, SpansIn
from tele.telemetry.process import process

__all__ = ["Installed", "install"]

_log = logging.getLogger("tele")
_there: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""What was put into a provider: installing again finds it."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The providers that bring their telemetry into the store."""

    tracer_provider: TracerProvider
    logger_provider: LoggerProvider | None
    meter_provider: MeterProvider | None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what has ended and been emitted; False where that takes longer. Metrics are collected."""
        collected = True
        if self.meter_provider is not None:
            try:
                _there[self.meter_provider].force_flush(timeout_millis)
            except Exception as error:  # noqa: BLE001  # a callback of the application's that fails, or takes too long
                process.lose(error, 0)
                collected = False
        return bool(_there[self.tracer_provider].force_flush(timeout_millis)) and collected


def install(
    provider: TracerProvider | None = None,
    *,
    logger_provider: LoggerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logs: bool = True,
    metrics: bool = True,
    interval: float = INTERVAL,
    metrics_interval: float | None = None,
) -> Installed:
    """Bring what the application's OpenTelemetry makes into the store: spans, log records (events too) and metrics.

    Without a provider the global ones are taken, and made where none is set. Installing again adds nothing.

    `interval` is how many seconds spans and log records may wait to be written, and so what a kill can lose; with 0
    each is written before its call returns. Metrics are collected every `metrics_interval` seconds (default
    `$OTEL_METRIC_EXPORT_INTERVAL`, else 60) and belong to the experiment around this call, spans and logs to the one
    around each of them. Raises BadInput where a provider that is given, or the global one of spans, takes nothing.
    """
    if not interval >= 0:
        raise BadInput(f"interval is a number of seconds, 0 or more, not {interval!r}.")
    pending.every(interval)
    traces = _tracer_provider(provider)
    logging_to = _logger_provider(logger_provider) if logs else None
    measuring = _meter_provider(meter_provider, metrics_interval) if metrics else None
    if traces not in _there:
        _there[traces] = processor = SpansIn()
        _continue_traces(traces)
        traces.add_span_processor(processor)
    if logging_to is not None and logging_to not in _there:
        _there[logging_to] = log_processor = LogProcessor()
        logging_to.add_log_record_processor(log_processor)
    return Installed(traces, logging_to, measuring)


def _tracer_provider(given: Any) -> TracerProvider:
    if given is None:
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(TracerProvider())
        given = trace.get_tracer_provider()
    return cast("TracerProvider", _checked(given, "TracerProvider", "add_span_processor"))


def _logger_provider(given: Any) -> LoggerProvider | None:
    add = "add_log_record_processor"
    if given is not None:
        return cast("LoggerProvider", _checked(given, "LoggerProvider", add))
    if not hasattr(_logs.get_logger_provider(), add):
        _logs.set_logger_provider(LoggerProvider())
    return cast("LoggerProvider | None", _usable(_logs.get_logger_provider(), "log records", add))


def _meter_provider(given: Any, interval: float | None) -> MeterProvider | None:
    """Give a provider with a reader of ours in it, where that is possible."""
    if given is None and not isinstance(metrics.get_meter_provider(), MeterProvider):
        reader = _reader(interval)
        made = MeterProvider(metric_readers=[reader])
        metrics.set_meter_provider(made)
        _there[made] = reader
    found: Any = metrics.get_meter_provider() if given is None else given
    if given is not None and found not in _there:
        _checked(found, "MeterProvider", "add_metric_reader")
    if found not in _there and _usable(found, "metrics", "add_metric_reader") is not None:
        reader = _there[found] = _reader(interval)
        found.add_metric_reader(reader)
        atexit.register(reader.shutdown)  # a provider shuts down those readers that it was made with
    return found if found in _there else None


def _reader(interval: float | None) -> PeriodicExportingMetricReader:
    return PeriodicExportingMetricReader(MetricsIn(), None if interval is None else interval * 1000)


def _checked(given: object, wanted: str, add: str) -> object:
    """Give the provider back; raises BadInput where nothing can be added to it."""
    if callable(getattr(given, add, None)):
        return given
    kind = f"{type(given).__module__}.{type(given).__qualname__}"
    raise BadInput(f"tele.otel.install() needs a {wanted} of opentelemetry-sdk with {add}(), not {kind}.")


def _usable(found: object, what: str, add: str) -> object | None:
    """Give the global provider; None, and a warning, where nothing can be added to it."""
    if callable(getattr(found, add, None)):
        return found
    kind = f"{type(found).__module__}.{type(found).__qualname__}"
    _log.warning("tele leaves OpenTelemetry's %s out: the provider %s that is set has no %s().", what, kind, add)
    return None


def _continue_traces(provider: TracerProvider) -> None:
    """Let roots within tele's spans continue their traces, in tracers that are there and those that come."""
    if not hasattr(provider, "id_generator"):  # another's provider that takes processors: ids stay its own
        return
    ids = TraceIds(provider.id_generator)
    provider.id_generator = ids  # type: ignore[assignment]  # it is any IdGenerator; the SDK infers its default's type
    for tracer in list(getattr(provider, "_tracers", {}).values()):
        tracer.id_generator = ids
