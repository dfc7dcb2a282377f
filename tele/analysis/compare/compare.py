"""`compare`: two conditions, runs or experiments, every metric, verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tele.analysis.aggregations import Reader
from tele.analysis.compare.choose import Found, choose
from tele.analysis.compare.declared import Declared, Hypothesis, declarations, matching
from tele.analysis.compare.families import Corrected, Member, correct
from tele.analysis.compare.held import against, outcome
from tele.analysis.compare.judge import Rule, judge
from tele.analysis.compare.load import Arm, load, recorded
from tele.analysis.compare.metrics import OF_REQUESTS, Metric, directed, metric
from tele.analysis.compare.monitor import monitored
from tele.analysis.compare.omnibus import omnibus
from tele.analysis.compare.pairing import FAILURES, Sides, align
from tele.analysis.compare.sides import Pair, resolve
from tele.analysis.compare.words import sentence
from tele.analysis.comparisons import Better, Bounds, Comparison, Comparisons, SecondOpinion
from tele.analysis.stats.several import dunnett
from tele.errors import BadInput

__all__ = ["Options", "compare", "compared"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a call asks for, beyond which sides."""

    metrics: Sequence[str] = ()
    better: Mapping[str, str] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    correction: str | None = None
    failures: str = "exclude"
    alpha: float = 0.05
    power: float = 0.8
    sequential: bool = False
    draws: int = 10_000

    def checked(self) -> Options:
        """Return these options; BadInput where one cannot be."""
        if self.failures not in FAILURES:
            raise BadInput(f"Failures enter as {' or '.join(FAILURES)}, not {self.failures!r}.")
        for name, value in (("alpha", self.alpha), ("power", self.power)):
            if not 0 < value < 1:
                raise BadInput(f"The {name} is between 0 and 1, not {value!r}.")
        for name, margin in self.margins.items():
            if not (math.isfinite(margin) and margin > 0):
                raise BadInput(f"The margin of {name!r} is a number above 0, not {margin!r}.")
        directed(self.better)
        return self


@dataclass(frozen=True, slots=True)
class _Case:
    """One metric of one treatment against the baseline, tested and not yet judged."""

    metric: Metric
    baseline: str
    treatment: str
    sides: Sides
    found: Found
    hypothesis: Hypothesis | None
    margin: float | None


def compare(
    reader: Reader,
    a: str,
    b: str,
    *,
    experiment: str | None = None,
    on: str | None = None,
    options: Options | None = None,
) -> Comparisons:
    """Compare `b` with `a`, the baseline: two conditions of one experiment, two runs, or two experiments.

    Sides are paired by `item_id` where the ids match, replicates averaged first; differences are `b` less `a`. `on`
    says what a request is, as for `analyze`. Raises UnknownTarget where a name means nothing, and BadInput with the
    candidates where the two can be read in more than one way.
    """
    return compared(reader, resolve(reader, a, b, experiment=experiment, on=on), options or Options())


def compared(reader: Reader, pair: Pair, options: Options, *, only_declared: bool = False) -> Comparisons:
    """Return every comparison of the sides of `pair` with its first, and every hypothesis with what became of it.

    With `only_declared` only what the experiment's hypotheses ask is compared. Raises BadInput.
    """
    options = options.checked()
    declared = _joined([declarations(reader, source.scope) for source in pair.sources])
    names = sorted({name for source in pair.sources for name in recorded(reader, source)})
    metrics = _metrics(options, declared, names, only_declared=only_declared)
    if unused := [name for name in options.margins if name not in {one.name for one in metrics}]:
        raise BadInput(f"A margin is given for {unused[0]!r}, which is not compared.")
    arms = load(reader, pair.sources, metrics)
    duels = _duels(pair, declared.hypotheses, only_declared=only_declared)
    cases, notes = _cases(arms, metrics, duels, declared, options)
    comparisons = _judged(_with_dunnett(cases), options)
    values, more = against(arms, metrics, declared.hypotheses, pair.names, options.alpha)
    everything = (*comparisons, *values)
    first = _first(pair, everything) if only_declared else pair.names[0]
    return Comparisons(
        of=pair.of,
        experiment=pair.experiment,
        on=pair.on,
        baseline=first,
        treatments=tuple(name for name in pair.names if name != first),
        comparisons=everything,
        omnibus=() if only_declared else omnibus(arms, metrics, pair.names),
        notes=(*notes, *_no_numbers(arms, pair.names), *_on_no_side(reader, pair, metrics), *more),
        hypotheses=tuple(outcome(one, everything, options.alpha) for one in declared.hypotheses),
    )


