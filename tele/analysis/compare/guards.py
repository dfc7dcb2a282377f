"""Guardrails and gates: figures that must hold (`p99_ms < 2000`), or must not (`--fail-if "p99_ms > 2000"`)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tele.analysis.compare.words import figure, figures
from tele.analysis.comparisons import Check, Comparison
from tele.analysis.measure import in_order
from tele.analysis.units import NOTHING
from tele.errors import BadInput

__all__ = ["Condition", "check", "condition", "worse"]

_LATENCY = {name: f"latency.{name}" for name in ("mean", "median", "min", "max", "p50", "p90", "p95", "p99")}
_NAMES = {f"{name}_ms": path for name, path in _LATENCY.items()} | {
    "cost_usd": "cost.total",
    "cost_per_request_usd": "cost.mean_per_request",
    "unpriced": "cost.unpriced",
    "success_rate": "reliability.success_rate",
    "failure_rate": "reliability.failure_rate",
    "error_rate": "reliability.failure_rate",
    "requests": "reliability.total_requests",
    "failed": "reliability.failed",
    "tokens": "tokens.total",
    "mean_tokens": "tokens.mean_total",
}
"""Short names of figures, and where they stand in a group of an analysis."""
_INTERVALS = {"reliability.success_rate": "reliability.success_rate_interval"} | {
    f"latency.{name}": f"latency.intervals.{name}" for name in ("p50", "p90", "p95", "p99")
}
_CONDITION = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

Means = Callable[[str], Mapping[tuple[Any, ...], float]]
"""Mean of a recorded metric in each group, by the values of its key."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A figure, an operator and a number."""

    said: str
    name: str
    sign: str
    value: float

    def holds(self, figure: float) -> bool:
        """Whether it is so."""
        return _OPERATORS[self.sign](figure, self.value)


def condition(said: str) -> Condition:
    """Return what `FIGURE OPERATOR NUMBER` says; BadInput where it is none."""
    match = _CONDITION.fullmatch(said)
    if match is None:
        raise BadInput(f'A condition is a figure, an operator and a number, such as "p99_ms > 2000", not {said!r}.')
    name, sign, number, percent = match.groups()
    return Condition(said, name, sign, float(number) / (100 if percent else 1))


def check(
    asked: Condition,
    kind: str,
    groups: Sequence[Mapping[str, Any]],
    recorded: Sequence[str],
    means: Means,
    *,
    registered: bool | None = None,
) -> list[Check]:
    """Hold `asked` against each group (as `to_dict` gives it): a guardrail is well where it holds, a gate where not.

    Raises BadInput, with the nearest names, where the figure is neither one of a group nor a recorded metric.
    """
    path = _NAMES.get(asked.name, asked.name)
    if any(_is_figure(group, path) for group in groups) or (not groups and path in _NAMES.values()):
        return [_held(asked, kind, group, path, None, registered) for group in groups or [{"key": {}}]]
    if asked.name not in recorded:
        near = get_close_matches(asked.name, [*_NAMES, *recorded], cutoff=0.5)
        hint = f" Nearest: {', '.join(near)}." if near else f" There are {', '.join([*_NAMES, *recorded])}."
        raise BadInput(f"No figure is named {asked.name!r}.{hint}")
    found = means(asked.name)
    asking = [key for key in (tuple(group["key"].values()) for group in groups) if set(key) - {None}]
    keys = in_order(dict.fromkeys([*found, *asking]))  # a metric may have values where no request is, and the reverse
    named = [{} if keys == [(None,)] else dict(enumerate(key)) for key in keys]
    return [
        _held(asked, kind, {"key": name}, "", found.get(key), registered) for key, name in zip(keys, named, strict=True)
    ]


def worse(comparisons: Sequence[Comparison], metrics: Sequence[str]) -> list[Check]:
    """Hold each of `metrics` against its comparisons: one that is worse is not well, nor is one that was not tested."""
    found = []
    for name in metrics:
        about = [one for one in comparisons if one.metric == name and one.baseline is not None]
        for one in about:
            ok = one.verdict != "worse" and one.better is not None and one.test is not None
            words = one.words if one.better is not None else f"{name}: nobody declared which direction is better"
            found.append(
                Check("fail-if-worse", name, one.treatment, one.difference, one.difference_interval, ok, words)
            )
        if not about:
            found.append(Check("fail-if-worse", name, "all", None, None, ok=False, words=f"{name} was not compared"))
    return found


_NOWHERE = object()


def _held(
    asked: Condition, kind: str, group: Mapping[str, Any], path: str, mean: float | None, registered: bool | None
) -> Check:
    value = mean if mean is not None else _number(_at(group, path))
    interval = _at(group, _INTERVALS[path]) if path in _INTERVALS else None
    bounds = None if interval is None else (interval[0], interval[1])
    holds = value is not None and asked.holds(value)
    ok = value is not None and (holds if kind == "guardrail" else not holds)
    name = " · ".join(NOTHING if part is None else str(part) for part in group["key"].values()) or "all"
    if value is None:
        words = f"{name}: {asked.name} is not known, so that {asked.said!r} cannot be judged"
    else:
        between = f" (95 % interval {figures(bounds)})" if bounds is not None else ""
        state = "holds" if holds else "does not hold"
        words = f"{name}: {asked.said!r} {state}, {asked.name} is {figure(value)}{between}"
    return Check(kind, asked.said, name, value, bounds, ok, words, registered)


def _at(group: Mapping[str, Any], path: str, *, missing: object = None) -> Any:
    found: Any = group
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return missing
        found = found[part]
    return found


def _is_figure(group: Mapping[str, Any], path: str) -> bool:
    found = _at(group, path, missing=_NOWHERE)
    return found is not _NOWHERE and not isinstance(found, Mapping)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
