"""Calibration: whether what is stated with confidence 0.8 is right eight times in ten.

The Brier score is the mean squared distance of confidence and outcome (G. W. Brier, Monthly Weather Review 78 (1950),
1-3); 0 is best, and saying 0.5 always gives 0.25. The expected calibration error is the mean over bins of the distance
between mean confidence and share of right ones, weighted by the bins' counts (C. Guo et al., ICML 2017); it is never
below 0, and with few outcomes it is above 0 by chance alone, so what chance gives is told beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tele.analysis.intervals import wilson
from tele.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Bin", "Calibration", "Calibrations", "calibrate", "calibration"]

_FEWEST = 2
_OF = {
    "last": "arg_max(confidence, (position, start_ns))",
    "mean": "avg(confidence)",
    "min": "min(confidence)",
    "max": "max(confidence)",
}


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of the reliability curve: confidences above `low`, up to `high`; the first bin holds its `low` too."""

    low: float
    high: float
    count: int
    mean_confidence: float
    accuracy: float
    """Share of right ones, 0 to 1."""
    interval: tuple[float, float]
    """Wilson's, of the accuracy, as if all were independent."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well stated confidence foretells being right; intervals are None where there are fewer than two clusters."""

    count: int
    clusters: int
    """Groups that are resampled whole, such as items; as many as `count` where nothing was said of them."""
    mean_confidence: float
    accuracy: float
    brier: float
    brier_interval: tuple[float, float] | None
    brier_skill: float | None
    """1 less the Brier score over that of always stating the accuracy; None where all were right, or all wrong."""
    ece: float
    ece_interval: tuple[float, float] | None
    ece_by_chance: float
    """Mean ECE that these confidences would show were they perfectly calibrated."""
    mce: float
    """The largest distance of a bin."""
    curve: tuple[Bin, ...]
    """Bins that hold any."""

    @property
    def overconfidence(self) -> float:
        """Mean confidence less accuracy: above 0 where more is claimed than is right."""
        return self.mean_confidence - self.accuracy


def calibrate(
    confidences: Sequence[float],
    outcomes: Sequence[float],
    *,
    bins: int = 10,
    equal: Literal["width", "count"] = "width",
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Calibration:
    """Return how well `confidences`, 0 to 1, foretell `outcomes`, which are 1 (or True) and 0.

    `bins` are equally wide, or of equal count. `clusters` says which ones belong together (answers to one item): they
    are resampled together. Intervals are of a bootstrap with `seed`: percentiles for the Brier score, the basic
    interval for the ECE, whose resamples repeat its upward bias (A. C. Davison and D. V. Hinkley, "Bootstrap Methods
    and their Application" (1997), section 5.2). Costs O(count x resamples). Raises BadInput.
    """
    import numpy as np

    sure, right = _checked(confidences, outcomes, clusters)
    if bins < 1 or resamples < 1 or not 0 < level < 1:
        raise BadInput("bins and resamples are at least 1, and level is between 0 and 1.")
    edges = _edges(sure, bins, equal)
    place = np.searchsorted(edges[1:-1], sure)
    group = _numbered(clusters, len(sure))
    n_groups = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    errors = (sure - right) ** 2
    ece = float(_ece(place, sure - right, np.ones(len(sure)), len(edges) - 1))
    draws = (
        _bootstrap(rng, group, place, sure - right, errors, resamples, len(edges) - 1) if n_groups >= _FEWEST else None
    )
    accuracy = float(right.mean())
    spread = accuracy * (1 - accuracy)
    curve = _curve(edges, place, sure, right, level)
    return Calibration(
        count=len(sure),
        clusters=n_groups,
        mean_confidence=float(sure.mean()),
        accuracy=accuracy,
        brier=float(errors.mean()),
        brier_interval=None if draws is None else _percentiles(draws[:, 0], level),
        brier_skill=1 - float(errors.mean()) / spread if spread else None,
        ece=ece,
        ece_interval=None if draws is None else _basic(ece, draws[:, 1], level),
        ece_by_chance=_by_chance(rng, place, sure, len(edges) - 1, min(resamples, 500)),
        mce=max(abs(b.mean_confidence - b.accuracy) for b in curve),
        curve=curve,
    )


def _checked(
    confidences: Sequence[float], outcomes: Sequence[float], clusters: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    sure, right = np.asarray(confidences, dtype=float), np.asarray(outcomes, dtype=float)
    if sure.ndim != 1 or sure.shape != right.shape or (clusters is not None and len(clusters) != len(sure)):
        raise BadInput("Give one outcome, and one cluster if any, for each confidence.")
    if not len(sure):
        raise BadInput("There is no confidence whose outcome is known.")
    if not np.all((sure >= 0) & (sure <= 1)):
        raise BadInput("Confidences are from 0 to 1.")
    if not np.all((right == 0) | (right == 1)):
        raise BadInput("Outcomes are 1, right, or 0, wrong.")
    return sure, right


def _edges(sure: NDArray[np.float64], bins: int, equal: str) -> NDArray[np.float64]:
    import numpy as np

    even = np.arange(bins + 1) / bins  # 0.3 is the edge that people write
    if equal == "width":
        return even
    if equal != "count":
        raise BadInput(f"Bins are of equal 'width' or 'count', not {equal!r}.")
    found = np.unique(np.quantile(sure, even))
    return found if len(found) > 1 else np.array([0.0, 1.0])


def _numbered(clusters: Sequence[Hashable] | None, count: int) -> NDArray[np.intp]:
    import numpy as np

    if clusters is None:
        return np.arange(count)
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(each, len(numbers)) for each in clusters], dtype=np.intp)