def _first(pair: Pair, comparisons: Sequence[Comparison]) -> str:
    """Return the side that the hypotheses compare with; the first in the order of names where they do not agree."""
    named = {one.baseline for one in comparisons if one.baseline is not None}
    return named.pop() if len(named) == 1 else pair.names[0]


@dataclass(frozen=True, slots=True)
class _Duel:
    """Two sides that meet; `declared` where only a hypothesis asks for it."""

    baseline: str
    treatment: str
    declared: bool


def _duels(pair: Pair, hypotheses: Sequence[Hypothesis], *, only_declared: bool) -> list[_Duel]:
    first, *others = pair.names
    found = [] if only_declared else [_Duel(first, other, declared=False) for other in others]
    met = {frozenset((duel.baseline, duel.treatment)) for duel in found}
    for one in hypotheses:
        if one.baseline not in pair.names:
            continue
        for treatment in [one.treatment] if one.treatment is not None else pair.names:
            two = frozenset((one.baseline, treatment))
            if treatment in pair.names and len(two) > 1 and two not in met:
                met.add(two)
                found.append(_Duel(one.baseline, treatment, declared=True))
    return found


def _joined(told: Sequence[Declared]) -> Declared:
    better: dict[str, str] = {}
    margins: dict[str, float] = {}
    for one in told:
        better |= one.better or {}
        margins |= one.margins or {}
    hypotheses = {one.said: one for each in reversed(told) for one in each.hypotheses}
    return Declared(tuple(hypotheses.values()), (), better, margins)


def _metrics(options: Options, declared: Declared, names: Sequence[str], *, only_declared: bool) -> list[Metric]:
    """Metrics to load: those that are named; else those of the hypotheses, or all."""
    better: dict[str, Better] = directed({**(declared.better or {}), **options.better})
    asked = list(options.metrics)
    if not asked and not only_declared:
        asked = [name for name in OF_REQUESTS if name not in names] + list(names)
    known = [*names, *OF_REQUESTS]
    asked += [one.metric for one in declared.hypotheses if one.metric in known and one.metric not in asked]
    return [metric(name, names, better) for name in dict.fromkeys(asked)]


def _cases(
    arms: Mapping[str, Arm], metrics: Sequence[Metric], duels: Sequence[_Duel], declared: Declared, options: Options
) -> tuple[list[_Case], list[str]]:
    """Test every metric of every duel; what says nothing and nobody asked for is noted instead."""
    cases: list[_Case] = []
    notes: list[str] = []
    for one in metrics:
        for duel in duels:
            said = matching(declared.hypotheses, one.name, duel.treatment, duel.baseline)
            named = said is not None or (one.name in options.metrics and not duel.declared)
            if not named and (options.metrics or duel.declared):
                continue
            left, right = (arms.get(name, Arm(name)) for name in (duel.baseline, duel.treatment))
            sides = align(one, left, right, options.failures)
            if not named and (reason := _says_nothing(sides)):
                if left.knows(one.name) or right.knows(one.name):
                    notes.append(f"{one.name}: {duel.treatment} not compared with {duel.baseline}, {reason}")
                continue
            found = monitored(sides, options.alpha) if options.sequential else None
            found = found or choose(sides, quantile=one.quantile, draws=options.draws)
            margin = options.margins.get(one.name) or (said.margin if said is not None else None)
            margin = margin or (declared.margins or {}).get(one.name)
            cases.append(_Case(one, duel.baseline, duel.treatment, sides, found, said, margin))
    return cases, notes


def _with_dunnett(cases: Sequence[_Case]) -> list[_Case]:
    """Return the cases, several treatments of one baseline on different items with Dunnett's test beside Welch's."""
    found = list(cases)
    groups: dict[tuple[str, str], list[int]] = {}
    for at, case in enumerate(cases):
        if case.found.test is not None and case.found.test.test == "Welch's t":
            groups.setdefault((case.metric.name, case.baseline), []).append(at)
    for places in groups.values():
        if len(places) > 1:
            control, *treated = cases[places[0]].sides.baseline, *(cases[at].sides.treatment for at in places)
            for at, test in zip(places, dunnett(control, *treated), strict=True):
                beside = (*cases[at].found.also, SecondOpinion(test.test, test.statistic, test.p_value))
                found[at] = replace(cases[at], found=replace(cases[at].found, also=beside))
    return found


