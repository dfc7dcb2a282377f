"""`tele compare`, `tele plan` and the gates of `tele analyze`, as a shell sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

import tele
from tele.testing import temporary_store


def run(*arguments, rc=0):
    done = subprocess.run(
        [sys.executable, "-m", "tele", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "140"},
    )
    assert done.returncode == rc, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("comparing") / ".tele"
    with temporary_store(path):
        for condition, shift in (("baseline", 0.0), ("few-shot", 1.0)):
            with tele.experiment("prompts", condition=condition, guardrails=["failure_rate < 0.5"]):
                for number in range(12):
                    with tele.span("work", item_id=f"i{number}"):
                        tele.metric("score", number % 5 + shift + number % 3 * shift, better="higher")
    return path


def test_compare_says_a_verdict_in_words_and_as_json(store):
    said = run("compare", "baseline", "few-shot", "--metric", "score", "--store", store).stdout
    assert "few-shot is better than baseline" in said
    assert "paired t for score" in said
    plain = json.loads(run("compare", "baseline", "few-shot", "--format", "json", "--store", store).stdout)
    assert "better" in {one["verdict"] for one in plain["comparisons"] if one["metric"] == "score"}


def test_a_gate_on_a_metric_ends_with_1_and_junit_says_why(store, tmp_path):
    report = tmp_path / "gates.xml"
    asked = ("analyze", "prompts", "--baseline", "few-shot", "--fail-if-worse", "score", "--fail-if", "requests < 1")
    done = run(*asked, "--junit", report, "--store", store, rc=1)
    assert "baseline is worse than few-shot" in done.stderr
    cases = {case.get("name"): case for case in ET.parse(report).iter("testcase")}
    assert cases["score [baseline]"].find("failure") is not None
    assert cases["requests < 1 [few-shot]"].find("failure") is None
    assert cases["failure_rate < 0.5 [baseline]"].get("classname") == "prompts.guardrail"
    run("analyze", "prompts", "--baseline", "baseline", "--fail-if-worse", "score", "--store", store)


def test_an_option_of_a_comparison_asks_for_one(store):
    for said in (("--margin", "score=9"), ("--alpha", "0.01"), ("--metric", "score", "--sequential")):
        shown = run("analyze", "prompts", *said, "--store", store).stdout
        assert "few-shot against baseline" in shown
    assert "valid at every look" in shown


def test_a_figure_that_is_not_known_does_not_pass_a_gate(store):
    assert "not known" in run("analyze", "prompts", "--fail-if", "cost_usd > 1", "--store", store, rc=1).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare", "baseline", "baseline"), "two different ones"),
        (("compare", "baseline", "nobody"), "Nothing in this store"),
        (("analyze", "prompts", "--fail-if", "p99 slow"), "p99_ms > 2000"),
        (("analyze", "prompts", "--fail-if", "p98_ms > 1"), "Nearest: p9"),
        (("analyze", "prompts", "--baseline", "basline"), "There is: baseline"),
        (("analyze", "prompts", "--baseline", "baseline", "--metric", "skore"), "Nearest: score"),
        (("analyze", "prompts", "--baseline", "baseline", "--better", "score=more"), "higher or lower"),
        (("analyze", "prompts", "--baseline", "baseline", "--margin", "score=few"), "NAME=NUMBER"),
        (("analyze", "prompts", "--baseline", "baseline", "--failures", "drop"), "exclude or as-worst"),
        (("analyze", "prompts", "--alpha", "7"), "between 0 and 1"),
        (("plan", "prompts", "--metric", "skore"), "Nearest: score"),
        (("plan",), "--sd"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(store, arguments, said):
    found = run(*arguments, *(() if arguments == ("plan",) else ("--store", store)), rc=2).stderr
    assert said in found
    assert found.count("\n") == 1


def test_plan_says_how_many_items_and_what_the_run_could_find(store):
    said = run("plan", "prompts", "--metric", "score", "--effect", "0.5", "--store", store).stdout
    assert "The run of 12 items can find" in said
    plain = json.loads(run("plan", "--sd", "1", "--effect", "0.5", "--format", "json").stdout)
    assert plain["steps"][0]["items"] == 34  # G*Power: paired t, dz 0.5, power .8


def test_a_size_that_finds_no_difference_of_shares_says_so():
    assert "nothing" in run("plan", "--rate", "0.7", "--items", "3").stdout
    assert "nothing" not in run("plan", "--rate", "0.7", "--items", "300").stdout
    assert "differ by less than 1" in run("plan", "--rate", "0.7", "--effect", "1.2", rc=2).stderr


def test_a_plan_names_the_unit_of_its_metric(store):
    said = run("plan", "prompts", "--metric", "latency", "--store", store).stdout
    assert " ms between items" in said
    plain = json.loads(run("plan", "prompts", "--metric", "score", "--format", "json", "--store", store).stdout)
    assert plain["measured_in"] is None


def test_looking_early_says_from_when_on_it_can_say_something(store):
    said = run("compare", "baseline", "few-shot", "--metric", "score", "--sequential", "--store", store).stdout
    assert "12 items so far, which says nothing before 50" in said
