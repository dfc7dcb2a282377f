"""The SDK's metrics as records, by way of the OTLP JSON that they would be sent as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tele.telemetry.ingest import otlp
from tele.telemetry.ingest.record import Place, Record
from tele.telemetry.otel.document import camel, key_values

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

__all__ = ["metric_records"]

_PLACE = Place("OpenTelemetry")


def metric_records(collected: MetricsData) -> Iterator[Record]:
    """Give one record for each data point."""
    groups = [
        {
            "resource": {"attributes": key_values(group.resource.attributes)},
            "schemaUrl": group.resource.schema_url or "",
            "scopeMetrics": [
                {
                    "scope": {
                        "name": inner.scope.name,
                        "version": inner.scope.version or "",
                        "attributes": key_values(inner.scope.attributes),
                    },
                    "schemaUrl": inner.scope.schema_url or "",
                    "metrics": [_metric(metric) for metric in inner.metrics],
                }
                for inner in group.scope_metrics
            ],
        }
        for group in collected.resource_metrics
    ]
    for item in otlp.read({"resourceMetrics": groups}, _PLACE):
        if not isinstance(item, dict):
            raise TypeError(str(item))
        yield item


def _metric(metric: Any) -> dict[str, Any]:
    data = metric.data
    kind = type(data).__name__
    said: dict[str, Any] = {"name": metric.name, "unit": metric.unit, "description": metric.description}
    about: dict[str, Any] = {"dataPoints": [_point(point) for point in data.data_points]}
    if hasattr(data, "aggregation_temporality"):
        about["aggregationTemporality"] = int(data.aggregation_temporality)
    if getattr(data, "is_monotonic", False):
        about["isMonotonic"] = True
    return {**{key: value for key, value in said.items() if value}, kind[0].lower() + kind[1:]: about}


def _point(point: Any) -> dict[str, Any]:
    """Write a data point as proto3 JSON: the SDK's field names are those of the protobuf."""
    found: dict[str, Any] = {}
    for name, value in vars(point).items():
        if name == "attributes":
            found["attributes"] = key_values(value)
        elif name == "value":
            found |= _number(value)
        elif name == "exemplars":
            found |= {"exemplars": [_exemplar(exemplar) for exemplar in value]} if value else {}
        elif name in {"positive", "negative"}:
            counts = {"bucketCounts": [str(count) for count in value.bucket_counts]}
            found[name] = {"offset": value.offset, **counts} if value.offset else counts
        elif value is not None:
            found[camel(name)] = _field(name, value)
    return {key: value for key, value in found.items() if value not in ([], "0", 0) or key in _SAID}


_SAID = frozenset({"asInt", "asDouble", "sum", "min", "max"})
"""Fields that are said to be zero, not left out: the message tells the two apart."""
_SMALL = frozenset({"flags", "scale"})
"""Integers of 32 bits, which proto3 JSON writes as numbers."""


def _field(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_field(name, item) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if name in {"sum", "min", "max", "explicit_bounds", "zero_threshold"}:
        return otlp.double_text(float(value))
    return int(value) if name in _SMALL else str(value)


def _number(value: float) -> dict[str, Any]:
    return {"asInt": str(value)} if isinstance(value, int) else {"asDouble": otlp.double_text(value)}


def _exemplar(exemplar: Any) -> dict[str, Any]:
    found = {
        "filteredAttributes": key_values(exemplar.filtered_attributes),
        "timeUnixNano": str(exemplar.time_unix_nano),
        **_number(exemplar.value),
        "spanId": f"{exemplar.span_id:016x}" if exemplar.span_id else None,
        "traceId": f"{exemplar.trace_id:032x}" if exemplar.trace_id else None,
    }
    return {key: value for key, value in found.items() if value}
