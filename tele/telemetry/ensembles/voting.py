"""Votes and what they come to: the arithmetic of an ensemble, pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, isclose, isfinite, log2
from typing import Any, Literal

from tele.errors import BadInput
from tele.telemetry.ensembles.normalise import key_of

__all__ = ["STRATEGIES", "Outcome", "Strategy", "Ties", "Verdict", "Vote", "agreement", "decide", "entropy", "finite"]

Strategy = Callable[[Sequence["Vote"]], Any]
"""A strategy of one's own: from the votes, in the order of the members, to the winning answer, or None for none."""
Ties = Literal["first", "none"]

STRATEGIES = ("majority", "weighted", "best_confidence", "unanimous")


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's answer."""

    member: str
    answer: Any
    """As it is counted: after normalisation."""
    confidence: float | None = None
    weight: float = 1.0
    given: Any = None
    """The answer before normalisation."""
    result: Any = None
    """What the member returned."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the votes come to; `reason` says why there is no winner."""

    winner: Any = None
    tied: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an ensemble ended. `winner` is None where the members did not decide, and `reason` says why."""

    ensemble_id: str
    strategy: str
    winner: Any
    """The winning answer as it was counted: after normalisation."""
    answer: Any
    """The winning answer as the first member gave it that voted for it."""
    agreement: float | None
    """Share of the votes that the winner has, else the most frequent answer; None without votes."""
    entropy: float | None
    """Shannon entropy of the answers, in bits; None without votes."""
    tied: bool = False
    reason: str | None = None
    votes: tuple[Vote, ...] = ()
    failed: Mapping[str, BaseException] = field(default_factory=dict)
    abstained: tuple[str, ...] = ()
    timed_out: tuple[str, ...] = ()


def entropy(answers: Sequence[Any]) -> float | None:
    """Shannon entropy in bits, H = -sum(p * log2 p) over the shares p of the distinct answers.

    0 where all agree, log2(k) where k answers are equally frequent; None without answers.
    """
    counts = Counter(map(key_of, answers))
    if not counts:
        return None
    total = counts.total()
    return abs(fsum(n / total * log2(n / total) for n in counts.values()))


def agreement(answers: Sequence[Any], winner: Any = None) -> float | None:
    """Share of `answers` that are `winner`, or, where that is None, the most frequent one; None without answers."""
    if not answers:
        return None
    counts = Counter(map(key_of, answers))
    return (max(counts.values()) if winner is None else counts[key_of(winner)]) / len(answers)


def decide(votes: Sequence[Vote], strategy: str | Strategy, ties: Ties = "first") -> Verdict:
    """Say what `votes`, in the order of the members, come to.

    `majority` takes the answer with most votes (the plurality), `weighted` the one with the greatest sum of
    weight x confidence (a confidence that nobody stated counts 1), `best_confidence` that of the surest member,
    `unanimous` the one that all gave. Of answers that are equal in this, `ties="first"` takes the one whose first
    voter stands first, `"none"` takes none. Raises BadInput.
    """
    if not votes:
        return Verdict(reason="no member voted")
    if callable(strategy):
        winner = strategy(votes)
        return Verdict(winner, reason="the strategy chose no answer" if winner is None else None)
    if strategy not in STRATEGIES:
        raise BadInput(f"strategy is a function or one of {', '.join(STRATEGIES)}, not {strategy!r}.")
    answers = {key_of(vote.answer): vote.answer for vote in reversed(votes)}
    if strategy == "unanimous":
        if len(answers) > 1:
            return Verdict(reason=f"the members gave {len(answers)} different answers")
        return Verdict(votes[0].answer)
    support = _support(votes, strategy)
    most = max(support.values())
    best = [key for key, worth in support.items() if isclose(worth, most, rel_tol=1e-12)]
    if len(best) > 1 and ties == "none":
        return Verdict(tied=True, reason=f"{len(best)} answers are tied")
    return Verdict(answers[best[0]], tied=len(best) > 1)


def _support(votes: Sequence[Vote], strategy: str) -> dict[bytes, float]:
    """What each answer has for itself, in the order in which the answers were first given."""
    worths: dict[bytes, list[float]] = {}
    for vote in votes:
        worths.setdefault(key_of(vote.answer), []).append(_worth(vote, strategy))
    return {key: (max if strategy == "best_confidence" else fsum)(each) for key, each in worths.items()}


def _worth(vote: Vote, strategy: str) -> float:
    match strategy:
        case "majority":
            return 1.0
        case "weighted":
            return vote.weight * (1.0 if vote.confidence is None else vote.confidence)
        case _:
            return -1.0 if vote.confidence is None else vote.confidence


def finite(value: Any) -> float | None:
    """`value` as a number of 0 or more, or None: a weight or confidence that is none of these counts as not stated."""
    try:
        number = float(value)
    except Exception:  # noqa: BLE001  # the user's own type may raise anything
        return None
    return number if isfinite(number) and number >= 0 else None
