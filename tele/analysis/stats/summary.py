"""Mean and spread of one sample, mergeable over shards, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_quantile, t_interval, t_p
from tele.analysis.stats.results import Alternative, Estimate, TestResult
from tele.analysis.stats.samples import Floats, confident, constant, sample, sided
from tele.errors import BadInput

__all__ = ["Moments", "mean_interval", "moments", "one_sample_t", "sd_interval"]


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean, sum of squares about the mean, smallest and largest: enough to merge shards without their rows."""

    n: int
    mean: float
    squares: float
    low: float
    high: float

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (n - 1), in units of the values; None below two values."""
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else None

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None below two values."""
        return None if self.sd is None else self.sd / math.sqrt(self.n)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both samples together.

        T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", The American
        Statistician 37 (1983), 242-247.
        """
        n, gap = self.n + other.n, other.mean - self.mean
        return Moments(
            n=n,
            mean=self.mean + gap * (other.n / n),
            squares=self.squares + other.squares + gap * gap * (self.n * (other.n / n)),
            low=min(self.low, other.low),
            high=max(self.high, other.high),
        )


def moments(values: ArrayLike) -> Moments:
    """Return the moments of at least one finite value, in two passes with the correction of the rounding of the first.

    Chan, Golub and LeVeque (1983), formula 1.7. Raises BadInput as `sample` does.
    """
    return _moments(sample(values))


def _moments(x: Floats) -> Moments:
    mean = float(x.mean())
    off = x - mean
    slip = float(off.mean())  # what rounding left in the mean
    off -= slip
    return Moments(x.size, mean + slip, float(off @ off), float(x.min()), float(x.max()))


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return the mean with Student's interval, in units of the values.

    Assumes independent values and a mean that is close to normal: on a lognormal sample with sigma 1 the 95 % interval
    covers about 0.87 at n = 20 and 0.94 at n = 1,000, and no method rescues heavy tails; show the median beside it.
    The interval is None for one value, and of no width where all values are equal (`note` says so). BadInput: no
    values, or values that are not finite. Student, "The probable error of a mean", Biometrika 6 (1908), 1-25.
    """
    level = confident(confidence)
    m = moments(values)
    if m.error is None:
        return Estimate(m.mean, None, m.n, level, "Student's t", "one value has no interval")
    note = "all values are equal: the interval does not show what is uncertain" if m.low == m.high else ""
    return Estimate(m.mean, t_interval(m.mean, m.error, m.n - 1, level), m.n, level, "Student's t", note)


_LEAST_FOR_SPREAD = 5


def sd_interval(values: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return the sample standard deviation with Bonett's interval, in units of the values.

    The interval uses the kurtosis about a trimmed mean and so holds where the chi-square interval does not; it is
    still short for heavy tails. The interval is None below 5 values and where all are equal. BadInput: fewer than two
    values, or values that are not finite. D. G. Bonett, "Approximate confidence interval for standard deviation of
    nonnormal distributions", Computational Statistics & Data Analysis 50 (2006), 775-782.
    """
    level = confident(confidence)
    x = sample(values, least=2)
    m = _moments(x)
    sd = m.sd or 0.0
    method = "Bonett"
    if m.n < _LEAST_FOR_SPREAD:
        return Estimate(sd, None, m.n, level, method, f"an interval takes {_LEAST_FOR_SPREAD} values")
    if m.low == m.high or constant(sd, m.mean):
        return Estimate(0.0 if m.low == m.high else sd, None, m.n, level, method, "all values are equal")
    z = normal_quantile(0.5 + level / 2)
    trim = int(m.n / (2 * math.sqrt(m.n - 4)))
    centre = float(np.sort(x)[trim : m.n - trim].mean()) if 2 * trim < m.n else float(np.median(x))
    scaled = (x - centre) / sd
    kurtosis = m.n * float((scaled**4).sum()) / (m.n - 1) ** 2
    if m.n <= z:
        return Estimate(sd, None, m.n, level, method, "too few values for this confidence")
    small = m.n / (m.n - z)
    error = small * math.sqrt(max(0.0, kurtosis - (m.n - 3) / m.n) / (m.n - 1))
    ends = (math.log(small) + 2 * math.log(sd) + sign * z * error for sign in (-1, 1))
    low, high = (math.exp(end / 2) for end in ends)
    return Estimate(sd, (low, high), m.n, level, method)


def one_sample_t(
    values: ArrayLike, expected: float, *, alternative: Alternative = "two-sided", confidence: float = 0.95
) -> TestResult:
    """Test whether the mean is `expected`, a declared value in units of the values; the estimate is the mean.

    Assumes independent values and a mean close to normal. Values that are all `expected` give p = 1 and no interval.
    BadInput: fewer than two values, values that are not finite, or all equal and not `expected` (t is then infinite
    and would claim certainty). Student (1908).
    """
    level, side = confident(confidence), sided(alternative)
    if not math.isfinite(expected):
        raise BadInput(f"The declared value is {expected!r}; give a finite number.")
    m = _moments(sample(values, least=2))
    error, test = m.error or 0.0, "one-sample t"
    if m.low == m.high == expected:
        return TestResult(test, 0.0, m.n - 1, 1.0, m.n, m.mean, None, "every value is the declared one")
    if m.low == m.high or constant(error, m.mean):
        raise BadInput(f"All {m.n} values are {m.mean:.6g}: they have no spread, so t is not defined.")
    t = (m.mean - expected) / error
    interval = t_interval(m.mean, error, m.n - 1, level, side)
    return TestResult(test, t, m.n - 1, t_p(t, m.n - 1, side), m.n, m.mean, interval)
