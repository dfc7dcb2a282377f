"""A gate looks at every value that was recorded, and passes nothing that could not be judged."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tele.analysis import analyze
from tele.analysis.compare import Options, compare
from tele.analysis.compare.guards import worse
from tele.analysis.compare.table import render_checks
from tele.analysis.comparisons import Check
from tele.errors import BadInput


def scores(condition, values):
    facts = {"kind": "metric", "name": "score", "condition": condition, "success": None, "status": "unset"}
    return [facts | {"value": float(value), "run_id": f"run of {condition}"} for value in values]


def calls(condition, durations, **fields):
    facts = {"condition": condition, "run_id": f"run of {condition}"} | fields
    return [facts | {"item_id": f"i{n}", "duration_ms": float(ms)} for n, ms in enumerate(durations)]


def checked(log, said):
    return {one.group: (one.value, one.ok) for one in analyze(log, "trial", fail_if=[said]).checks}


def test_a_metric_of_an_experiment_without_requests_is_held_against_its_condition(log):
    log.add(scores("a", [4, 6]) + scores("b", [8, 10]))

    assert checked(log, "score > 7") == {"a": (5.0, True), "b": (9.0, False)}


def test_conditions_that_only_metrics_name_are_each_looked_at(log):
    log.add([{"run_id": "r", "duration_ms": 5.0}, *scores("a", [9]), *scores("b", [1])])

    assert checked(log, "score > 7") == {"a": (9.0, False), "b": (1.0, True)}


def test_a_condition_without_the_metric_is_not_well(log):
    log.add(calls("a", [1.0]) + calls("b", [1.0]) + scores("b", [1]))

    assert checked(log, "score > 7") == {"a": (None, False), "b": (1.0, True)}


def test_a_figure_of_requests_that_are_not_there_is_not_known(log):
    log.add(scores("a", [1]))

    assert checked(log, "p99_ms > 2000") == {"all": (None, False)}
    with pytest.raises(BadInput, match="p99"):
        analyze(log, "trial", fail_if=["p9_ms > 2000"])


def test_a_metric_named_as_a_section_is_the_metric(log):
    log.add(calls("a", [1.0]) + [row | {"name": "latency"} for row in scores("a", [3])])

    assert checked(log, "latency > 2") == {"a": (3.0, False)}


@pytest.mark.parametrize("item", [True, False])
def test_a_side_on_which_everything_failed_passes_no_gate(log, item):
    rows = calls("a", range(50, 80)) + calls("b", [5.0] * 30, success=False, status="error")
    log.add(rows if item else [row | {"item_id": None} for row in rows])

    [one] = compare(log, "a", "b", options=Options(metrics=["latency"])).comparisons
    assert one.missing.treatment.failed == 30
    assert [check.ok for check in worse([one], ["latency"])] == [False]

    [one] = compare(log, "a", "b", options=Options(metrics=["latency"], failures="as-worst")).comparisons
    assert (one.verdict, one.treatment_mean) == ("worse", 79.0)


def test_requests_without_a_condition_are_not_called_all_beside_those_that_have_one(log):
    log.add(calls("a", [1.0]) + calls(None, [9.0]))

    assert checked(log, "p50_ms > 5") == {"a": (1.0, True), "-": (9.0, False)}


def test_a_metric_without_conditions_is_of_all(log):
    log.add(scores(None, [9]))

    assert checked(log, "score > 5") == {"all": (9.0, False)}


def test_guardrails_are_rows_of_a_table_and_what_is_not_known_says_why():
    rails = [
        Check("guardrail", "p99_ms < 2000", "few-shot", 64.81, (55.09, None), True, "few-shot: it holds", True),
        Check("guardrail", "cost_usd < 1", "few-shot", None, None, False, "few-shot: nobody knows", False),
    ]
    console = Console(file=io.StringIO(), width=80)

    render_checks(rails, console)

    head, *rows, why = [re.split(r"\s{2,}", line.strip()) for line in console.file.getvalue().splitlines() if line]
    assert head == ["state", "group", "guardrail", "figure", "95 % interval", "declared"]
    assert rows == [
        ["ok", "few-shot", "p99_ms < 2000", "64.81", "55.09 to open", "beforehand"],
        ["FAILED", "few-shot", "cost_usd < 1", "-", "after the first sample"],
    ]
    assert why == ["few-shot: nobody knows"]


def test_where_nothing_was_asked_nothing_is_printed():
    console = Console(file=io.StringIO(), width=80)
    render_checks([], console)
    assert console.file.getvalue() == ""
