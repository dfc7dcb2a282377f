"""An ensemble that is recorded by hand, and its rules."""

from __future__ import annotations

import json
import threading

import pytest

import tele
from tele.errors import BadInput
from tele.telemetry.ensembles.ensemble import Ensemble

SEEN = "SELECT strategy, winner, agreement, entropy FROM ensembles"


def test_votes_and_outcome_are_rows_of_the_views(tele_store):
    with tele.ensemble(strategy="weighted", item_id="i") as ballot:
        ballot.vote("x", "A", confidence=0.5)
        ballot.vote("y", "B", confidence=0.9, weight=2)
        ballot.vote("z", "A", confidence=0.6)

    assert ballot.outcome.winner == "B"  # 1.8 against 1.1
    assert tele_store.rows("SELECT member, answer, weight, confidence, item_id FROM votes ORDER BY member") == [
        ("x", "A", 1.0, 0.5, "i"),
        ("y", "B", 2.0, 0.9, "i"),
        ("z", "A", 1.0, 0.6, "i"),
    ]
    # H(1/3) = log2(3) - 2/3
    assert tele_store.rows(SEEN) == [("weighted", "B", pytest.approx(1 / 3), pytest.approx(0.9182958340544896))]
    assert tele_store.rows("SELECT count(*) FROM votes JOIN ensembles USING (ensemble_id, span_id, trace_id)") == [(3,)]


def test_an_ensemble_without_a_winner_failed_and_says_why(tele_store):
    with tele.ensemble(strategy="unanimous") as ballot:
        ballot.vote("x", 1)
        ballot.vote("y", 2)
    assert ballot.outcome.winner is ballot.outcome.answer is None
    assert tele_store.rows("SELECT success, error_type, error_message FROM spans") == [
        (False, "NoWinner", "the members gave 2 different answers")
    ]
    assert tele_store.rows(SEEN) == [("unanimous", None, 0.5, 1.0)]


def test_the_answer_is_as_it_was_given_and_the_winner_as_it_was_counted(tele_store):
    with tele.ensemble(normalise="numeric") as ballot:
        ballot.vote("x", "1,000.0")
        ballot.vote("y", 1000)
    assert (ballot.outcome.winner, ballot.outcome.answer, ballot.outcome.agreement) == (1000, "1,000.0", 1.0)
    given = tele_store.rows("""SELECT attributes->>'$.given' FROM events WHERE name = 'ensemble.vote' ORDER BY seq""")
    assert given == [("1,000.0",), (None,)]


def test_abstentions_and_failures_are_no_votes_and_are_told(tele_store):
    with tele.ensemble(min_votes=1) as ballot:
        ballot.vote("x", None)
        ballot.fail("y", ValueError("no"))
        ballot.vote("z", "A")
    assert ballot.outcome.winner == "A"
    [(text,)] = tele_store.rows("SELECT attributes FROM spans")
    told = json.loads(text)
    assert (told["abstained"], told["failed"], told["members"], told["votes"]) == (["x"], ["y"], 3, 1)


def test_half_of_the_members_have_to_vote(tele_store):
    with tele.ensemble() as ballot:
        for member in "abc":
            ballot.vote(member, None)
        ballot.vote("d", 1)
    assert ballot.outcome.reason == "2 votes are needed and 1 came"


def test_a_winner_below_the_agreement_asked_for_is_none(tele_store):
    with tele.ensemble(min_agreement=0.6) as ballot:
        for member, answer in zip("abcd", "xxyz", strict=True):
            ballot.vote(member, answer)
    assert ballot.outcome.winner is None
    assert ballot.outcome.reason == "0.50 of the votes agree, and 0.60 are needed"


def test_a_vote_after_the_decision_is_recorded_and_does_not_count(tele_store):
    with tele.ensemble() as ballot:
        ballot.vote("a", 1)
        assert ballot.decide().winner == 1
        ballot.vote("b", 2)
        ballot.vote("c", 2)
        assert ballot.decide() is ballot.outcome
    assert len(ballot.outcome.votes) == 1
    late = tele_store.rows("SELECT attributes->>'$.late' FROM events WHERE name = 'ensemble.vote' ORDER BY seq")
    assert late == [(None,), ("true",), ("true",)]


def test_an_exception_in_the_block_goes_on_and_no_decision_is_invented(tele_store):
    def block(panel):
        with panel as ballot:
            kept.append(ballot)
            ballot.vote("a", 1)
            raise ZeroDivisionError

    kept = []
    with pytest.raises(ZeroDivisionError):
        block(tele.ensemble())
    [ballot] = kept
    assert ballot.outcome is None
    assert tele_store.rows("SELECT status, error_type FROM spans") == [("error", "ZeroDivisionError")]
    assert tele_store.rows(SEEN) == [("majority", None, None, None)]


def test_a_strategy_that_raises_is_the_users_to_see(tele_store):
    def broken(votes):
        raise KeyError("mine")

    with pytest.raises(KeyError), tele.ensemble(strategy=broken) as ballot:
        ballot.vote("a", 1)
    assert tele_store.rows("SELECT status, error_type, attributes->>'$.strategy' FROM spans") == [
        ("error", "KeyError", "broken")
    ]


def test_one_object_may_be_open_several_times_at_once(tele_store):
    panel = tele.ensemble()
    barrier = threading.Barrier(4, timeout=10)
    outcomes = {}

    def work(n):
        with panel as ballot:
            barrier.wait()
            ballot.vote("m", n)
            barrier.wait()
        outcomes[n] = ballot.outcome.winner

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with panel as outer:
        with panel as inner:
            inner.vote("m", "in")
        outer.vote("m", "out")
    assert outcomes == {0: 0, 1: 1, 2: 2, 3: 3}
    assert (inner.outcome.winner, outer.outcome.winner) == ("in", "out")
    assert tele_store.rows("SELECT count(*), count(DISTINCT ensemble_id) FROM ensembles") == [(6, 6)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"strategy": "loudest"}, "strategy is a function or one of majority"),
        ({"ties": "coin"}, "ties is 'first' or 'none'"),
        ({"normalise": "x"}, "normalise is a function or one of"),
        ({"execution": "later"}, "execution is"),
        ({"weights": {"a": -1}}, "A weight is a number of 0 or more"),
        ({"members": {"a": print}, "weights": {"b": 1}}, "weights names 'b', which is no member: a"),
        ({"members": {"a": 3}}, "Member 'a' of the ensemble is not callable"),
        ({"min_agreement": 1.5}, "min_agreement is a share"),
        ({"timeout_ms": 0}, "timeout_ms is above 0"),
    ],
)
def test_rules_that_cannot_be_are_refused_in_a_sentence(options, complaint):
    with pytest.raises(BadInput, match=complaint):
        Ensemble(**options)


def test_an_ensemble_without_members_cannot_be_asked():
    with pytest.raises(BadInput, match="no members to ask"):
        tele.ensemble()("question")


def test_members_go_by_their_names_and_namesakes_by_numbers():
    def a():
        return 1

    first, second = a, lambda: 2
    second.__name__ = "a"
    assert list(tele.ensemble([first, second, a, print]).members) == ["a", "a-2", "a-3", "print"]