def _ece(place: Any, distance: Any, weights: Any, bins: int) -> Any:
    """Sum over the bins of |sum of weighted distances|, over the sum of the weights."""
    import numpy as np

    return np.abs(np.bincount(place, weights * distance, minlength=bins)).sum() / weights.sum()


def _bootstrap(
    rng: np.random.Generator, group: Any, place: Any, distance: Any, errors: Any, resamples: int, bins: int
) -> NDArray[np.float64]:
    """Brier score and ECE of each resample of whole clusters."""
    import numpy as np

    n_groups = int(group.max()) + 1
    found = np.empty((resamples, 2))
    for at in range(resamples):
        weights = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)[group].astype(float)
        found[at] = (weights @ errors / weights.sum(), _ece(place, distance, weights, bins))
    return found


def _percentiles(draws: Any, level: float) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _basic(value: float, draws: Any, level: float) -> tuple[float, float]:
    low, high = _percentiles(draws, level)
    return min(max(2 * value - high, 0.0), 1.0), min(max(2 * value - low, 0.0), 1.0)


def _by_chance(rng: np.random.Generator, place: Any, sure: Any, bins: int, times: int) -> float:
    """Mean ECE where every outcome is drawn with the probability that was stated for it."""
    import numpy as np

    ones = np.ones(len(sure))
    return float(np.mean([_ece(place, sure - (rng.random(len(sure)) < sure), ones, bins) for _ in range(times)]))


def _curve(edges: Any, place: Any, sure: Any, right: Any, level: float) -> tuple[Bin, ...]:
    import numpy as np

    bins = len(edges) - 1
    counts = np.bincount(place, minlength=bins)
    stated, hit = np.bincount(place, sure, minlength=bins), np.bincount(place, right, minlength=bins)
    return tuple(
        Bin(
            low=float(edges[at]),
            high=float(edges[at + 1]),
            count=int(counts[at]),
            mean_confidence=float(stated[at] / counts[at]),
            accuracy=float(hit[at] / counts[at]),
            interval=wilson(int(hit[at]), int(counts[at]), confidence=level) or (0.0, 1.0),
        )
        for at in range(bins)
        if counts[at]
    )


# ── of what stands in the log ────────────────────────────────────────────────────────────────────────────────────────


