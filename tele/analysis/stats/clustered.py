"""Items that share a source (a document, a user, a repository): errors that know it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import t_interval, t_p
from tele.analysis.stats.results import Alternative, Estimate, TestResult
from tele.analysis.stats.samples import Floats, codes, confident, constant, listing, pair, sample, sided
from tele.errors import BadInput

__all__ = ["clustered_difference", "clustered_mean", "clustered_paired"]

_CR2 = "cluster-robust CR2"


def clustered_mean(values: ArrayLike, clusters: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return the mean over rows with a cluster-robust interval (CR2, Satterthwaite degrees of freedom).

    Clusters are independent; rows within one need not be. From about 5 clusters of like size; fewer, or one that
    outweighs the rest, leave few degrees of freedom and an honest wide interval. In units of the values. BadInput:
    fewer than two clusters, values that are not finite, or labels and values of unequal number. R. M. Bell and D. F.
    McCaffrey, Survey Methodology 28 (2002), 169-181; J. E. Pustejovsky and E. Tipton, JBES 36 (2018), 672-683.
    """
    level = confident(confidence)
    x = sample(values)
    mean, error, df = _one(x, codes(clusters, size=x.size))
    note = "the clusters' means are equal" if error == 0 else ""
    return Estimate(mean, t_interval(mean, error, df, level), x.size, level, f"{_CR2}, {df:.3g} df", note)


def clustered_paired(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> TestResult:
    """Test whether the mean of `a - b`, paired by position, is 0, the pairs in clusters; the estimate is that mean.

    As `clustered_mean` of the differences; one cluster label of each pair. Pairs that are all equal give p = 1.
    BadInput: as `clustered_mean`, lengths that differ, or clusters whose difference is the same and not 0.
    """
    level, side = confident(confidence), sided(alternative)
    left, right = pair(a, b)
    d, test = left - right, "paired t, clustered (CR2)"
    of = codes(clusters, size=d.size)
    if not d.any():
        return TestResult(test, 0.0, None, 1.0, d.size, 0.0, None, "every pair is equal")
    mean, error, df = _one(d, of)
    if constant(error, float(np.abs(left).max()), float(np.abs(right).max())):
        raise BadInput(f"Every cluster differs by {mean:.6g} on average, so a clustered t is not defined.")
    interval = t_interval(mean, error, df, level, side)
    note = f"{int(of.max()) + 1} clusters"
    return TestResult(test, mean / error, df, t_p(mean / error, df, side), d.size, mean, interval, note)


def clustered_difference(
    a: ArrayLike,
    b: ArrayLike,
    clusters_a: ArrayLike,
    clusters_b: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
) -> TestResult:
    """Test whether two unpaired samples whose rows are clustered have one mean; the estimate is mean(a) - mean(b).

    A cluster may stand on one side or on both (its rows then move together, which is allowed for). CR2 with
    Satterthwaite degrees of freedom under working independence. BadInput: fewer than two clusters on a side, values
    that are not finite, or no spread between clusters while the means differ. Sources as `clustered_mean`.
    """
    level, side = confident(confidence), sided(alternative)
    x, y = sample(a, what="the first sample"), sample(b, what="the second sample")
    labels = [*listing(clusters_a), *listing(clusters_b)]
    if len(listing(clusters_a)) != x.size:
        raise BadInput("The clusters of the first sample name another number of rows than it has.")
    of = codes(labels, size=x.size + y.size)
    total = int(of.max()) + 1
    score_x, part_x = _scores(x, of[: x.size], total)
    score_y, part_y = _scores(y, of[x.size :], total)
    difference, test = float(x.mean() - y.mean()), "t of clustered means (CR2)"
    error = math.sqrt(float(((score_x - score_y) ** 2).sum()))
    sizes = (x.size, y.size)
    if constant(error, float(np.abs(x).max()), float(np.abs(y).max())):
        if constant(abs(difference), float(np.abs(x).max())):
            return TestResult(test, 0.0, None, 1.0, sizes, 0.0, None, "the clusters' means are equal")
        raise BadInput("Each side's clusters have one mean and the sides differ, so a clustered t is not defined.")
    df = _freedom((part_x, x.size), (part_y, y.size))
    t = difference / error
    interval = t_interval(difference, error, df, level, side)
    return TestResult(test, t, df, t_p(t, df, side), sizes, difference, interval, f"{total} clusters")


def _one(x: Floats, of: np.typing.NDArray[np.intp]) -> tuple[float, float, float]:
    """Return mean, CR2 error and degrees of freedom of one sample."""
    score, share = _scores(x, of, int(of.max()) + 1)
    error = math.sqrt(float(score @ score))
    return float(x.mean()), 0.0 if constant(error, float(np.abs(x).max())) else error, _freedom((share, x.size))


def _scores(x: Floats, of: np.typing.NDArray[np.intp], total: int) -> tuple[Floats, Floats]:
    """Return for each cluster its residual sum / n, adjusted for its leverage, and its share of the rows."""
    share = np.bincount(of, minlength=total) / x.size
    if np.count_nonzero(share) < 2:  # noqa: PLR2004 - a spread needs two
        raise BadInput("All rows are of one cluster; a clustered error needs at least 2 clusters in each sample.")
    residual = np.bincount(of, weights=x - x.mean(), minlength=total) / x.size
    return residual / np.sqrt(1 - share), np.asarray(share, dtype=np.float64)


def _freedom(*sides: tuple[Floats, int]) -> float:
    """Return (tr P)² / tr P² of the CR2 variance, P = diag(d) - Σ v vᵀ, one v of each side, in O(clusters)."""
    diagonal = np.asarray(sum(share / (1 - share) / n for share, n in sides), dtype=np.float64)
    vectors = [share / np.sqrt((1 - share) * n) for share, n in sides]
    trace = float(diagonal.sum()) - sum(float(v @ v) for v in vectors)
    squares = float(diagonal @ diagonal) - 2 * sum(float(diagonal @ v**2) for v in vectors)
    squares += sum(float(v @ w) ** 2 for v in vectors for w in vectors)
    return trace**2 / squares
