"""What was declared before the first sample is marked, and judged without being asked."""

from __future__ import annotations

import pytest
from statsmodels.stats import weightstats

import tele
from tele.analysis import analyze
from tele.analysis.compare.declared import parse
from tele.testing import temporary_store


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("correct: few-shot > baseline", ("correct", ">", "few-shot", "baseline", None, None)),
        ("latency: few-shot = baseline within 50", ("latency", "=", "few-shot", "baseline", None, 50.0)),
        ("correct: few-shot >= baseline - 0.02", ("correct", ">=", "few-shot", "baseline", None, 0.02)),
        ("val_loss < 3.28", ("val_loss", "<", None, None, 3.28, None)),
        ("val_loss: muon <= 3.28", ("val_loss", "<=", "muon", None, 3.28, None)),
        (
            {"metric": "correct", "treatment": "b", "baseline": "a", "better": "higher", "margin": 0.02},
            ("correct", ">", "b", "a", None, 0.02),
        ),
        ("few-shot should simply be nicer", (None, ">", None, None, None, None)),
        ({"metric": "correct"}, (None, ">", None, None, None, None)),
    ],
)
def test_a_hypothesis_is_read(said, expected):
    found = parse(said, registered=True)
    assert (found.metric, found.relation, found.treatment, found.baseline, found.value, found.margin) == expected


@pytest.fixture
def store(tmp_path):
    with temporary_store(tmp_path / ".tele") as path:
        yield path


def record(condition, shift, **declares):
    with tele.experiment("prompts", condition=condition, better={"score": "higher"}, **declares):
        for number in range(20):
            with tele.span("work", item_id=f"i{number}"):
                tele.metric("score", number % 7 + shift * (1 + number % 3))


def test_what_is_declared_before_the_first_sample_is_registered(store):
    hypotheses = ["score: few-shot > baseline", "it feels better"]
    record("baseline", 0, hypotheses=hypotheses, guardrails=["success_rate >= 99 %", "score > 100", "nonsense"])
    record("few-shot", 1, hypotheses=[*hypotheses, "score: baseline < few-shot"])

    found = tele.analyze("prompts", store=store.path)

    early, never, late = found.significance.hypotheses
    assert (early["registered"], early["outcome"]) == (True, "supported")
    assert (never["registered"], never["outcome"]) == (True, "untested")
    assert (late["registered"], late["outcome"]) == (False, "supported")
    [comparison] = found.comparisons
    assert (comparison.metric, comparison.registered, comparison.correction) == ("score", True, "holm of 1")
    rails = {(check.said, check.group): (check.ok, check.registered) for check in found.checks}
    assert rails["success_rate >= 99 %", "baseline"] == (True, True)
    assert rails["score > 100", "few-shot"] == (False, True)
    assert rails["nonsense", "all"] == (False, True)


def test_what_is_judged_unasked_is_judged_against_the_side_that_the_hypothesis_names(store):
    record("zero-shot", 0, hypotheses=["score: few-shot > zero-shot"])
    record("few-shot", 1)

    found = tele.analyze("prompts", store=store.path).significance

    assert (found.baseline, found.treatments) == ("zero-shot", ("few-shot",))
    [comparison] = found.comparisons
    assert (comparison.verdict, comparison.difference) == ("better", pytest.approx(39 / 20))


def test_what_contradicts_a_hypothesis_says_so(store):
    record("baseline", 0, hypotheses=["score: few-shot < baseline", "score: few-shot >= baseline - 0.5"])
    record("few-shot", 1)
    worse, no_worse = tele.analyze("prompts", store=store.path).significance.hypotheses
    assert (worse["outcome"], no_worse["outcome"]) == ("contradicted", "supported")


def test_an_experiment_that_declares_nothing_compares_nothing_unasked(store):
    record("baseline", 0)
    record("few-shot", 1)
    assert tele.analyze("prompts", store=store.path).comparisons == ()
    assert "score" in {one.metric for one in tele.analyze("prompts", store=store.path, baseline="baseline").comparisons}
    assert tele.compare("baseline", "few-shot", metrics=["score"], store=store.path).comparisons[0].verdict == "better"


def test_declarations_are_events_and_bad_ones_never_raise(store):
    with tele.experiment("odd", hypotheses="one: b > a", guardrails=7):
        pass
    with tele.open(store.path) as reader:
        [(attributes,)] = reader.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.declared'")
    assert '"hypotheses":["one: b > a"]' in attributes
    assert '"guardrails":[7]' in attributes


def told(condition, values):
    facts = {"kind": "metric", "name": "score", "condition": condition, "success": None, "status": "unset"}
    return [facts | {"value": value, "item_id": f"i{n}", "start_ns": 1} for n, value in enumerate(values)]


def hypothesis(said):
    attributes = {"hypotheses": [said]}
    return {"kind": "event", "name": "tele.experiment.declared", "start_ns": 0, "attributes": attributes}


@pytest.mark.parametrize("baseline", [None, "a", "b"])
@pytest.mark.parametrize(("better", "outcome"), [("higher", "contradicted"), ("lower", "supported")])
def test_what_is_said_of_every_treatment_does_not_turn_with_the_baseline_of_the_call(log, baseline, better, outcome):
    said = {"metric": "score", "baseline": "b", "better": better}
    log.add([hypothesis(said), *told("a", [n % 3 for n in range(20)]), *told("b", [n % 4 + 9 for n in range(20)])])

    assert analyze(log, "trial", baseline=baseline).significance.hypotheses[0]["outcome"] == outcome


def test_where_ranks_are_tested_a_hypothesis_is_of_the_ranks(log):
    low, high = [1 + n % 7 / 50 for n in range(45)], [1.5 + n % 7 / 50 for n in range(49)]
    rows = told("a", [*low, 300, 500, 800, 900]) + told("b", high)
    log.add([hypothesis("score: b > a"), *(row | {"item_id": None} for row in rows)])

    found = analyze(log, "trial").significance
    assert found.comparisons[0].difference < 0 < found.comparisons[0].effect.value
    assert found.hypotheses[0]["outcome"] == "supported"


@pytest.mark.parametrize(("than", "margin", "outcome"), [(5, 0.5, "supported"), (5, 0.1, "open"), (2, 0.5, "open")])
def test_equal_to_a_value_within_a_margin_is_two_one_sided_tests(log, than, margin, outcome):
    values = [5 + (n % 5 - 2) / 4 for n in range(20)]
    log.add([hypothesis({"metric": "score", "than": than, "margin": margin}), *told("a", values)])

    found = analyze(log, "trial").significance
    t = weightstats.DescrStatsW(values).ttost_mean(than - margin, than + margin)
    assert found.hypotheses[0]["outcome"] == outcome
    assert found.comparisons[0].p_value == pytest.approx(t[0], rel=1e-9)
    assert found.comparisons[0].verdict == ("tied" if outcome == "supported" else "undecided")
