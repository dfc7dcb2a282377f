"""Scryptorum's names over tele: its documented programs run when `scryptorum` is imported from `tele`.

`from tele.scryptorum import experiment, metric, timer, llm_call` is the one line that changes. What is recorded goes to
tele's store; nothing is wiped.
"""

from tele.scryptorum.core.decorators import batch_processor, experiment, llm_call, metric, time_operation, timer
from tele.scryptorum.core.runs import (
    Experiment,
    get_current_run,
    run_context,
    set_current_run,
    set_default_run_type,
)
from tele.scryptorum.execution.runner import BaseRunnable
from tele.scryptorum.names import stand_in
from tele.telemetry.runs.kinds import RunType

__all__ = [
    "BaseRunnable",
    "Experiment",
    "RunType",
    "batch_processor",
    "experiment",
    "get_current_run",
    "llm_call",
    "metric",
    "run_context",
    "set_current_run",
    "set_default_run_type",
    "stand_in",
    "time_operation",
    "timer",
]
