"""CAPTURE calls: what a model answered, streams, and the decorators `llm_call`, `timer` and `batch`."""

from tele.telemetry.calls.batch import batch
from tele.telemetry.calls.decorator import Call, llm_call
from tele.telemetry.calls.results import Answer, read
from tele.telemetry.calls.streams import Watch, watch
from tele.telemetry.calls.timer import Timer, timer

__all__ = ["Answer", "Call", "Timer", "Watch", "batch", "llm_call", "read", "timer", "watch"]
