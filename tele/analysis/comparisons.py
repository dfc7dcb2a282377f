"""What a comparison says, as facts: `to_dict()` is the JSON of `comparisons`.

Differences are treatment less baseline, in the units of the metric. A bound that the data cannot give is None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Absent",
    "Better",
    "Check",
    "Comparison",
    "Comparisons",
    "EffectSize",
    "Missing",
    "Omnibus",
    "SecondOpinion",
    "Verdict",
    "plain",
]

Better = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "tied", "undecided", "underpowered", "different"]
Bounds = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class EffectSize:
    """An effect size by its name, with its 95 % interval."""

    name: str
    value: float
    interval: Bounds | None


@dataclass(frozen=True, slots=True)
class Absent:
    """Units of one side that have no value of the metric where the other side has one, or where they were tried."""

    missing: int
    """Items that this side never answered."""
    failed: int
    """Items of which every attempt on this side failed, or gave no value."""
    partly: int
    """Items of which some replicates gave a value and some did not."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is not there on either side, and how it entered: `exclude` or `as-worst`."""

    baseline: Absent
    treatment: Absent
    failures: str
    without_item: int = 0
    """Values that name no item, where the others do: they are left out."""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Another test of the same two sides; it decides nothing."""

    test: str
    statistic: float | None
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric on two sides: the test, why that one, what it found and what that means."""

    metric: str
    baseline: str | None
    """None where the metric is held against a declared value, `reference`."""
    treatment: str
    paired: bool
    n: int | tuple[int, int]
    """Units: pairs of items, else units of baseline and treatment."""
    unit: str
    """What one unit is: `item`, `request`, `value` or `run`."""
    test: str | None
    """None where there is too little to test."""
    why: str
    """Why this test."""
    statistic: float | None
    df: float | tuple[float, ...] | None
    p_value: float | None
    p_adjusted: float | None
    correction: str
    """Correction and size of its family, such as `holm of 3`."""
    baseline_mean: float | None
    treatment_mean: float | None
    difference: float | None
    relative: float | None
    """The difference over the size of the baseline: 0.1 is 10 % more; None where the baseline is 0."""
    difference_interval: Bounds | None
    difference_of: str
    """What the difference is of: `means`, `proportions`, `p99` and so on."""
    effect: EffectSize | None
    mde: float | None
    """Least difference that as many units find with 80 % power."""
    needed_n: int | None
    """Units of each side that would decide, where the verdict is `undecided` or `underpowered`."""
    missing: Missing
    better: Better | None
    margin: float | None
    reference: float | None
    registered: bool | None
    """Whether the hypothesis was declared before the first sample; None where none was declared."""
    also: tuple[SecondOpinion, ...]
    verdict: Verdict
    words: str
    """The verdict as a sentence."""
    measured_in: str | None = None
    """Unit of the values and of their difference, such as `ms`; None where the metric has none."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values; what is not known is None."""
        return {name: plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Omnibus:
    """One test over three conditions or more."""

    metric: str
    conditions: tuple[str, ...]
    paired: bool
    n: int | tuple[int, ...]
    test: str
    why: str
    statistic: float
    df: float | tuple[float, ...] | None
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {name: plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Every comparison of one call, and what could not be compared."""

    of: str
    """`conditions`, `runs` or `experiments`; else the column that tells the sides apart."""
    experiment: str | None
    on: str
    baseline: str | None
    treatments: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    omnibus: tuple[Omnibus, ...] = ()
    notes: tuple[str, ...] = ()
    hypotheses: tuple[Mapping[str, Any], ...] = field(default=())
    """Each declared hypothesis: what was said, whether before the first sample, and what became of it."""

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain JSON values."""
        return {
            "of": self.of,
            "experiment": self.experiment,
            "on": self.on,
            "baseline": self.baseline,
            "treatments": list(self.treatments),
            "comparisons": [one.to_dict() for one in self.comparisons],
        } | self.beside()

    def beside(self) -> dict[str, Any]:
        """Return what stands beside the comparisons, as plain JSON values."""
        return {
            "omnibus": [one.to_dict() for one in self.omnibus],
            "hypotheses": [plain(dict(one)) for one in self.hypotheses],
            "notes": list(self.notes),
        }

    def frame(self) -> pl.LazyFrame:
        """Return one row for each comparison as a polars LazyFrame; BadInput where polars is not installed."""
        from tele.analysis.frames import frame

        return frame({"groups": [], "comparisons": [one.to_dict() for one in self.comparisons]}, "comparisons")

    def _repr_html_(self) -> str:
        from tele.analysis.compare.table import html

        return html(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of one group, and whether it is well."""

    kind: str
    """`guardrail`, `fail-if` or `fail-if-worse`."""
    said: str
    group: str
    value: float | None
    interval: Bounds | None
    ok: bool
    """A figure that is not known is not well."""
    words: str
    registered: bool | None = None
    """Whether a guardrail was declared before the first sample; None for what the call asks."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {name: plain(value) for name, value in asdict(self).items()}


def plain(value: Any) -> Any:
    """Return `value` as JSON has it: tuples are lists, and what is no finite number is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
