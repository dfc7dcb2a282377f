"""Hypotheses: a metric held against a declared value, and what became of each thing that was declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tele.analysis.compare.declared import Hypothesis
from tele.analysis.compare.families import Corrected, Member, correct
from tele.analysis.compare.load import Arm
from tele.analysis.compare.metrics import Metric
from tele.analysis.compare.words import figure, p_text
from tele.analysis.comparisons import Absent, Comparison, EffectSize, Missing, Verdict
from tele.analysis.stats.equivalence import equivalence
from tele.analysis.stats.results import Alternative, TestResult
from tele.analysis.stats.summary import mean_interval, one_sample_t
from tele.errors import BadInput

__all__ = ["against", "outcome"]


def against(
    arms: Mapping[str, Arm],
    metrics: Sequence[Metric],
    hypotheses: Sequence[Hypothesis],
    names: Sequence[str],
    alpha: float,
) -> tuple[list[Comparison], list[str]]:
    """Return a comparison for each condition whose metric a hypothesis holds against a number, and what was absent.

    One-sided, as declared; Holm's correction is over all of them.
    """
    by_name = {metric.name: metric for metric in metrics}
    held: list[_Held] = []
    notes = []
    for one in hypotheses:
        metric = by_name.get(one.metric or "")
        if one.value is None or metric is None:
            continue
        for name in names if one.treatment is None else [one.treatment]:
            values, unit = _values(metric, arms.get(name))
            if values.size:
                held.append(_held(one, metric, name, values, unit))
            else:
                notes.append(f"{one.said}: {name} has no value of {metric.name}")
    adjusted = correct(
        [Member(None if each.test is None else each.test.p_value, declared=True) for each in held], "holm"
    )
    return [_comparison(each, allowed, alpha) for each, allowed in zip(held, adjusted, strict=True)], notes


@dataclass(frozen=True, slots=True)
class _Held:
    """A condition whose metric is held against a number; `test` is None where there was too little."""

    hypothesis: Hypothesis
    metric: Metric
    name: str
    values: np.ndarray
    unit: str
    test: TestResult | None
    why: str

    @property
    def below(self) -> bool:
        return self.hypothesis.relation in ("<", "<=")


def _held(one: Hypothesis, metric: Metric, name: str, values: np.ndarray, unit: str) -> _Held:
    side: Alternative = "less" if one.relation in ("<", "<=") else "greater"
    value = one.value or 0.0
    try:
        if one.relation == "=":  # against a constant a pair differs as a value does
            test = equivalence(values, np.full(values.size, value), one.margin or 0.0, paired=True)
            test = replace(test, test="equivalence (one-sample TOST)")
        else:
            test = one_sample_t(values, value, alternative=side)
    except BadInput as refused:
        return _Held(one, metric, name, values, unit, None, str(refused).rstrip("."))
    return _Held(one, metric, name, values, unit, test, f"one side, {values.size} {unit}s, against a declared value")


def _values(metric: Metric, arm: Arm | None) -> tuple[np.ndarray, str]:
    if arm is None:
        return np.zeros(0), "item"
    if metric.name in arm.columns:
        mean = arm.columns[metric.name].mean
        return mean[~np.isnan(mean)], "item"
    loose = arm.loose.get(metric.name)
    return (np.zeros(0), "value") if loose is None else (loose.values, loose.unit)


def _comparison(held: _Held, allowed: Corrected, alpha: float) -> Comparison:
    one, metric, name, values, test = held.hypothesis, held.metric, held.name, held.values, held.test
    value, mean = one.value or 0.0, float(values.mean())
    interval = mean_interval(values, confidence=1 - alpha).interval if test is not None else None
    sd = float(values.std(ddof=1)) if values.size > 1 else 0.0
    shown = allowed.p_adjusted is not None and allowed.p_adjusted <= alpha
    verdict = _verdict(held, shown=shown)
    sign = "below" if held.below else "above"
    if one.relation == "=":
        sign = f"within ±{figure(one.margin, metric.unit)} of"
    p = None if test is None else test.p_value
    said = f"is shown to be {sign} it" if shown else f"is not shown to be {sign} it"
    nothing = Absent(0, 0, 0)
    return Comparison(
        metric=metric.name,
        baseline=None,
        treatment=name,
        paired=False,
        n=values.size,
        unit=held.unit,
        test=None if test is None else test.test,
        why=held.why,
        statistic=None if test is None else test.statistic,
        df=None if test is None else test.df,
        p_value=p,
        p_adjusted=allowed.p_adjusted,
        correction=f"{allowed.correction} of {allowed.family}",
        baseline_mean=None,
        treatment_mean=mean,
        difference=mean - value,
        relative=(mean - value) / abs(value) if value else None,
        difference_interval=None if interval is None else (interval[0] - value, interval[1] - value),
        difference_of="means",
        effect=EffectSize("Cohen's d", (mean - value) / sd, None) if sd > 0 else None,
        mde=None,
        needed_n=None,
        missing=Missing(nothing, nothing, "exclude"),
        better=metric.better,
        margin=one.margin if one.relation == "=" else None,
        reference=value,
        registered=one.registered,
        also=(),
        verdict=verdict,
        words=f"{metric.name}: {name} {figure(mean, metric.unit)} against {figure(value, metric.unit)}, "
        f"p {p_text(p)}: the mean {said}.",
        measured_in=metric.unit,
    )


def _verdict(held: _Held, *, shown: bool) -> Verdict:
    if held.test is None:
        return "underpowered"
    if not shown:
        return "undecided"
    if held.hypothesis.relation == "=":
        return "tied"
    if held.metric.better is None:
        return "different"
    return "better" if (held.metric.better == "lower") == held.below else "worse"


def outcome(one: Hypothesis, comparisons: Sequence[Comparison], alpha: float) -> dict[str, Any]:
    """Return what was declared, whether before the first sample, and what came of it: supported, contradicted, open.

    `untested` where it names no metric or sides that are there.
    """
    about = [each for each in comparisons if _is_about(each, one)]
    states = {_state(each, one, alpha) for each in about}
    state = "untested" if not states else states.pop() if len(states) == 1 else "open"
    return {"hypothesis": one.said, "registered": one.registered, "outcome": state}


def _is_about(comparison: Comparison, one: Hypothesis) -> bool:
    if comparison.metric != one.metric:
        return False
    if one.value is not None:
        return comparison.reference == one.value and one.treatment in (None, comparison.treatment)
    sides = {comparison.baseline, comparison.treatment}
    return comparison.reference is None and one.baseline in sides and (one.treatment is None or one.treatment in sides)


def _state(found: Comparison, one: Hypothesis, alpha: float) -> str:
    if found.p_adjusted is None or found.difference is None:
        return "open"
    if one.value is not None:
        return "supported" if found.p_adjusted <= alpha else "open"
    if one.relation == "=":
        return _equal(found, one.margin or 0.0)
    sign = 1 if found.baseline == one.baseline else -1
    up = 1 if one.relation in (">", ">=") else -1
    if one.relation in (">=", "<=") and one.margin is not None:
        return _no_worse(found, sign * up, one.margin)
    if found.p_adjusted > alpha:
        return "open"
    return "supported" if sign * up * _above(found) > 0 else "contradicted"


def _equal(found: Comparison, margin: float) -> str:
    """Whether the difference is shown to lie within the margin, or beyond it: that it is not 0 says neither."""
    low, high = found.difference_interval or (None, None)
    if (found.verdict == "tied" and found.margin == margin) or (
        low is not None and high is not None and -margin < low and high < margin
    ):
        return "supported"
    apart = (low is not None and low > margin) or (high is not None and high < -margin)
    return "contradicted" if apart else "open"


def _above(found: Comparison) -> float:
    """Which side is above, by its sign: of ranks where ranks were tested, for the means may say the opposite."""
    if found.effect is not None and found.effect.name == "Cliff's delta":
        return found.effect.value
    return found.difference or 0.0


def _no_worse(found: Comparison, way: int, margin: float) -> str:
    if found.difference_interval is None or None in found.difference_interval:
        return "open"
    low, high = sorted(way * float(end or 0.0) for end in found.difference_interval)
    return "supported" if low > -margin else "contradicted" if high < -margin else "open"
