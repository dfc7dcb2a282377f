"""OTLP over HTTP into the store: what `tele collect` runs."""

from tele.telemetry.collect.bounds import Bounds
from tele.telemetry.collect.door import Door
from tele.telemetry.collect.server import collect

__all__ = ["Bounds", "Door", "collect"]
