"""Hypotheses and guardrails that were declared with an experiment, and whether before its first sample.

A hypothesis is text or a mapping:

    correct: few-shot > baseline                      the metric is higher there
    latency: few-shot = baseline within 50            equivalent within a margin
    correct: few-shot >= baseline - 0.02              no worse by more than a margin
    val_loss < 3.28                                   held against a number, in every condition
    val_loss: muon < 3.28                             in one condition
    {"metric": "correct", "treatment": "few-shot", "baseline": "baseline", "better": "higher", "margin": 0.02}

Other text is kept and marked as nothing that can be tested.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tele.analysis.aggregations import Reader
from tele.analysis.scope import Scope

__all__ = ["DECLARED", "Declared", "Hypothesis", "declarations", "matching", "parse"]

DECLARED = "tele.experiment.declared"
Relation = Literal["<", ">", "<=", ">=", "="]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SIDES = re.compile(
    rf"\s*(?P<metric>[^:]+?)\s*:\s*(?P<treatment>.+?)\s*(?P<relation><=|>=|<|>|=)\s*(?P<baseline>.+?)"
    rf"(?:\s+within\s+(?P<within>{_NUMBER})|\s+[-+]\s+(?P<slack>{_NUMBER}))?\s*"
)
_VALUE = re.compile(rf"\s*(?P<metric>[^:<>=]+?)\s*(?P<relation><=|>=|<|>)\s*(?P<value>{_NUMBER})\s*")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was declared, read: `metric` is None where it is nothing that can be tested."""

    said: str
    registered: bool
    """Whether it was declared before the first sample of the runs that are analyzed."""
    metric: str | None = None
    relation: Relation = ">"
    treatment: str | None = None
    baseline: str | None = None
    value: float | None = None
    """What the metric is held against, where no side is."""
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything that the runs of an experiment declare."""

    hypotheses: tuple[Hypothesis, ...] = ()
    guardrails: tuple[tuple[str, bool], ...] = ()
    """Each with whether it was declared before the first sample."""
    better: Mapping[str, str] | None = None
    """Directions by metric, from runs and metrics."""
    margins: Mapping[str, float] | None = None


def declarations(reader: Reader, scope: Scope) -> Declared:
    """Return what the runs of `scope` declare; of what is declared twice the first time counts."""
    told = reader.rows(
        f"""SELECT name, start_ns, attributes FROM events
        WHERE {scope.whole} AND kind = 'event' AND name IN ('{DECLARED}', 'tele.experiment.started')
        ORDER BY start_ns, seq""",
        scope.params,
    )
    facts = [(name, at, orjson.loads(text) if text else {}) for name, at, text in told]
    if not any(name == DECLARED for name, _, _ in facts):
        hypotheses: tuple[Hypothesis, ...] = ()
        guardrails: tuple[tuple[str, bool], ...] = ()
    else:
        first = _first_sample(reader, scope)
        before = [
            (at is not None and (first is None or at <= first), said) for name, at, said in facts if name == DECLARED
        ]
        hypotheses = tuple(parse(said, early) for said, early in _once(before, "hypotheses"))
        guardrails = tuple((_text(said), early) for said, early in _once(before, "guardrails"))
    starts = [said for name, _, said in facts if name != DECLARED]
    better: dict[str, str] = _of_metrics(reader, scope)
    margins: dict[str, float] = {}
    for said in starts:
        better |= {str(k): str(v) for k, v in _mapping(said.get("better")).items()}
        margins |= {str(k): float(v) for k, v in _mapping(said.get("margins")).items() if _finite(v)}
    return Declared(hypotheses, guardrails, better, margins)


def _first_sample(reader: Reader, scope: Scope) -> int | None:
    rows = reader.rows(
        f"SELECT min(start_ns) FROM events WHERE {scope.whole} AND kind IN ('span', 'metric')", scope.params
    )
    found: int | None = rows[0][0]
    return found


def _of_metrics(reader: Reader, scope: Scope) -> dict[str, str]:
    """Directions that metrics themselves declare: `tele.metric("loss", 3.2, better="lower")`."""
    rows = reader.rows(
        f"""SELECT name, min(attributes->>'$."better"') FROM events
        WHERE {scope.whole} AND kind = 'metric' AND attributes LIKE '%"better"%' GROUP BY name""",
        scope.params,
    )
    return {name: direction for name, direction in rows if direction is not None}


def _once(told: Iterable[tuple[bool, Mapping[str, Any]]], key: str) -> list[tuple[Any, bool]]:
    """Each thing that was declared, once, with whether the first time was early enough."""
    found: dict[str, tuple[Any, bool]] = {}
    for early, facts in told:
        said = facts.get(key) or ()
        for one in [said] if isinstance(said, str | Mapping) else said:
            found.setdefault(_text(one), (one, early))
    return list(found.values())


def _text(said: object) -> str:
    return said if isinstance(said, str) else orjson.dumps(said, default=str).decode()


def parse(said: object, registered: bool) -> Hypothesis:
    """Return what a declared hypothesis asks; without a metric where that cannot be read."""
    text = _text(said)
    if isinstance(said, Mapping):
        return _of_mapping(said, text, registered)
    if match := _SIDES.fullmatch(text):
        margin = match["within"] or match["slack"]
        relation = match["relation"]
        if re.fullmatch(_NUMBER, match["baseline"]) and relation != "=":
            value = float(match["baseline"])
            return Hypothesis(text, registered, match["metric"], relation, match["treatment"], None, value)  # type: ignore[arg-type]  # the pattern allows no other
        return Hypothesis(
            text,
            registered,
            match["metric"],
            relation,  # type: ignore[arg-type]
            match["treatment"],
            match["baseline"],
            margin=None if margin is None else abs(float(margin)),
        )
    if match := _VALUE.fullmatch(text):
        return Hypothesis(text, registered, match["metric"], match["relation"], value=float(match["value"]))  # type: ignore[arg-type]
    return Hypothesis(text, registered)


def _of_mapping(said: Mapping[str, Any], text: str, registered: bool) -> Hypothesis:
    metric, treatment, baseline = (said.get(key) for key in ("metric", "treatment", "baseline"))
    value, margin, better = said.get("than"), said.get("margin"), said.get("better")
    relation: Relation = "<" if better == "lower" else ">"
    if better not in ("higher", "lower"):
        relation = "="
    if metric is None or (relation == "=" and not _finite(margin)) or (baseline is None and not _finite(value)):
        return Hypothesis(text, registered)
    return Hypothesis(
        text,
        registered,
        str(metric),
        relation,
        None if treatment is None else str(treatment),
        None if baseline is None else str(baseline),
        _number(value) if baseline is None else None,
        None if (slack := _number(margin)) is None else abs(slack),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    return float(value) if _finite(value) else None


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def matching(hypotheses: Sequence[Hypothesis], metric: str, treatment: str, baseline: str) -> Hypothesis | None:
    """Return the hypothesis about these two sides of `metric`, either way around."""
    for one in hypotheses:
        if one.metric == metric and one.baseline is not None:
            asked = (one.treatment, one.baseline)
            if asked in ((treatment, baseline), (baseline, treatment), (None, baseline)):
                return one
    return None
