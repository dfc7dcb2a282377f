"""Three conditions or more at once: whether any differs at all, beside the pairwise comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tele.analysis.compare.choose import skewed
from tele.analysis.compare.load import Arm
from tele.analysis.compare.metrics import Metric
from tele.analysis.compare.pairing import aligned
from tele.analysis.comparisons import Omnibus
from tele.analysis.stats.binary import cochran_q
from tele.analysis.stats.distributions import f_p
from tele.analysis.stats.results import TestResult
from tele.analysis.stats.several import anova, kruskal
from tele.errors import BadInput

__all__ = ["omnibus"]

_SEVERAL = 3


def omnibus(arms: Mapping[str, Arm], metrics: Sequence[Metric], names: Sequence[str]) -> tuple[Omnibus, ...]:
    """Return one test over all conditions for each metric that three of them or more have values of."""
    found = []
    for metric in metrics:
        having = [arms[name] for name in names if name in arms and _values(metric, arms[name]).size]
        if len(having) < _SEVERAL or metric.quantile is not None:
            continue
        try:
            found.append(_test(metric, having))
        except BadInput:  # no spread, or too few: the pairs say so
            continue
    return tuple(found)


def _values(metric: Metric, arm: Arm) -> np.ndarray:
    if metric.name in arm.columns:
        mean = arm.columns[metric.name].mean
        return mean[~np.isnan(mean)]
    return arm.loose[metric.name].values if metric.name in arm.loose else np.zeros(0)


def _test(metric: Metric, arms: Sequence[Arm]) -> Omnibus:
    rows = aligned(metric, arms)
    if rows is not None:
        binary = bool(np.all((rows == 0) | (rows == 1))) and all(
            bool(np.all(arm.columns[metric.name].count <= 1)) for arm in arms
        )
        test, why = (
            (cochran_q(rows), "one success or failure of each item") if binary else (_within(rows), "item means")
        )
        return _omnibus(metric, arms, test, f"the same {rows.shape[0]} items everywhere, {why}", paired=True)
    samples = [_values(metric, arm) for arm in arms]
    if any(map(skewed, samples)):
        return _omnibus(metric, arms, kruskal(*samples), "different units, skewed", paired=False)
    return _omnibus(metric, arms, anova(*samples), "different units", paired=False)


def _within(rows: np.ndarray) -> TestResult:
    """Repeated-measures analysis of variance; epsilon allows for differences of unequal spread.

    S. W. Greenhouse and S. Geisser, Psychometrika 24 (1959), 95-112.
    """
    n, k = rows.shape
    of_item, of_system, level = rows.mean(axis=1), rows.mean(axis=0), rows.mean()
    rest = rows - of_item[:, None] - of_system[None, :] + level
    between = n * float(((of_system - level) ** 2).sum()) / (k - 1)
    within = float((rest**2).sum()) / ((n - 1) * (k - 1))
    if within <= 1e-20 * max(1.0, float(np.abs(rows).max()) ** 2):  # rounding alone
        raise BadInput("The systems differ alike on every item: without spread F is not defined.")
    cov = np.cov(rows, rowvar=False)
    centre = np.eye(k) - 1 / k
    mid = centre @ cov @ centre
    epsilon = float(np.trace(mid) ** 2 / ((k - 1) * np.trace(mid @ mid)))
    df = (k - 1) * epsilon, (n - 1) * (k - 1) * epsilon
    f = between / within
    return TestResult("repeated-measures F (Greenhouse-Geisser)", f, df, f_p(f, *df), n, None, None)


def _omnibus(metric: Metric, arms: Sequence[Arm], test: TestResult, why: str, *, paired: bool) -> Omnibus:
    names = tuple(arm.name for arm in arms)
    return Omnibus(metric.name, names, paired, test.n, test.test, why, test.statistic, test.df, test.p_value)
