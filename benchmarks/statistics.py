"""Permutation and bootstrap beside scipy's own, ten thousand draws each; both must tell the same, or there is no row.

scipy is given its fastest form: one sample of differences, a statistic that works along an axis, and batches of 500
draws. Ours tables the sums of eight signs at a time (`sign_flip`), and takes the distribution of a resampled mean by
saddlepoint, as endless draws would give it (`bootstrap_mean`). `permutation` deals two samples of equal size out anew.
`bootstrap` draws, for statistics that have no closed form; no budget is set for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.measure import Row, Settings, cpu, race, row

__all__ = ["rows"]

DRAWS = 9_999
HOLD = 1 / 15


def rows(settings: Settings) -> list[Row]:
    """Measure both at 1,000 items, and at 10,000 with at most three rounds: scipy takes seconds there."""
    found: list[Row] = []
    for n, rounds in ((1_000, settings.rounds), (10_000, min(3, settings.rounds))):
        rng = np.random.default_rng(n)
        found.append(_permutation(rng.normal(2 / math.sqrt(n), 1, n), rounds))
        found.append(_shuffled(rng.normal(4 / math.sqrt(n), 1, n // 2), rng.normal(0, 1, n // 2), rounds))
        found += _bootstrap(rng.lognormal(size=n), rounds)
    return found


def _permutation(d: np.ndarray[Any, Any], rounds: int) -> Row:
    from scipy.stats import permutation_test

    from tele.analysis.stats.permutation import sign_flip

    zeros = np.zeros(d.size)

    def theirs() -> float:
        def mean(x: Any, axis: int) -> Any:
            return x.mean(axis=axis)

        return float(
            permutation_test(
                (d,), mean, permutation_type="samples", n_resamples=DRAWS, vectorized=True, batch=500, rng=1
            ).pvalue
        )

    def ours() -> float:
        return sign_flip(d, zeros, draws=DRAWS).p_value

    one, two = ours(), theirs()
    error = math.sqrt(2 * max(one, 1 / DRAWS) * (1 - one) / DRAWS)
    if abs(one - two) > 4 * error + 2 / DRAWS:
        raise RuntimeError(f"the p-values differ by more than their Monte Carlo error: {one} and {two}")
    took = race({"tele": lambda: cpu(ours), "scipy": lambda: cpu(theirs)}, rounds)
    what = f"sign-flip permutation, {d.size:,} pairs"
    return row(f"permutation-{d.size}", what, took, "tele", "scipy", HOLD, per=1, note=f"p {one:.4f} and {two:.4f}")


def _shuffled(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], rounds: int) -> Row:
    from scipy.stats import permutation_test

    from tele.analysis.stats.shuffle import permutation

    def means(x: Any, y: Any, axis: int) -> Any:
        return x.mean(axis=axis) - y.mean(axis=axis)

    def theirs() -> float:
        return float(
            permutation_test(
                (x, y), means, permutation_type="independent", n_resamples=DRAWS, vectorized=True, batch=500, rng=1
            ).pvalue
        )

    def ours() -> float:
        return permutation(x, y, statistic="mean", draws=DRAWS).p_value

    one, two = ours(), theirs()
    _agree(one, two)
    took = race({"tele": lambda: cpu(ours), "scipy": lambda: cpu(theirs)}, rounds)
    what, note = f"permutation of two samples, {x.size + y.size:,} values", f"p {one:.4f} and {two:.4f}"
    return row(f"shuffle-{x.size + y.size}", what, took, "tele", "scipy", HOLD, per=1, note=note)


def _agree(one: float, two: float) -> None:
    """Refuse p-values that differ by more than drawing explains; a two-sided one is twice a tail."""
    error = math.sqrt(2 * max(one, 1 / DRAWS) * (2 - one) / DRAWS)
    if abs(one - two) > 4 * error + 2 / DRAWS:
        raise RuntimeError(f"the p-values differ by more than their Monte Carlo error: {one} and {two}")


def _bootstrap(x: np.ndarray[Any, Any], rounds: int) -> list[Row]:
    from scipy.stats import bootstrap as scipy_bootstrap

    from tele.analysis.stats.bootstrap import bootstrap, bootstrap_mean

    def theirs() -> tuple[float, float]:
        bounds = scipy_bootstrap((x,), np.mean, n_resamples=DRAWS, method="percentile", batch=500, rng=1)
        return float(bounds.confidence_interval.low), float(bounds.confidence_interval.high)

    def ours() -> tuple[float, float] | None:
        return bootstrap_mean(x, method="percentile").interval

    def drawn() -> tuple[float, float] | None:
        return bootstrap(x, np.mean, draws=DRAWS, method="percentile").interval

    right = theirs()
    for found in (ours(), drawn()):
        if found is None or any(abs(a - b) > 0.05 * (right[1] - right[0]) for a, b in zip(found, right, strict=True)):
            raise RuntimeError(f"the intervals differ by more than their Monte Carlo error: {found} and {right}")
    sides = {"tele": ours, "tele by draws": drawn, "scipy": theirs}
    took = race({name: (lambda side=side: cpu(side)) for name, side in sides.items()}, rounds)
    key, what = f"bootstrap-{x.size}", f"bootstrap of a mean, {x.size:,} items"
    return [
        row(key, what, took, "tele", "scipy", HOLD, per=1),
        row(f"{key}-draws", f"{what}, by draws", took, "tele by draws", "scipy", None, per=1),
    ]
