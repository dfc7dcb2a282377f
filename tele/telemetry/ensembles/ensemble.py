"""`tele.ensemble`: several members answer one question, and a stated rule makes one answer of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from threading import RLock
from types import TracebackType
from typing import Any, Literal, Self

from tele.errors import BadInput
from tele.telemetry.ensembles.normalise import key_of, normaliser
from tele.telemetry.ensembles.opening import Opening
from tele.telemetry.ensembles.voting import (
    STRATEGIES,
    Outcome,
    Strategy,
    Ties,
    Verdict,
    Vote,
    agreement,
    decide,
    entropy,
    finite,
)
from tele.telemetry.points import event
from tele.telemetry.span import Span

__all__ = ["Ballot", "Ensemble", "ensemble"]

Member = Callable[..., Any]
Members = Mapping[str, Member] | Iterable[Member]
Execution = Literal["parallel", "sequential", "cascade"]


class Ballot:
    """One vote in progress, as `with tele.ensemble(...) as ballot:` gives it."""

    def __init__(self, rules: Ensemble) -> None:
        self._rules = rules
        self._lock = RLock()
        self.span = Span("ensemble", {"strategy": rules.strategy_name}, **rules.fields)
        self.votes: list[Vote] = []
        self.failed: dict[str, BaseException] = {}
        self.abstained: list[str] = []
        self.timed_out: list[str] = []
        self.outcome: Outcome | None = None
        """How it ended; None before."""

    def __enter__(self) -> Self:
        self.span.__enter__()
        self.span.set_attribute("ensemble_id", self.span.span_id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.decide()
        except BaseException as raised:  # a strategy of the user's own
            self.span.__exit__(type(raised), raised, raised.__traceback__)
            raise
        self.span.__exit__(kind, error, trace)

    @property
    def id(self) -> str:
        """The ensemble's id: that of its span."""
        return self.span.span_id

    def vote(
        self,
        member: str,
        answer: Any,
        *,
        confidence: float | None = None,
        weight: float | None = None,
        result: Any = None,
    ) -> None:
        """Count and record a member's answer; None abstains.

        `confidence` and `weight` are 0 or more; the weight is by default that of the ensemble's `weights`, else 1. A
        vote after the decision is recorded as `late` and does not count.
        """
        if answer is None:
            self.abstained.append(member)
            return
        counted = self._rules.normalise(answer)
        heavy = finite(weight)
        vote = Vote(
            member,
            counted,
            finite(confidence),
            self._rules.weights.get(member, 1.0) if heavy is None else heavy,
            answer,
            answer if result is None else result,
        )
        facts = {"ensemble_id": self.id, "member": member, "answer": vote.answer, "weight": vote.weight}
        if vote.confidence is not None:
            facts["confidence"] = vote.confidence
        if counted is not answer and key_of(counted) != key_of(answer):
            facts["given"] = answer
        with self._lock:
            late = self.outcome is not None
            if not late:
                self.votes.append(vote)
        event("ensemble.vote", facts | {"late": True} if late else facts)

    def fail(self, member: str, error: BaseException) -> None:
        """Say that a member gave no answer because it failed."""
        self.failed[member] = error

    def decide(self) -> Outcome:
        """Count the votes, record what they come to, and return it; a second time it is the same."""
        with self._lock:
            if self.outcome is None:
                self.outcome = self._counted()
                self._record(self.outcome)
            return self.outcome

    def enough(self) -> bool:
        """Whether a member after the other may stop here: see `execution`."""
        rules = self._rules
        if rules.execution == "cascade":
            return bool(self.votes) and (self.votes[-1].confidence or 0.0) >= rules.confident
        if len(self.votes) < rules.least(self.members):
            return False
        share = agreement([vote.answer for vote in self.votes])
        return share is not None and share >= (1.0 if rules.min_agreement is None else rules.min_agreement)

    @property
    def members(self) -> int:
        """How many members it has: those of the ensemble, else those heard of so far."""
        return len(self._rules.members) or len({*self.failed, *self.abstained, *(vote.member for vote in self.votes)})

    def _counted(self) -> Outcome:
        rules = self._rules
        place = {name: n for n, name in enumerate(rules.members)}
        votes = sorted(self.votes, key=lambda vote: place.get(vote.member, len(place)))
        answers = [vote.answer for vote in votes]
        verdict = self._verdict(votes, answers)
        winner = verdict.winner
        share = agreement(answers, winner)
        given = (vote.given for vote in votes if key_of(vote.answer) == key_of(winner))
        return Outcome(
            ensemble_id=self.id,
            strategy=rules.strategy_name,
            winner=winner,
            answer=None if winner is None else next(given, winner),
            agreement=share,
            entropy=entropy(answers),
            tied=verdict.tied,
            reason=verdict.reason,
            votes=tuple(votes),
            failed=dict(self.failed),
            abstained=tuple(self.abstained),
            timed_out=tuple(self.timed_out),
        )

    def _verdict(self, votes: Sequence[Vote], answers: Sequence[Any]) -> Verdict:
        rules, least = self._rules, self._rules.least(self.members)
        if votes and len(votes) < least:
            return Verdict(reason=f"{least} votes are needed and {len(votes)} came")
        verdict = decide(votes, rules.strategy, rules.ties)
        share = agreement(answers, verdict.winner)
        if verdict.winner is None or rules.min_agreement is None or (share or 0.0) >= rules.min_agreement:
            return verdict
        reason = f"{share:.2f} of the votes agree, and {rules.min_agreement:.2f} are needed"
        return Verdict(tied=verdict.tied, reason=reason)

    def _record(self, outcome: Outcome) -> None:
        facts = {
            "winner": outcome.winner,
            "agreement": outcome.agreement,
            "entropy": outcome.entropy,
            "members": self.members,
            "votes": len(outcome.votes),
            "failed": list(outcome.failed),
            "abstained": list(outcome.abstained),
            "timed_out": list(outcome.timed_out),
            "tied": outcome.tied or None,
        }
        self.span.set(**{key: value for key, value in facts.items() if value not in (None, [])})
        if outcome.winner is None:
            self.span.fail("NoWinner", outcome.reason or "")
        else:
            self.span.set(output=outcome.winner)


