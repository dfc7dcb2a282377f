"""Sizes of a run, held against statsmodels and against the variance that the pilot was drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from tele.analysis.compare.planning import piloted, plan, spread
from tele.errors import BadInput


def pilot(log, items=400, replicates=4, *, interaction=1.0, noise=2.0):
    draw = np.random.default_rng(11)
    level = draw.normal(0, 3, items)
    rows = []
    for condition in ("a", "b"):
        own = level + draw.normal(0, interaction / np.sqrt(2), items)
        for replicate in range(replicates):
            values = own + draw.normal(0, noise / np.sqrt(2), items)
            rows += [
                {"kind": "metric", "name": "score", "condition": condition, "item_id": f"i{i}", "value": float(value)}
                | {"replicate": replicate, "run_id": f"{condition}{replicate}", "status": "unset", "success": None}
                for i, value in enumerate(values)
            ]
    return log.add(rows)


def test_the_variance_of_a_pilot_splits_into_items_and_replicates(log):
    found = plan(piloted(pilot(log), "trial", "score", None, None, None), effect=0.5)
    assert found.paired
    assert found.between == pytest.approx(1.0, rel=0.15)
    assert found.within == pytest.approx(2.0, rel=0.1)
    assert [step.replicates for step in found.steps] == [1, 2, 3, 5, 10]
    assert [step.items for step in found.steps] == sorted((step.items for step in found.steps), reverse=True)


def test_sizes_are_those_of_statsmodels():
    power = pytest.importorskip("statsmodels.stats.power")
    design = spread("score", sd=2.0, within_sd=None, rate=None, paired=True)
    [step] = plan(design, effect=0.5).steps
    assert step.items == int(np.ceil(power.TTestPower().solve_power(0.25, alpha=0.05, power=0.8)))
    apart = spread("score", sd=2.0, within_sd=None, rate=None, paired=False)
    [step] = plan(apart, effect=0.5, power=0.9, comparisons=2).steps
    assert step.items == int(np.ceil(power.TTestIndPower().solve_power(0.25, alpha=0.025, power=0.9)))
    assert step.mde <= 0.5
    assert plan(apart, items=100).steps[0].mde == pytest.approx(
        2.0 * power.TTestIndPower().solve_power(nobs1=100, alpha=0.05, power=0.8), rel=1e-5
    )


def test_a_finished_run_says_what_it_could_find(log):
    found = plan(piloted(pilot(log, items=50), "trial", "score", "a", "b", None))
    spread_of_means = np.sqrt(found.between**2 + found.within**2 / 4)
    assert found.pilot_items == 50
    assert found.pilot_mde == pytest.approx(2.803 * spread_of_means / np.sqrt(50), rel=0.03)


@pytest.mark.parametrize(
    "asked", [{}, {"sd": 1.0, "rate": 0.5}, {"rate": 1.5}, {"sd": -1.0}, {"sd": float("nan")}], ids=str
)
def test_what_is_no_plan_is_refused(asked):
    with pytest.raises(BadInput):
        spread("score", **({"sd": None, "within_sd": None, "rate": None, "paired": True} | asked))


def outcomes(log, items):
    rows = []
    for condition, ones in (("a", items - 1), ("b", 1)):
        rows += [
            {"kind": "metric", "name": "right", "condition": condition, "item_id": f"i{i}", "value": float(i < ones)}
            | {"run_id": condition, "status": "unset", "success": None}
            for i in range(items)
        ]
    return log.add(rows)


def test_of_a_share_no_difference_of_one_is_promised(log):
    small = plan(piloted(outcomes(log, 4), "trial", "right"))
    assert small.largest == 1.0
    assert small.blind(small.pilot_mde)
    assert [small.blind(step.mde) for step in small.steps] == [step.mde >= 1 for step in small.steps]
    assert {small.blind(step.mde) for step in small.steps} == {True, False}
    with pytest.raises(BadInput, match=r"two differ by less than 1, not by 1\.5"):
        plan(piloted(log, "trial", "right"), effect=1.5)


def test_other_metrics_have_no_such_bound(log):
    found = plan(piloted(pilot(log, items=3, replicates=1), "trial", "score"))
    assert (found.largest, found.blind(50.0)) == (None, False)
