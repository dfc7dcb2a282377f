from __future__ import annotations

import pytest

from tele.analysis import analyze

EVENT = {"kind": "event", "status": "unset", "success": None, "run_id": "r"}


def panel(number, answers, winner, *, agreement=None, **more):
    facts = {"ensemble_id": str(number), "winner": winner, "strategy": "majority", "agreement": agreement}
    yield EVENT | {"name": "ensemble.result", "trace_id": f"t{number}", "attributes": facts | more}
    for member, answer in answers.items():
        said = {"ensemble_id": str(number), "member": member, "answer": answer}
        yield EVENT | {"name": "ensemble.vote", "trace_id": f"t{number}", "attributes": said}


def section(log):
    [found] = analyze(log, "trial", detail=["ensembles"]).detail["ensembles"]
    return found


def test_agreement_beyond_chance_is_that_of_the_published_example(log):
    # K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011): nominal data, two observers, alpha 0.692
    a = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
    b = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
    log.add(row for n, (x, y) in enumerate(zip(a, b, strict=True)) for row in panel(n, {"p": x, "q": y}, x))

    found = section(log)

    assert found.krippendorff_alpha.value == pytest.approx(0.692, abs=5e-4)
    assert found.agreement == pytest.approx(9 / 12)
    assert found.pairs[0].agreement == pytest.approx(9 / 12)


def test_a_member_is_worth_what_the_majority_loses_without_it(log):
    # two against one: without the good member the majority of the other two is the first one's answer
    answers = {"bad": "n", "good": "y", "good too": "y"}
    log.add(row for n in range(10) for row in panel(n, answers, "y", expected="y"))

    found = {one.member: one for one in section(log).members}

    assert found["good"].marginal_value.value == 1.0
    assert found["bad"].marginal_value.value == 0.0
    assert (found["bad"].accuracy.value, found["good"].accuracy.value) == (0.0, 1.0)
    assert (found["good"].decisive, found["bad"].decisive) == (10, 0)


def test_where_the_right_answer_is_not_known_no_member_is_judged(log):
    log.add(
        [*panel(1, {"a": "x", "b": "x"}, "x"), {"kind": "metric", "name": "correct", "value": 1.0, "trace_id": "t1"}]
    )

    found = section(log)

    assert found.accuracy.value == 1.0
    assert [one.marginal_value.value for one in found.members] == [None, None]


def test_disagreement_is_a_sign_of_error_where_right_ones_agree_more(log):
    right = [row for n in range(8) for row in panel(n, {}, "y", agreement=0.9, expected="y")]
    wrong = [row for n in range(8, 12) for row in panel(n, {}, "y", agreement=0.5, expected="n")]
    log.add([*right, *wrong])

    found = section(log)

    assert (found.disagreement_signal.value, found.accuracy.value) == (1.0, 8 / 12)


def test_an_experiment_without_ensembles_has_no_entry(log):
    log.add([{"name": "work"}])

    assert analyze(log, "trial", detail=["all"]).detail["ensembles"] == ()
