"""More than two systems on different items: analysis of variance, Kruskal-Wallis, Dunnett against a control."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import chi_square_p, f_p, t_quantile
from tele.analysis.stats.ranks import midranks, ties
from tele.analysis.stats.results import TestResult
from tele.analysis.stats.samples import Floats, confident, constant, sample
from tele.errors import BadInput

__all__ = ["anova", "dunnett", "kruskal"]


def anova(*groups: ArrayLike) -> TestResult:
    """Test whether k independent samples have one mean: Fisher's F with (k - 1, n - k) degrees of freedom.

    Assumes independent, nearly normal values of one variance. Values that are all equal give p = 1. BadInput: fewer
    than two groups, an empty one, no more values than groups, values that are not finite, or groups that are constant
    and differ. R. A. Fisher, "Statistical Methods for Research Workers" (1925), chapter VII.
    """
    samples = _groups(groups)
    sizes = tuple(x.size for x in samples)
    k, n = len(samples), sum(sizes)
    if n <= k:
        raise BadInput(f"There are {n} values in {k} groups; analysis of variance needs more values than groups.")
    everything = np.concatenate(samples)
    level = float(everything.mean())
    near = [x - level for x in samples]  # about the grand mean, so that large constants cancel first
    slip = float(np.concatenate(near).mean())
    means = [float(x.mean()) for x in near]
    between = sum(x.size * (mean - slip) ** 2 for x, mean in zip(near, means, strict=True))
    within = sum(_squares(x - mean) for x, mean in zip(near, means, strict=True))
    if float(everything.min()) == float(everything.max()):
        return TestResult(
            "analysis of variance", 0.0, (k - 1, n - k), 1.0, sizes, None, None, "every value is the same"
        )
    if constant((within / n) ** 0.5, level):
        raise BadInput("Every group is constant and they differ: without spread within groups F is not defined.")
    statistic = (between / (k - 1)) / (within / (n - k))
    p = f_p(statistic, k - 1, n - k)
    return TestResult("analysis of variance", statistic, (k - 1, n - k), p, sizes, None, None)


def _squares(off: Floats) -> float:
    return float(off @ off) - float(off.sum()) ** 2 / off.size


def kruskal(*groups: ArrayLike) -> TestResult:
    """Test whether k independent samples have one distribution, on ranks, corrected for ties; chi-square with k - 1.

    Needs about 5 values in each group. Values that are all equal give p = 1. BadInput: fewer than two groups, an empty
    one, or values that are not finite. W. H. Kruskal and W. A. Wallis, JASA 47 (1952), 583-621.
    """
    samples = _groups(groups)
    sizes = tuple(x.size for x in samples)
    everything = np.concatenate(samples)
    n, tied = everything.size, ties(everything)
    df = len(samples) - 1
    if tied.size == 1:
        return TestResult("Kruskal-Wallis", 0.0, df, 1.0, sizes, None, None, "every value is the same")
    ranks = np.split(midranks(everything), np.cumsum(sizes)[:-1])
    h = 12 / (n * (n + 1)) * sum(x.size * (float(x.mean()) - (n + 1) / 2) ** 2 for x in ranks)
    h /= 1 - float((tied**3 - tied).sum()) / (n**3 - n)
    return TestResult("Kruskal-Wallis", h, df, chi_square_p(h, df), sizes, None, None)


def dunnett(control: ArrayLike, *treatments: ArrayLike, confidence: float = 0.95) -> list[TestResult]:
    """Test each treatment against one control; the p-values and intervals already hold for all of them together.

    Assumes independent, nearly normal values of one variance. The estimate is mean(treatment) - mean(control). The
    distribution of the largest of the t statistics is integrated in two dimensions, to about 1e-6. BadInput: no
    treatment, fewer than two values in a group, values that are not finite, or no spread within groups.
    C. W. Dunnett, JASA 50 (1955), 1096-1121.
    """
    from scipy.optimize import brentq

    level = confident(confidence)
    samples = _groups((control, *treatments), least=2)
    means, sizes = [float(x.mean()) for x in samples], np.array([x.size for x in samples], dtype=np.float64)
    df = int(sizes.sum()) - len(samples)
    pooled = (sum(_squares(x - mean) for x, mean in zip(samples, means, strict=True)) / df) ** 0.5
    if constant(pooled, *means):
        raise BadInput("Every group is constant: without spread within groups Dunnett's test is not defined.")
    exceeds = _largest_t(sizes, df)
    # between the bound of one treatment alone and that of Bonferroni
    least, most = (t_quantile(1 - (1 - level) / 2 / many, df) for many in (1, len(samples) - 1))
    critical = float(brentq(lambda t: exceeds(t) - (1 - level), least - 1e-3, most + 1e-3, xtol=1e-8))
    found = []
    for mean, size in zip(means[1:], sizes[1:], strict=True):
        error = pooled * float(1 / size + 1 / sizes[0]) ** 0.5
        gap = mean - means[0]
        bounds = gap - critical * error, gap + critical * error
        n, p = (int(size), int(sizes[0])), exceeds(abs(gap) / error)
        note = f"adjusted for {len(samples) - 1} treatments"
        found.append(TestResult("Dunnett", gap / error, df, p, n, gap, bounds, note))
    return found


def _largest_t(sizes: Floats, df: int) -> Callable[[float], float]:
    """Return t -> P(the largest |t| against the control exceeds t).

    Given the control's mean z and the pooled spread s, the treatments' statistics are independent normals.
    """
    from scipy.special import chdtri, gammaln, ndtr

    different, times = np.unique(sizes[1:], return_counts=True)
    shared = np.sqrt(different / (different + sizes[0]))  # correlation of t with z
    own = np.sqrt(1 - shared**2)
    z, weight_z = _nodes(0.0, 8.5, 200)  # what is integrated is even in z
    weight_z = weight_z * np.exp(-(z**2) / 2)
    s, weight_s = _nodes(float(chdtri(df, 1 - 1e-13) / df) ** 0.5, float(chdtri(df, 1e-13) / df) ** 0.5, 60)
    log_density = (df - 1) * np.log(s) - df * s**2 / 2 + df / 2 * np.log(df / 2) - gammaln(df / 2)
    weight_s = weight_s * np.exp(log_density - log_density.max())
    weights = np.outer(weight_z / weight_z.sum(), weight_s / weight_s.sum())

    def exceeds(t: float) -> float:
        inside = np.ones_like(weights)
        for of_z, rest, count in zip(shared, own, times, strict=True):
            centre = (of_z * z / rest)[:, None]
            reach = (t * s / rest)[None, :]
            inside *= (ndtr(centre + reach) - ndtr(centre - reach)) ** count
        return min(1.0, max(0.0, 1 - float((weights * inside).sum())))

    return exceeds


def _nodes(low: float, high: float, count: int) -> tuple[Floats, Floats]:
    x, weight = np.polynomial.legendre.leggauss(count)
    return np.asarray((low + high) / 2 + (high - low) / 2 * x), np.asarray(weight)


def _groups(groups: Sequence[ArrayLike], *, least: int = 1) -> list[Floats]:
    if len(groups) < 2:  # noqa: PLR2004 - a comparison
        raise BadInput("A comparison needs at least 2 groups.")
    return [sample(group, least=least, what=f"group {number}") for number, group in enumerate(groups, 1)]