def _no_numbers(arms: Mapping[str, Arm], names: Sequence[str]) -> list[str]:
    """Say of each metric how many of its values are none."""
    counts: dict[str, list[str]] = {}
    for name in names:
        for metric_name, n in arms.get(name, Arm(name)).no_number.items():
            counts.setdefault(metric_name, []).append(f"{name} {n:,}")
    return [
        f"{name}: values that are NaN, infinite or missing are left out: {', '.join(n)}" for name, n in counts.items()
    ]


def _on_no_side(reader: Reader, pair: Pair, metrics: Sequence[Metric]) -> list[str]:
    """Say of each metric how many values do not bear the column or attribute that tells the sides apart.

    A metric has what it was recorded with, and not what the span around it has.
    """
    if pair.of in ("conditions", "runs", "experiments"):
        return []
    found = []
    for source in pair.sources:
        names = [one.recorded for one in metrics if one.sql is None]
        rows = reader.rows(
            f"""SELECT name, count(*) FROM events WHERE {source.scope.where} AND kind = 'metric' AND value IS NOT NULL
            AND {source.side} IS NULL AND list_contains(${len(source.scope.params) + 1}, name)
            GROUP BY name ORDER BY name""",
            [*source.scope.params, names],
        )
        found += [f"{name}: {n:,} values bear no {pair.of} of their own and are left out" for name, n in rows]
    return found


def _says_nothing(sides: Sides) -> str:
    if not sides.baseline.size or not sides.treatment.size:
        return "one side has no values"
    both = np.concatenate((sides.baseline, sides.treatment))
    return "every value is the same" if bool(np.all(both == both[0])) else ""


def _judged(cases: Sequence[_Case], options: Options) -> tuple[Comparison, ...]:
    members = [
        Member(
            None if case.found.test is None else case.found.test.p_value,
            case.hypothesis is not None or case.metric.name in options.metrics,
            case.sides,
            clustered=case.found.clustered,
        )
        for case in cases
    ]
    corrected = correct(members, options.correction)
    return tuple(_comparison(case, allowed, options) for case, allowed in zip(cases, corrected, strict=True))


def _comparison(case: _Case, allowed: Corrected, options: Options) -> Comparison:
    found, sides, margin = case.found, case.sides, case.margin
    ruling = judge(
        found, sides, case.metric, allowed.p_adjusted, margin, Rule(options.alpha, options.power, allowed.shared_by)
    )
    test = found.test
    means = (_level(case, sides.baseline), _level(case, sides.treatment))
    n: int | tuple[int, int] = sides.baseline.size if sides.paired else (sides.baseline.size, sides.treatment.size)
    interval = found.bounds(1 - options.alpha) if found.bounds is not None else None
    return Comparison(
        metric=case.metric.name,
        baseline=case.baseline,
        treatment=case.treatment,
        paired=sides.paired,
        n=n,
        unit=sides.unit,
        test=None if test is None else test.test,
        why=found.why,
        statistic=None if test is None else test.statistic,
        df=None if test is None else test.df,
        p_value=None if test is None else test.p_value,
        p_adjusted=allowed.p_adjusted,
        correction=f"{allowed.correction} of {allowed.family}",
        baseline_mean=means[0],
        treatment_mean=means[1],
        difference=found.difference,
        relative=found.difference / abs(means[0]) if means[0] and found.difference is not None else None,
        difference_interval=closed(interval),
        difference_of=found.of,
        effect=None if found.effect is None else replace(found.effect, interval=closed(found.effect.interval)),
        mde=ruling.mde,
        needed_n=ruling.needed_n,
        missing=sides.missing,
        better=case.metric.better,
        margin=margin,
        reference=None,
        registered=None if case.hypothesis is None else case.hypothesis.registered,
        also=found.also,
        verdict=ruling.verdict,
        words=sentence(
            ruling.verdict,
            metric=case.metric.name,
            treatment=case.treatment,
            baseline=case.baseline,
            means=means,
            difference=found.difference,
            interval=closed(interval),
            margin=margin,
            mde=ruling.mde,
            needed=ruling.needed_n,
            unit=sides.unit,
            n=n,
            test=None if test is None else test.test,
            why=found.why,
            confidence=1 - options.alpha,
            ranks=found.effect if found.towards is not None else None,
            measured_in=case.metric.unit,
            clustered=found.clustered,
        ),
        measured_in=case.metric.unit,
    )


def _level(case: _Case, values: Any) -> float | None:
    if not values.size:
        return None
    q = case.metric.quantile
    return float(values.mean()) if q is None else float(np.quantile(values, q))


def closed(interval: tuple[float | None, float | None] | None) -> Bounds | None:
    """Return an interval with None where it is open."""
    if interval is None:
        return None
    low, high = (None if end is None or not math.isfinite(end) else end for end in interval)
    return low, high
