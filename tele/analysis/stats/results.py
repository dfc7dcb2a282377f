"""What a statistical function answers: an estimate, a test or an effect size, frozen.

Conventions of this folder. Differences are `a - b`: give the treatment first and the baseline second. Units are those
of the values. A bound that the data cannot give is infinite (open), never a made-up number; an interval that cannot be
formed at all is None, and `note` says why. What cannot be answered raises `BadInput` with one sentence, so a caller
that asks for several metrics catches it for each. Nothing here warns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = ["Alternative", "Effect", "Estimate", "Interval", "TestResult"]

Alternative = Literal["two-sided", "less", "greater"]
"""What is tested for: a difference, `a` below `b`, or `a` above `b`."""

Interval = tuple[float, float]
"""Lower and upper bound; an open one is -inf or inf."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test: what it is, its statistic, its p-value, and what it estimates."""

    __test__: ClassVar[bool] = False  # pytest would take the name for a test

    test: str
    statistic: float
    df: float | tuple[float, float] | None
    p_value: float
    n: int | tuple[int, ...]
    estimate: float | None
    """What the interval is of, in units of the values; for a difference `a - b`."""
    interval: Interval | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect size with its interval; None where none can be formed."""

    name: str
    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its interval at `confidence`, and how many values stand behind it."""

    value: float
    interval: Interval | None
    n: int
    confidence: float = 0.95
    method: str = ""
    note: str = ""