class Reader(Protocol):
    """What is needed of an open store."""

    def rows(self, query: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query."""
        ...


@dataclass(frozen=True, slots=True)
class Calibrations:
    """The calibration of each group of an experiment's chains, and the chains that say nothing of it."""

    groups: dict[str | None, Calibration]
    """By the values of `by`; under None where nothing was to be told apart."""
    without_outcome: int
    """Chains that state a confidence and whose outcome is not known."""


def calibration(
    reader: Reader,
    experiment: str,
    *,
    outcome: str = "correct",
    of: Literal["last", "mean", "min", "max", "events"] = "last",
    by: Literal["condition", "run_id", "type", "stage"] | None = "condition",
    threshold: float | None = None,
    **how: Any,
) -> Calibrations:
    """Return how well the confidence that an experiment's chains state foretells that their answers are right.

    `outcome` names what says so: an attribute of the span that the chain is of (`tele.score(span, "correct", True)`),
    else a metric recorded in that span, else one of the same item (`tele.metric("correct", True, item_id=...)`), of the
    same run, condition and replicate; the latest counts. It is 0 or 1; with `threshold`, at least that is right.
    `of` takes the last confidence of a chain, its mean, least or greatest, or each event by itself. What belongs to one
    item, else to one chain, is resampled together; other keywords are as for `calibrate`. Runs that are archived or
    superseded do not count. Raises BadInput where no outcome is known.
    """
    if of not in (*_OF, "events") or by not in (None, "condition", "run_id", "type", "stage"):
        raise BadInput(
            f"of is {', '.join(_OF)} or events; by is condition, run_id, type, stage or None; not {of!r}, {by!r}."
        )
    if by in ("type", "stage") and of != "events":
        raise BadInput(f"A chain has events of more than one {by}: take each by itself with of='events'.")
    rows = reader.rows(_query(of, by), {"experiment": experiment, "outcome": outcome, "key": f'$."{outcome}"'})  # type: ignore[arg-type]
    groups: dict[str | None, list[tuple[float, float, Hashable]]] = defaultdict(list)
    for group, sure, value, cluster in rows:
        if value is not None and 0 <= sure <= 1:
            groups[group].append((sure, _right(value, outcome, threshold), cluster))
    if not groups:
        raise BadInput(
            f"No chain of {experiment!r} states a confidence and has the outcome {outcome!r} known. Record it with "
            f"tele.metric({outcome!r}, True, item_id=...) or tele.score(span, {outcome!r}, True)."
        )
    return Calibrations(
        {
            key: calibrate([p for p, _, _ in found], [y for _, y, _ in found], clusters=[c for _, _, c in found], **how)
            for key, found in sorted(groups.items(), key=lambda item: item[0] or "")
        },
        sum(1 for row in rows if row[2] is None),
    )


def _right(value: float, outcome: str, threshold: float | None) -> float:
    if threshold is not None:
        return float(value >= threshold)
    if value not in (0, 1):
        raise BadInput(f"{outcome!r} is {value:g} somewhere; say from where on that is right, such as threshold=0.5.")
    return value


def _query(of: str, by: str | None) -> str:
    key = "experiment_id, run_id, condition, replicate, item_id"
    group = f"{by}::VARCHAR" if by else "NULL::VARCHAR"
    each = f"chain_id, trace_id, span_id, {key}"
    stated = (
        f"SELECT {each}, {group} AS grouped, confidence FROM stated"
        if of == "events"
        else f"SELECT {each}, {group} AS grouped, {_OF[of]} AS confidence FROM stated GROUP BY ALL"
    )
    number = """CASE lower({0}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE TRY_CAST({0} AS DOUBLE) END"""
    same = " AND ".join(f"m.{name} IS NOT DISTINCT FROM f.{name}" for name in key.split(", ")[:-1])
    return f"""WITH stated AS (
    SELECT * FROM reasoning
    WHERE experiment = $experiment AND confidence IS NOT NULL AND chain_id IS NOT NULL AND NOT coalesce(
        run_id IN (SELECT run_id FROM runs WHERE status IN ('archived', 'superseded', 'pruned')), FALSE)
), forecast AS (
    {stated}
), scored AS (
    SELECT trace_id, span_id, any_value({number.format("attributes->>$key")}) AS value
    FROM events
    WHERE kind = 'span' AND experiment = $experiment AND attributes->>$key IS NOT NULL
    GROUP BY ALL
), measured AS (
    SELECT *, (start_ns, event_id) AS moment FROM metrics
    WHERE name = $outcome AND experiment = $experiment AND value IS NOT NULL
), within AS (
    SELECT trace_id, span_id, arg_max(value, moment) AS value FROM measured WHERE span_id IS NOT NULL GROUP BY ALL
), of_item AS (
    SELECT {key}, arg_max(value, moment) AS value FROM measured WHERE item_id IS NOT NULL GROUP BY ALL
)
SELECT f.grouped, f.confidence, coalesce(s.value, w.value, m.value), coalesce(f.item_id, f.chain_id)
FROM forecast AS f
LEFT JOIN scored AS s ON s.trace_id = f.trace_id AND s.span_id = f.span_id
LEFT JOIN within AS w ON w.trace_id = f.trace_id AND w.span_id = f.span_id
LEFT JOIN of_item AS m ON m.item_id = f.item_id AND {same}
ORDER BY f.run_id, f.trace_id, f.chain_id, f.confidence"""
