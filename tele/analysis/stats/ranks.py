"""Ranks of values that may be tied."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.samples import Floats, sample

__all__ = ["midranks", "ties"]


def midranks(values: ArrayLike) -> Floats:
    """Return the ranks from 1, tied values sharing their mean rank, in O(n log n). BadInput as `sample` raises."""
    _, of, counts = np.unique(sample(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[of], dtype=np.float64)


def ties(values: ArrayLike) -> Floats:
    """Return how often each different value stands."""
    return np.unique(sample(values), return_counts=True)[1].astype(np.float64)
