"""Statistics: estimators, intervals, tests, corrections, effect sizes, power and monitoring, on numpy arrays.

Each module is one topic, and its functions are imported from it: `from tele.analysis.stats.paired import paired_t`.
"""

from tele.analysis.stats.results import Alternative, Effect, Estimate, Interval, TestResult

__all__ = ["Alternative", "Effect", "Estimate", "Interval", "TestResult"]
