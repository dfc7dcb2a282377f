"""Whether judges, or members of an ensemble, say the same, beyond what chance would."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tele.analysis.stats.distributions import normal_quantile
from tele.analysis.stats.results import Estimate
from tele.analysis.stats.samples import Floats, codes, confident, table
from tele.errors import BadInput

__all__ = ["agreement", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha"]

_MOST_VALUES = 5_000  # their distances take 200 MB
Answer = Hashable | None
Level = Literal["nominal", "ordinal", "interval", "ratio"]


def cohen_kappa(a: Sequence[Answer], b: Sequence[Answer], *, confidence: float = 0.95) -> Estimate:
    """Return Cohen's kappa of two judges' labels of the same items: 1 is agreement, 0 is chance.

    The interval uses the large-sample error, for some 30 items and more, cut at 1. BadInput: lengths that differ, no
    items, or one label throughout, by which chance alone explains everything. J. Cohen, Educational and Psychological
    Measurement 20 (1960), 37-46; error: J. L. Fleiss, J. Cohen and B. S. Everitt, Psychological Bulletin 72 (1969).
    """
    level = confident(confidence)
    n = len(a)
    if n != len(b) or n == 0:
        raise BadInput(f"The judges have {n} and {len(b)} labels; give one of each for at least one item.")
    of = codes([*a, *b], size=2 * n, what="the labels")
    k = int(of.max()) + 1
    joint = np.bincount(of[:n] * k + of[n:], minlength=k * k).reshape(k, k) / n
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    seen, chance = float(np.trace(joint)), float(rows @ columns)
    if chance >= 1 - 1e-12:
        raise BadInput("Both judges give one label throughout: chance explains all agreement, and kappa is undefined.")
    kappa = (seen - chance) / (1 - chance)
    weight = np.add.outer(columns, rows) * (1 - kappa)  # of cell (i, j): the marginals that it feeds
    first = float((np.diag(joint) * (1 - np.diag(weight)) ** 2).sum())
    off = joint * weight**2
    second = float(off.sum() - np.trace(off))
    variance = max(0.0, first + second - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    half = normal_quantile(0.5 + level / 2) * math.sqrt(variance)
    if half == 0:
        return Estimate(kappa, None, n, level, "Cohen's kappa", "no disagreement to take an interval from")
    return Estimate(kappa, (max(-1.0, kappa - half), min(1.0, kappa + half)), n, level, "Cohen's kappa")


def fleiss_kappa(counts: ArrayLike, *, confidence: float = 0.95, draws: int = 2_000, seed: int = 0) -> Estimate:
    """Return Fleiss' kappa of items x categories: how many judges put the item into the category.

    Every item needs the same number of judges, at least 2. The interval draws items (bootstrap percentile). BadInput:
    counts that are not whole, unequal numbers of judges, fewer than two items, or one category throughout.
    J. L. Fleiss, Psychological Bulletin 76 (1971), 378-382.
    """
    level = confident(confidence)
    rows = table(counts, what="the table of counts")
    judges = rows.sum(axis=1)
    if bool(np.any((rows < 0) | (rows != np.floor(rows)))) or judges[0] < 2 or bool(np.any(judges != judges[0])):  # noqa: PLR2004
        raise BadInput("Each item needs the same number of judges, at least 2, and counts are whole numbers.")
    m = float(judges[0])
    agreeing = ((rows**2).sum(axis=1) - m) / (m * (m - 1))
    if np.count_nonzero(rows.sum(axis=0)) < 2:  # noqa: PLR2004 - one category
        raise BadInput("All judges use one category: chance explains all agreement, and kappa is undefined.")

    def of(weights: Floats) -> Floats:
        chance = (((weights @ rows) / m) ** 2).sum(axis=-1)
        share = np.divide(
            weights @ agreeing - chance, 1 - chance, out=np.full(len(weights), math.nan), where=chance < 1
        )
        return np.asarray(share, dtype=np.float64)

    return _drawn(of, len(rows), level, "Fleiss' kappa", draws, seed)


def krippendorff_alpha(
    answers: Sequence[Sequence[Answer]],
    *,
    level: Level = "nominal",
    confidence: float = 0.95,
    draws: int = 2_000,
    seed: int = 0,
) -> Estimate:
    """Return Krippendorff's alpha of judges x items; None or NaN is an answer that is missing.

    Any number of judges, any gaps; `level` says how far apart two answers are: equal or not (`nominal`), by rank, by
    difference, or by ratio (the last three need numbers). Items with one answer say nothing and are left out. The
    interval draws items (rank distances stay those of all items). BadInput: rows of unequal length, no item with two
    answers, one answer throughout, or answers that are no numbers where numbers are needed. K. Krippendorff, "Content
    Analysis", 2nd ed. (2004), chapter 11.
    """
    wanted = confident(confidence)
    if len({len(row) for row in answers}) != 1:
        raise BadInput("Every judge needs one entry of each item, None where the answer is missing.")
    units = [[answer for answer in column if not _missing(answer)] for column in zip(*answers, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        raise BadInput("No item has two answers, so there is no agreement to measure.")
    values = _ordered({answer for unit in units for answer in unit}, level)
    if len(values) < 2:  # noqa: PLR2004 - nothing varies
        raise BadInput("All answers are the same: chance explains all agreement, and alpha is undefined.")
    if len(values) > _MOST_VALUES:
        raise BadInput(f"There are {len(values)} different answers, more than {_MOST_VALUES}; round them first.")
    place = {value: number for number, value in enumerate(values)}
    counts = np.zeros((len(units), len(values)))
    for number, unit in enumerate(units):
        for answer in unit:
            counts[number, place[answer]] += 1
    of = _alpha_of(counts, values, level)
    return _drawn(of, len(units), wanted, f"Krippendorff's alpha, {level}", draws, seed)


def _missing(answer: Answer) -> bool:
    return answer is None or (isinstance(answer, float) and math.isnan(answer))


def _ordered(values: set[Hashable], level: Level) -> list[Hashable]:
    if level not in {"nominal", "ordinal", "interval", "ratio"}:
        raise BadInput(f"The level {level!r} is unknown; it is nominal, ordinal, interval or ratio.")
    if level == "nominal":
        return list(values)
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise BadInput(f"Agreement at level {level} needs numbers; use nominal for labels.")
    return sorted(values)  # type: ignore[type-var]


def _alpha_of(counts: Floats, values: list[Hashable], level: Level) -> Callable[[Floats], Floats]:
    """Return the function from weights of items (draws x items, summing to 1) to alpha."""
    size = counts.sum(axis=1)
    totals = counts.sum(axis=0)
    apart = _distances(totals, values, level)
    within = ((counts @ apart) * counts).sum(axis=1) / (size - 1)  # of an item: its pairs' distances
    whole = float(len(counts))

    def of(weights: Floats) -> Floats:
        weighted = weights * whole
        margins = weighted @ counts
        n = margins.sum(axis=-1)
        expected = ((margins @ apart) * margins).sum(axis=-1) / (n - 1)
        observed = weighted @ within
        shares = np.divide(observed, expected, out=np.full(len(weights), math.nan), where=expected > 0)
        return np.asarray(1 - shares, dtype=np.float64)

    return of


def _distances(totals: Floats, values: list[Hashable], level: Level) -> Floats:
    if level == "nominal":
        return np.asarray(1 - np.eye(len(values)), dtype=np.float64)
    if level == "ordinal":
        rank = np.cumsum(totals) - totals / 2
        return np.asarray(np.subtract.outer(rank, rank) ** 2, dtype=np.float64)
    x = np.asarray(values, dtype=np.float64)
    gap = np.subtract.outer(x, x)
    if level == "interval":
        return np.asarray(gap**2, dtype=np.float64)
    whole = np.add.outer(x, x)
    return np.divide(gap, whole, out=np.zeros_like(gap), where=whole != 0) ** 2


def _drawn(
    of: Callable[[Floats], Floats], items: int, confidence: float, method: str, draws: int, seed: int
) -> Estimate:
    """Return the figure at equal weights and its percentile interval over draws of items."""
    value = float(of(np.full((1, items), 1 / items))[0])
    rng = np.random.default_rng(seed)
    found = []
    at_once = max(1, 4_000_000 // items)
    for start in range(0, draws, at_once):
        weights = rng.multinomial(items, np.full(items, 1 / items), size=min(at_once, draws - start)) / items
        found.append(of(weights))
    drawn = np.concatenate(found)
    drawn = drawn[np.isfinite(drawn)]  # a draw in which nothing varies has no figure
    if drawn.size < draws / 2 or float(drawn.min()) == float(drawn.max()):
        return Estimate(value, None, items, confidence, method, "too little varies to take an interval from")
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, (float(low), float(high)), items, confidence, method)


def agreement(answers: Sequence[Sequence[Answer]]) -> float:
    """Return the share of pairs of judges that say the same of an item, over all items of judges x items, in [0, 1].

    None and NaN are missing answers. BadInput: no item with two answers.
    """
    same = total = 0
    for column in zip(*answers, strict=True):
        given = [answer for answer in column if not _missing(answer)]
        pairs = [one == two for one, two in combinations(given, 2)]
        same, total = same + sum(pairs), total + len(pairs)
    if not total:
        raise BadInput("No item has two answers, so there is no agreement to measure.")
    return same / total
