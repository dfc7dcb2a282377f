"""The sections that an analysis adds where it is asked to look deeper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tele.analysis.detail.asked import Asked
from tele.analysis.detail.cost import cost
from tele.analysis.detail.ensembles import ensembles
from tele.analysis.detail.hedging import hedging
from tele.analysis.detail.latency import latency
from tele.analysis.detail.load import load
from tele.analysis.detail.reasoning import reasoning
from tele.analysis.detail.reliability import reliability
from tele.analysis.detail.timeline import timeline
from tele.analysis.detail.traces import traces
from tele.errors import BadInput

__all__ = ["ALL", "SECTIONS", "chosen_sections", "look"]

SECTIONS: Mapping[str, Callable[[Asked], tuple[Any, ...]]] = MappingProxyType(
    {
        "latency": latency,
        "cost": cost,
        "reliability": reliability,
        "timeline": timeline,
        "load": load,
        "traces": traces,
        "ensembles": ensembles,
        "hedging": hedging,
        "reasoning": reasoning,
    }
)
ALL = "all"


def chosen_sections(names: Sequence[str]) -> list[str]:
    """Return the sections that `names` ask for, in their order; raises BadInput where there is none of a name."""
    if unknown := [name for name in names if name not in SECTIONS and name != ALL]:
        raise BadInput(f"There is no section {unknown[0]!r}; --detail takes {', '.join(SECTIONS)}, or {ALL}.")
    return [name for name in SECTIONS if name in names or ALL in names]


def look(asked: Asked, names: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Return the sections by name, each with an entry for each group."""
    return {name: SECTIONS[name](asked) for name in chosen_sections(names)}
