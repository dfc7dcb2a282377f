"""What a careful reader asks of a comparison: what was left out, what another test says, how far an interval goes."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from tele.analysis import analyze
from tele.analysis.compare import Options, compare
from tele.analysis.compare.table import render_comparisons, sentences

DECLARED = "tele.experiment.declared"


def values(condition, numbers, *, apart=False, **fields):
    """One value of `score` for each item."""
    rows = []
    for at, value in enumerate(numbers):
        item = f"{condition}{at}" if apart else f"i{at}"
        row = {"kind": "metric", "name": "score", "condition": condition, "item_id": item, "value": value}
        rows.append(row | {"status": "unset", "success": None, "run_id": f"r{condition}"} | fields)
    return rows


def compared(log, **options):
    options.setdefault("better", {"score": "higher"})
    return compare(log, "a", "b", options=Options(**options))


def test_values_that_are_no_number_are_counted(log):
    log.add(values("a", [1.0, None, 3.0, None, 5.0]) + values("b", [2.0, None, 3.5, 4.0, 5.5]))

    found = compared(log)

    assert found.comparisons[0].n == 3
    assert "score: values that are NaN, infinite or missing are left out: a 2, b 1" in found.notes


def test_failures_are_no_values_of_what_nobody_measures(log):
    calls = [
        {"name": "chat", "operation": "chat", "condition": name, "item_id": f"i{n}", "duration_ms": 1.0 + n}
        | {"success": n % 3 > 0, "run_id": f"r{name}"}
        for name in "ab"
        for n in range(9)
    ]
    log.add(calls + values("a", range(9)) + values("b", range(9)))

    found = compared(log, failures="as-worst")

    assert {one.metric for one in found.comparisons} == {"latency", "success", "score"}
    assert not any("NaN" in line for line in sentences(found))


def test_the_interval_of_sign_flips_ends_at_the_outermost_difference(log):
    log.add(values("a", [1.0] * 4 + [0.5] * 46) + values("b", [0.0] * 4 + [0.5] * 46))

    found = compared(log)
    one = found.comparisons[0]

    assert (one.test, one.p_value) == ("sign-flip permutation", 0.125)  # 2 of the 16 patterns of four signs
    assert one.difference_interval[1] == 0.0  # beyond it every difference has one sign, which 50 items do not show
    assert -1 <= one.difference_interval[0] < one.difference


def test_more_items_in_as_many_more_clusters_are_counted_with_their_degrees_of_freedom(log):
    draw = np.random.default_rng(3)
    shared = np.repeat(draw.normal(0, 0.3, 4), 10)
    noise = draw.normal(0, 0.5, 40)
    rows = values("a", np.zeros(40)) + values("b", shared + noise)
    for at, row in enumerate(rows):
        row["cluster"] = f"c{at % 40 // 10}"
    log.add(rows)

    one = compared(log, margins={"score": 0.1}).comparisons[0]

    error = (one.difference_interval[1] - one.difference) / stats.t.ppf(0.975, one.df)

    def finds(n):
        df = one.df * n / 40
        return (stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)) * error * np.sqrt(40 / n)

    assert finds(one.needed_n) <= 0.1 < finds(one.needed_n - 1)
    assert "in as many more clusters" in one.words


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_permutation_of_welchs_t_stands_beside_it_and_is_printed(log, scale):
    draw = np.random.default_rng(8)
    a, b = draw.normal(size=7), 0.8 + scale * draw.normal(size=6)
    log.add(values("a", a, apart=True) + values("b", b, apart=True))

    found = compared(log)
    console = Console(width=200)
    with console.capture() as printed:
        render_comparisons(found, console)

    def students(x, y, axis):
        return stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic

    [beside] = found.comparisons[0].also
    told = stats.permutation_test((b, a), students, permutation_type="independent", vectorized=True).pvalue
    assert (beside.test, beside.p_value) == ("permutation of Welch's t", pytest.approx(told))
    assert f"by permutation of Welch's t p {told:.2g}" in printed.get()


def test_a_difference_that_is_not_0_does_not_contradict_a_tie(log):
    draw = np.random.default_rng(2)
    gap = draw.normal(0.05, 0.1, 60)
    declares = {"kind": "event", "name": DECLARED, "run_id": "ra", "status": "unset", "success": None}
    for margin, outcome in (("0.06", "open"), ("0.01", "contradicted"), ("0.2", "supported")):
        fresh = type(log)()

        fresh.add(
            [
                declares | {"attributes": {"hypotheses": [f"score: a = b within {margin}"]}},
                *values("a", np.zeros(60)),
                *values("b", gap),
            ]
        )

        found = compared(fresh)

        assert found.comparisons[0].p_value < 0.05
        assert found.hypotheses[0]["outcome"] == outcome


def test_each_hypothesis_is_held_against_its_own_margin(log):
    gap = np.random.default_rng(2).normal(0.05, 0.1, 60)
    said = ["score: b > a", "score: a = b within 0.2", "score: a = b within 0.01"]
    declares = {"kind": "event", "name": DECLARED, "run_id": "ra", "status": "unset", "success": None}
    log.add([declares | {"attributes": {"hypotheses": said}}, *values("a", np.zeros(60)), *values("b", gap)])

    found = compared(log)

    assert [one["outcome"] for one in found.hypotheses] == ["supported", "supported", "contradicted"]


def test_values_that_do_not_bear_what_tells_the_sides_apart_are_counted(log):
    calls = [
        {"name": "chat", "operation": "chat", "model": name, "item_id": f"i{n}", "duration_ms": 1.0 + n, "run_id": "r"}
        for name in ("m1", "m2")
        for n in range(4)
    ]
    log.add(calls + values("a", [1.0, 2.0], run_id="r") + values("b", [3.0], run_id="r", model="m1"))

    found = analyze(log, "trial", by=["model"], baseline="m1", options=Options(metrics=["score", "latency"]))

    assert "score: 2 values bear no model of their own and are left out" in found.significance.notes
    assert {one.metric: one.paired for one in found.comparisons}["latency"]
