"""Libraries that are watched on request: one file for each, of one shape.

A file has `install(**options)`, which puts tele into the library and returns what `tele.instrument` hands out.
"""

from tele.telemetry.instrument.handle import Instrumentation
from tele.telemetry.instrument.registry import instrument

__all__ = ["Instrumentation", "instrument"]
