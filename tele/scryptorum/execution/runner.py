"""`BaseRunnable`: the class pattern under Scryptorum's name."""

from tele.telemetry.runnable import Runnable as BaseRunnable

__all__ = ["BaseRunnable"]
