"""Ensembles: whether members agree beyond chance, what each adds, and whether disagreement is a sign of error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tele.analysis.aggregations.panels import VOTES
from tele.analysis.detail.asked import Asked
from tele.analysis.intervals import wilson
from tele.errors import BadInput
from tele.store.schema import quoted

__all__ = ["EnsembleDetail", "Figure", "Member", "Pair", "Panel", "ensembles"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval; None where there is too little to tell."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """What one member adds; where a majority is meant, the most frequent answer is, of ties that of the first member.

    `accuracy` and `marginal_value` (the majority's accuracy with the member less that without it) are over the
    ensembles whose right answer is known: the attribute `expected` of the ensemble, or of the root of its trace. A
    metric that says how right the winner was does not do: where that was wrong, nobody knows which answer was right.
    """

    member: str
    votes: int
    with_winner: float | None
    with_winner_interval: tuple[float, float] | None
    decisive: int
    """Ensembles whose majority would be another without it."""
    accuracy: Figure
    marginal_value: Figure


@dataclass(frozen=True, slots=True)
class Pair:
    """Two members: the share of the ensembles where both answered in which they agree, and Cohen's kappa."""

    a: str
    b: str
    agreement: float
    kappa: Figure


@dataclass(frozen=True, slots=True)
class Panel:
    """One ensemble with its votes."""

    answers: Mapping[str, str]
    winner: str | None
    agreement: float | None
    expected: str | None
    correct: float | None

    @property
    def right(self) -> float | None:
        """1 where the winner is right, 0 where it is wrong, None where nobody knows."""
        if self.expected is not None:
            return float(self.winner == self.expected)
        return self.correct if self.correct in (0, 1) else None


@dataclass(frozen=True, slots=True)
class EnsembleDetail:
    """The ensembles of one group."""

    key: Mapping[str, Any]
    count: int
    mean_agreement: Figure
    agreement: float | None
    """Share of pairs of votes that are equal, of all pairs within ensembles."""
    fleiss_kappa: Figure
    """Over the ensembles in which every member voted."""
    krippendorff_alpha: Figure
    """Nominal; members that did not vote are missing."""
    accuracy: Figure
    """Of the winners."""
    disagreement_signal: Figure
    """P(agreement of a right ensemble > that of a wrong one), ties half: 0.5 says nothing, 1 tells them apart."""
    members: tuple[Member, ...]
    pairs: tuple[Pair, ...]


def ensembles(asked: Asked) -> tuple[EnsembleDetail, ...]:
    """Return the section; empty where there are no ensembles."""
    if not {"ensemble", "ensemble.result", "ensemble.prediction.stop"} & asked.seen.names:
        return ()
    rows = asked.beside(VOTES, metric=quoted(asked.wanted.outcome))
    return tuple(_detail(asked.known(key), _panels(found)) for key, found in rows.items())


def _panels(rows: Sequence[tuple[Any, ...]]) -> list[Panel]:
    found: dict[str, Panel] = {}
    for ensemble, member, answer, winner, agreed, expected, correct in rows:
        panel = found.setdefault(ensemble, Panel({}, winner, agreed, expected, correct))
        if member is not None and answer is not None:
            panel.answers[member] = answer  # type: ignore[index]  # it is filled here and read from then on
    return list(found.values())


def _detail(key: Mapping[str, Any], panels: Sequence[Panel]) -> EnsembleDetail:
    from tele.analysis.stats import agreement as told

    members = sorted({member for panel in panels for member in panel.answers})
    matrix = [[panel.answers.get(member) for panel in panels] for member in members]
    agreed = [panel.agreement for panel in panels if panel.agreement is not None]
    right = [(panel.right, panel.agreement) for panel in panels]
    return EnsembleDetail(
        key,
        len(panels),
        _mean(agreed),
        _value(lambda: told.agreement(matrix)),
        _fleiss(panels, members),
        _figure(lambda: told.krippendorff_alpha(matrix)),
        _share([one for one, _ in right if one is not None]),
        _signal(right),
        tuple(_member(member, panels) for member in members),
        tuple(_pair(a, b, panels) for a, b in combinations(members, 2)),
    )


def _member(member: str, panels: Sequence[Panel]) -> Member:
    votes = [panel for panel in panels if member in panel.answers]
    with_winner = sum(panel.answers[member] == panel.winner for panel in votes)
    gains, decisive = [], 0
    for panel in votes:
        whole = _majority(panel.answers)
        rest = _majority({other: answer for other, answer in panel.answers.items() if other != member})
        decisive += whole != rest
        if panel.expected is not None:
            gains.append(float(whole == panel.expected) - float(rest == panel.expected))
    right = [float(panel.answers[member] == panel.expected) for panel in votes if panel.expected is not None]
    return Member(
        member,
        len(votes),
        with_winner / len(votes),
        wilson(with_winner, len(votes)),
        decisive,
        _share(right),
        _mean(gains),
    )


def _majority(answers: Mapping[str, str]) -> str | None:
    counts = Counter(answers[member] for member in sorted(answers))
    return counts.most_common(1)[0][0] if counts else None


def _pair(a: str, b: str, panels: Sequence[Panel]) -> Pair:
    from tele.analysis.stats.agreement import cohen_kappa

    both = [(panel.answers[a], panel.answers[b]) for panel in panels if a in panel.answers and b in panel.answers]
    same = sum(one == two for one, two in both) / len(both) if both else 0.0
    return Pair(a, b, same, _figure(lambda: cohen_kappa([one for one, _ in both], [two for _, two in both])))


def _fleiss(panels: Sequence[Panel], members: Sequence[str]) -> Figure:
    from tele.analysis.stats.agreement import fleiss_kappa

    whole = [panel for panel in panels if len(panel.answers) == len(members)]
    answers = sorted({answer for panel in whole for answer in panel.answers.values()})
    counts = [[list(panel.answers.values()).count(answer) for answer in answers] for panel in whole]
    return _figure(lambda: fleiss_kappa(counts))


def _signal(right: Sequence[tuple[float | None, float | None]]) -> Figure:
    from tele.analysis.stats.effects import a12

    good = [agreed for ok, agreed in right if ok == 1 and agreed is not None]
    bad = [agreed for ok, agreed in right if ok == 0 and agreed is not None]
    if not good or not bad:
        return Figure(None, None, len(good) + len(bad), "it takes right and wrong ensembles")
    found = a12(good, bad)
    return Figure(found.value, found.interval, len(good) + len(bad))


def _mean(values: Sequence[float]) -> Figure:
    from tele.analysis.stats.summary import mean_interval

    return _figure(lambda: mean_interval(values)) if values else Figure(None, None, 0, "nothing is known")


def _share(values: Sequence[float]) -> Figure:
    good = round(sum(values))
    return Figure(good / len(values) if values else None, wilson(good, len(values)), len(values))


def _figure(of: Callable[[], Any]) -> Figure:
    """Return an estimate as a figure; what cannot be told has its reason."""
    try:
        found = of()
    except BadInput as error:
        return Figure(None, None, 0, str(error))
    return Figure(found.value, found.interval, found.n, found.note)


def _value(of: Callable[[], float]) -> float | None:
    try:
        return of()
    except BadInput:
        return None
