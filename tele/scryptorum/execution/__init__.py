"""Where Scryptorum keeps its class pattern."""

from tele.scryptorum.execution.runner import BaseRunnable

__all__ = ["BaseRunnable"]
