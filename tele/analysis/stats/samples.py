"""What goes into a statistic: arrays of finite numbers, checked once, refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tele.analysis.stats.results import Alternative
from tele.errors import BadInput

__all__ = [
    "Floats",
    "codes",
    "confident",
    "constant",
    "flags",
    "listing",
    "pair",
    "probability",
    "sample",
    "sided",
    "table",
]

Floats = NDArray[np.float64]

_LARGEST = 1e150  # beyond it a square is infinite


def sample(values: ArrayLike, *, least: int = 1, what: str = "the sample", empty: str = "values") -> Floats:
    """Return the values as a flat array of float64.

    Raises BadInput when there are fewer than `least`, when one is NaN, infinite or too large to be squared, or when
    they are no numbers.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{_upper(what)} holds something that is not a number; give an array of numbers.") from None
    if found.ndim != 1:
        raise BadInput(f"{_upper(what)} has {found.ndim} dimensions; give one row of {empty}.")
    if found.size < least:
        raise BadInput(f"{_upper(what)} has {found.size} {empty}; at least {least} are needed.")
    _finite(found, what)
    return found


def _finite(found: Floats, what: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(found)))
    if bad:
        raise BadInput(
            f"{_upper(what)} has {bad} of {found.size} values that are NaN or infinite; count them apart and leave "
            "them out, or say what number stands for them."
        )
    if found.size and float(np.abs(found).max()) > _LARGEST:
        raise BadInput(f"{_upper(what)} has values beyond 1e150, whose squares overflow; give them in a larger unit.")


def table(rows: ArrayLike, *, least: int = 2, what: str = "the table") -> Floats:
    """Return rows x columns as float64 after the checks of `sample`; each row is an item, each column a system."""
    try:
        found = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{_upper(what)} holds something that is not a number, or rows of unequal length.") from None
    if found.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise BadInput(f"{_upper(what)} has {found.ndim} dimensions; give items x columns.")
    if found.shape[0] < least or found.shape[1] < 1:
        raise BadInput(f"{_upper(what)} has {found.shape[0]} rows; at least {least} are needed.")
    _finite(found, what)
    return found


def pair(a: ArrayLike, b: ArrayLike, *, least: int = 2) -> tuple[Floats, Floats]:
    """Return two samples whose values belong together by position; BadInput where the lengths differ."""
    left, right = sample(a, what="the first sample"), sample(b, what="the second sample")
    if left.size != right.size:
        raise BadInput(
            f"The samples are paired by position and have {left.size} and {right.size} values; give one of each item."
        )
    if left.size < least:
        raise BadInput(f"There are {left.size} pairs; at least {least} are needed.")
    return left, right


def flags(values: ArrayLike, *, least: int = 1, what: str = "the sample") -> NDArray[np.bool_]:
    """Return values of 0 and 1 as booleans; BadInput where another value stands."""
    found = sample(values, least=least, what=what)
    if not bool(np.all((found == 0) | (found == 1))):
        raise BadInput(f"{_upper(what)} has values other than 0 and 1; this test takes successes and failures.")
    return found.astype(bool)


def codes(labels: ArrayLike | Sequence[Any], *, size: int, what: str = "the clusters") -> NDArray[np.intp]:
    """Return labels of any kind as numbers 0..k-1 in order of first appearance; BadInput where `size` differs."""
    listed = listing(labels)
    if len(listed) != size:
        raise BadInput(f"{_upper(what)} name {len(listed)} rows and there are {size} values; give one label of each.")
    seen: dict[Any, int] = {}
    return np.fromiter((seen.setdefault(label, len(seen)) for label in listed), dtype=np.intp, count=size)


def listing(labels: ArrayLike | Sequence[Any]) -> list[Any]:
    """Return labels as a list."""
    return list(cast("Sequence[Any]", labels))


def confident(confidence: float) -> float:
    """Return a confidence level strictly between 0 and 1; BadInput otherwise."""
    if not 0 < confidence < 1:
        raise BadInput(f"The confidence {confidence!r} is not between 0 and 1; 0.95 is usual.")
    return float(confidence)


def probability(value: float, what: str) -> float:
    """Return a number strictly between 0 and 1; BadInput naming `what` otherwise."""
    if not 0 < value < 1:
        raise BadInput(f"{_upper(what)} is {value!r}; it must be between 0 and 1.")
    return float(value)


def sided(alternative: Alternative) -> Alternative:
    """Return the alternative; BadInput when it is none of the three."""
    if alternative not in {"two-sided", "less", "greater"}:
        raise BadInput(f"The alternative {alternative!r} is unknown; it is two-sided, less or greater.")
    return alternative


def constant(spread: float, *levels: float) -> bool:
    """Whether a standard error is nothing but rounding beside the levels that it comes from."""
    return spread <= 10 * float(np.finfo(np.float64).eps) * max(map(abs, levels), default=0.0)


def _upper(what: str) -> str:
    return what[:1].upper() + what[1:]
