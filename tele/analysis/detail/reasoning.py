"""Reasoning: whether chains of reasoning are as sure as they are right, by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tele.analysis.aggregations.panels import CONFIDENCES
from tele.analysis.calibration import Calibration, calibrate
from tele.analysis.detail.asked import Asked
from tele.errors import BadInput
from tele.store.schema import quoted

__all__ = ["ReasoningDetail", "reasoning"]


@dataclass(frozen=True, slots=True)
class ReasoningDetail:
    """The chains of one group, and whether the last confidence of each foretells that the answer is right."""

    key: Mapping[str, Any]
    chains: int
    events: int
    judged: int
    """Chains with a confidence of which the metric says whether the answer was right."""
    calibration: Calibration | None
    """Items are resampled whole where the chains name them."""
    note: str = ""
    """Why there is none."""


def reasoning(asked: Asked) -> tuple[ReasoningDetail, ...]:
    """Return the section; empty where there are no chains."""
    if "causal_trace.event.created" not in asked.seen.names:
        return ()
    outcome = asked.wanted.outcome
    rows = asked.beside(CONFIDENCES, metric=quoted(outcome))
    return tuple(_detail(asked.known(key), found, outcome) for key, found in rows.items())


def _detail(key: Mapping[str, Any], rows: Sequence[tuple[Any, ...]], outcome: str) -> ReasoningDetail:
    judged = [(sure, right, item or chain) for chain, sure, _, right, item in rows if None not in (sure, right)]
    events = sum(row[2] for row in rows)
    note, found = "", None
    if not judged:
        note = f"no chain has both a confidence and a metric {outcome!r}"
    else:
        sure, right, clusters = zip(*judged, strict=True)
        try:
            found = calibrate(sure, right, clusters=clusters)
        except BadInput as error:
            note = str(error)
    return ReasoningDetail(key, len(rows), events, len(judged), found, note)
