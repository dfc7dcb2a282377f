"""Where Scryptorum keeps its decorators and runs."""

from tele.scryptorum.core.decorators import batch_processor, experiment, llm_call, metric, time_operation, timer
from tele.scryptorum.core.runs import Experiment

__all__ = ["Experiment", "batch_processor", "experiment", "llm_call", "metric", "time_operation", "timer"]
