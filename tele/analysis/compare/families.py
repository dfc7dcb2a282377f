"""Families of tests: which p-values are corrected together, and how.

What was declared (a hypothesis of the experiment, or a metric that the call names) is a small family under Holm's
correction; what nobody named is exploration, under Benjamini and Hochberg's. One that is asked for holds for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tele.analysis.compare.pairing import Sides
from tele.analysis.stats.corrections import adjust
from tele.analysis.stats.permutation import max_t
from tele.errors import BadInput

__all__ = ["CORRECTIONS", "Corrected", "Member", "correct"]

CORRECTIONS = ("holm", "bh", "bonferroni", "max-t", "none")


@dataclass(frozen=True, slots=True)
class Member:
    """One test of a call; `p_value` is None where there was nothing to test."""

    p_value: float | None
    declared: bool
    sides: Sides | None = None
    clustered: bool = False


@dataclass(frozen=True, slots=True)
class Corrected:
    """A p-value after its family was allowed for."""

    p_adjusted: float | None
    correction: str
    family: int
    """Number of tests in the family."""
    shared_by: int
    """By how many the level is divided for intervals and power: 1 where the correction divides none."""


def correct(members: Sequence[Member], correction: str | None) -> list[Corrected]:
    """Return each member's p-value, corrected with its family; BadInput where `correction` cannot be applied."""
    if correction is not None and correction not in CORRECTIONS:
        raise BadInput(f"The correction is one of {', '.join(CORRECTIONS)}, not {correction!r}.")
    found: list[Corrected] = [Corrected(None, correction or "holm", 0, 1)] * len(members)
    for declared in (True, False):
        at = [i for i, one in enumerate(members) if correction is not None or one.declared is declared]
        if correction is not None and not declared:
            break
        method = correction or ("holm" if declared else "bh")
        for i, one in zip(at, _family([members[i] for i in at], method), strict=True):
            found[i] = one
    return found


def _family(members: Sequence[Member], method: str) -> list[Corrected]:
    tested = [i for i, one in enumerate(members) if one.p_value is not None]
    size = len(tested)
    raw = [members[i].p_value or 0.0 for i in tested]
    if method == "max-t":
        adjusted = _max_t([members[i] for i in tested]) if tested else []
    elif method == "none":
        adjusted = raw
    else:
        adjusted = adjust(raw, method)  # type: ignore[arg-type]  # one of its three
    shared = size if method in ("holm", "bonferroni", "max-t") else 1
    found = [Corrected(None, method, size, max(1, shared))] * len(members)
    for i, p in zip(tested, adjusted, strict=True):
        found[i] = Corrected(p, method, size, max(1, shared))
    return found


def _max_t(members: Sequence[Member]) -> list[float]:
    """Sign flips that all tests of an item share; an item that one test does not have is a difference of 0 there."""
    columns = [one.sides for one in members]
    if any(sides is None or not sides.paired or one.clustered for sides, one in zip(columns, members, strict=True)):
        raise BadInput(
            "max-t flips the signs of all differences of an item together, so every metric has to be paired by item "
            "and without clusters; use holm, or name the metrics that are."
        )
    items = sorted({item for sides in columns if sides is not None for item in sides.items})
    at = {item: row for row, item in enumerate(items)}
    gaps = np.zeros((len(items), len(columns)))
    for column, sides in enumerate(columns):
        if sides is not None:
            gaps[[at[item] for item in sides.items], column] = sides.treatment - sides.baseline
    return max_t(gaps)
