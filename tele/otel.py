"""OpenTelemetry both ways: `install` brings an application's telemetry in, `replay` sends a stored experiment out.

Needs the extra `otel`; the SDK is imported when something of it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tele.errors import BadInput

if TYPE_CHECKING:
    from tele.telemetry.otel.installing import Installed, install
    from tele.telemetry.otel.processors import exporter
    from tele.telemetry.otel.replaying import Replayed, replay

__all__ = ["Installed", "Replayed", "exporter", "install", "replay"]

_ROOMS = {
    "Installed": "installing",
    "Replayed": "replaying",
    "exporter": "processors",
    "install": "installing",
    "replay": "replaying",
}


def __getattr__(name: str) -> Any:
    """Import the SDK when something of it is first asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'tele.otel' has no attribute {name!r}")
    from importlib import import_module

    try:
        value = globals()[name] = getattr(import_module(f"tele.telemetry.otel.{_ROOMS[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"opentelemetry", "google"}:
            raise
        raise BadInput("tele.otel needs the OpenTelemetry SDK: pip install 'tele[otel]'.") from error
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
