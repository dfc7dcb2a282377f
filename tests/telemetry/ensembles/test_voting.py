"""What votes come to, against hand computation."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.telemetry.ensembles.voting import Vote, agreement, decide, entropy, finite

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", 1, None, [1, 2], {"k": 1}]), min_size=1, max_size=12)


def votes(*pairs):
    return [Vote(f"m{n}", *pair) if isinstance(pair, tuple) else Vote(f"m{n}", pair) for n, pair in enumerate(pairs)]


class TestStrategies:
    @pytest.mark.parametrize(
        ("strategy", "ballot", "winner"),
        [
            ("majority", votes("a", "b", "b"), "b"),
            ("majority", votes("a", "b", "c", "b", "a", "b"), "b"),
            ("majority", votes([1], [2], [2]), [2]),
            # 0.9 against 0.4 + 0.4
            ("weighted", votes(("a", 0.9), ("b", 0.4), ("b", 0.4)), "a"),
            ("weighted", votes(("a", 0.7), ("b", 0.4), ("b", 0.4)), "b"),
            # weight x confidence: 3 x 0.5 against 1 x 0.8 + 1 x 0.6
            ("weighted", votes(("a", 0.5, 3.0), ("b", 0.8), ("b", 0.6)), "a"),
            # without a confidence the weight alone counts
            ("weighted", votes(("a", None, 0.5), ("b", None, 0.2), ("b", None, 0.2)), "a"),
            ("best_confidence", votes(("a", 0.5), ("b", 0.9), ("a", 0.8)), "b"),
            ("best_confidence", votes("a", ("b", 0.0)), "b"),
            ("unanimous", votes("a", "a"), "a"),
        ],
    )
    def test_the_winner_is_the_one_of_the_rule(self, strategy, ballot, winner):
        verdict = decide(ballot, strategy)
        assert (verdict.winner, verdict.tied, verdict.reason) == (winner, False, None)

    @pytest.mark.parametrize("strategy", ["majority", "weighted", "best_confidence"])
    def test_of_tied_answers_the_one_that_was_given_first_wins_or_none(self, strategy):
        ballot = votes("c", "b", "a")
        assert decide(ballot, strategy).winner == "c"
        assert decide(ballot, strategy).tied
        none = decide(ballot, strategy, "none")
        assert (none.winner, none.tied, none.reason) == (None, True, "3 answers are tied")

    def test_sums_that_differ_by_rounding_alone_are_a_tie(self):
        ballot = votes(("a", 0.3), ("b", 0.1), ("b", 0.2))  # 0.1 + 0.2 is 0.30000000000000004
        assert decide(ballot, "weighted", "none").tied

    def test_members_that_are_not_all_of_one_mind_have_no_unanimous_answer(self):
        verdict = decide(votes("a", "a", "b"), "unanimous")
        assert (verdict.winner, verdict.reason) == (None, "the members gave 2 different answers")

    def test_a_function_sees_the_votes_and_chooses(self):
        median = decide(votes(1, 9, 4), lambda ballot: sorted(vote.answer for vote in ballot)[len(ballot) // 2])
        assert median.winner == 4
        assert decide(votes(1), lambda _: None).reason == "the strategy chose no answer"

    def test_a_number_and_its_text_are_two_answers(self):
        assert decide(votes(1, "1", "1"), "majority").winner == "1"

    def test_without_votes_nobody_wins(self):
        assert decide([], "majority").winner is None

    def test_an_unknown_strategy_is_refused(self):
        with pytest.raises(BadInput, match="plurality"):
            decide(votes("a"), "plurality")

    @given(ANSWERS)
    def test_the_majority_has_as_many_votes_as_any_other(self, answers):
        winner = decide(votes(*[(answer,) for answer in answers]), "majority").winner
        most = max(sum(other == answer and type(other) is type(answer) for other in answers) for answer in answers)
        assert sum(other == winner and type(other) is type(winner) for other in answers) == most


class TestMeasures:
    @given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20))
    def test_entropy_is_the_mean_surprise_of_an_answer_in_bits(self, answers):
        surprises = [math.log2(len(answers) / answers.count(answer)) for answer in answers]
        assert entropy(answers) == pytest.approx(statistics.fmean(surprises), abs=1e-12)

    def test_entropy_is_zero_of_one_answer_and_log2_of_k_equal_ones(self):
        assert math.copysign(1, entropy(["a", "a"])) == 1.0
        assert entropy(["a", "a"]) == 0
        assert entropy(["a", "b", "c", "d"]) == 2
        assert entropy([]) is None

    def test_agreement_is_the_winners_share_or_else_the_largest(self):
        assert agreement(["a", "b", "b"], "a") == pytest.approx(1 / 3)
        assert agreement(["a", "b", "b"]) == pytest.approx(2 / 3)
        assert agreement(["a"], "of nobody") == 0
        assert agreement([]) is None

    @pytest.mark.parametrize("odd", [float("nan"), float("inf"), -0.1, "much", None, [], object()])
    def test_a_confidence_that_is_none_counts_as_not_stated(self, odd):
        assert finite(odd) is None
        assert finite("0.5") == finite(0.5) == 0.5
