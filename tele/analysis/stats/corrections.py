"""Several tests at once: the p-values that allow for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tele.analysis.stats.samples import Floats, sample
from tele.errors import BadInput

__all__ = ["Method", "adjust"]

Method = Literal["holm", "bh", "bonferroni"]


def adjust(p: Sequence[float], method: Method = "holm") -> list[float]:
    """Return the adjusted p-values, in the order given; each is compared with the level itself.

    `holm` and `bonferroni` hold the chance of any false alarm, whatever the dependence; `bh` holds the expected share
    of false alarms, for independent or positively dependent tests. For correlated metrics `max_t` is sharper. No
    values give none. BadInput: a value outside [0, 1] or not finite, or an unknown method. S. Holm, Scandinavian
    Journal of Statistics 6 (1979), 65-70; Y. Benjamini and Y. Hochberg, JRSS B 57 (1995), 289-300.
    """
    values = sample(p, least=0, what="the list of p-values")
    if bool(np.any((values < 0) | (values > 1))):
        raise BadInput("A p-value is outside 0 to 1.")
    if method not in {"holm", "bh", "bonferroni"}:
        raise BadInput(f"The correction {method!r} is unknown; it is holm, bh or bonferroni.")
    if method == "bonferroni":
        return [float(value) for value in np.minimum(values * values.size, 1.0)]
    return _stepwise(values, method)


def _stepwise(values: Floats, method: Method) -> list[float]:
    n = values.size
    order = np.argsort(values, kind="stable")
    if method == "holm":
        steps = np.maximum.accumulate(values[order] * np.arange(n, 0, -1))
    else:
        steps = np.minimum.accumulate((values[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    adjusted = np.empty(n)
    adjusted[order] = np.clip(steps, values[order], 1.0)  # rounding never takes one below its raw p-value
    return [float(value) for value in adjusted]