class Ensemble(Opening[Ballot]):
    """Members and the rule that makes one answer of theirs. Make one with `tele.ensemble`.

    With members, call it with what they are to be asked: it asks all at once (in threads, or as tasks where any is
    async, and then it is awaited) and returns the `Outcome`. Without, `with tele.ensemble(...) as ballot:` records an
    ensemble that runs elsewhere, by `ballot.vote(member, answer)`.
    """

    def __init__(
        self,
        members: Members = (),
        *,
        strategy: str | Strategy = "majority",
        ties: Ties = "first",
        normalise: str | Callable[[Any], Any] | None = None,
        weights: Mapping[str, float] | None = None,
        min_votes: int | None = None,
        min_agreement: float | None = None,
        timeout_ms: float | None = None,
        execution: Execution = "parallel",
        confident: float = 0.9,
        answer: Callable[[Any], Any] | None = None,
        confidence: Callable[[Any], Any] | None = None,
        **fields: Any,
    ) -> None:
        """Take members by name, or functions that go by their own, and the rule.

        `strategy`: `majority` takes the answer with most votes, `weighted` the greatest sum of weight x confidence,
        `best_confidence` the surest member's, `unanimous` the one that all gave; a function takes the votes and returns
        the winner, or None. `ties`: of equal answers, `first` takes the one whose first voter stands first among the
        members, `none` takes none. `normalise` makes answers comparable: `lowercase_trim`, `numeric`, `boolean`, `json`
        or a function. A winner needs `min_votes` votes (by default half of the members) and `min_agreement`, a share
        of the votes cast, where that is given.

        A member that fails, abstains (None) or takes more than `timeout_ms`, counted for the ensemble as a whole, gives
        no vote. `execution`: `parallel`; `sequential`, member after member until `min_agreement` (all, where it is not
        given) of at least `min_votes` agree; `cascade`, until one is at least `confident`. `answer` and `confidence`
        are functions that read a member's result; without them a mapping's `answer` and `confidence` are read, else
        the text of a model's response, else the result is the answer.
        Other keywords are as for `tele.span`. Raises BadInput.
        """
        self.members = _named(members)
        self.strategy = strategy
        self.strategy_name = strategy if isinstance(strategy, str) else getattr(strategy, "__name__", "custom")
        self.ties = ties
        self.normalise = normaliser(normalise)
        self.weights = dict(weights or {})
        self.min_votes, self.min_agreement = min_votes, min_agreement
        self.timeout_ms, self.execution, self.confident = timeout_ms, execution, confident
        self.answer, self.confidence = answer, confidence
        self.fields = {"operation": "invoke_workflow"} | fields
        super().__init__()
        self._check()

    def _check(self) -> None:
        if isinstance(self.strategy, str) and self.strategy not in STRATEGIES:
            raise BadInput(f"strategy is a function or one of {', '.join(STRATEGIES)}, not {self.strategy!r}.")
        if self.ties not in ("first", "none"):
            raise BadInput(f"ties is 'first' or 'none', not {self.ties!r}.")
        if self.execution not in ("parallel", "sequential", "cascade"):
            raise BadInput(f"execution is 'parallel', 'sequential' or 'cascade', not {self.execution!r}.")
        if heavy := [name for name, weight in self.weights.items() if finite(weight) is None]:
            raise BadInput(f"A weight is a number of 0 or more; that of {heavy[0]!r} is {self.weights[heavy[0]]!r}.")
        if unknown := sorted(self.weights.keys() - self.members.keys()) if self.members else []:
            raise BadInput(f"weights names {unknown[0]!r}, which is no member: {', '.join(self.members)}.")
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise BadInput(f"min_agreement is a share from 0 to 1, not {self.min_agreement!r}.")
        if self.timeout_ms is not None and not self.timeout_ms > 0:
            raise BadInput(f"timeout_ms is above 0, not {self.timeout_ms!r}.")

    def least(self, members: int) -> int:
        """How many votes a winner needs: `min_votes`, else half of the members, rounded up."""
        return self.min_votes if self.min_votes is not None else max(1, ceil(members / 2))

    def opened(self) -> Ballot:
        """A vote that is recorded by hand."""
        return Ballot(self)

    # ── asking the members ───────────────────────────────────────────────────────────────────────────────────────

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the members: the `Outcome`, or, where any of them is async, an awaitable of it."""
        from tele.telemetry.ensembles import asking
        from tele.telemetry.ensembles.threads import is_async

        if not self.members:
            raise BadInput("This ensemble has no members to ask; give it functions, or record votes with `with`.")
        ask = asking.ask_async if any(map(is_async, self.members.values())) else asking.ask
        return ask(self, args, kwargs)


ensemble = Ensemble


def _named(members: Members) -> dict[str, Member]:
    if isinstance(members, Mapping):
        named = dict(members)
    else:
        named = {}
        for member in members:
            name = getattr(member, "__name__", type(member).__name__)
            same = sum(1 for known in named if known == name or known.startswith(f"{name}-"))
            named[f"{name}-{same + 1}" if same else name] = member
    if wrong := [name for name, member in named.items() if not callable(member)]:
        raise BadInput(f"Member {wrong[0]!r} of the ensemble is not callable.")
    return named
