"""Verdicts keep their error rates: simulations with a fixed seed, each rate within its binomial interval."""

from __future__ import annotations

import numpy as np
import pytest

from tele.analysis.compare.choose import choose
from tele.analysis.compare.judge import Rule, judge
from tele.analysis.compare.metrics import Metric
from tele.analysis.compare.monitor import monitored
from tele.analysis.compare.pairing import Sides
from tele.analysis.comparisons import Absent, Missing

MISSING = Missing(Absent(0, 0, 0), Absent(0, 0, 0), "exclude")
SCORE = Metric("score", "higher", None)
RUNS = 400


def sides(baseline, treatment, *, paired=True, clusters=None, single=False):
    items = tuple(map(str, range(len(baseline))))
    return Sides(
        np.asarray(baseline, float),
        np.asarray(treatment, float),
        paired,
        "item",
        MISSING,
        items,
        (tuple(clusters), tuple(clusters)) if clusters is not None else None,
        single,
        np.arange(len(baseline)),
    )


def claims(two, margin=None, **rule):
    found = choose(two, draws=999)
    p = None if found.test is None else found.test.p_value
    return judge(found, two, SCORE, p, margin, Rule(**rule)).verdict


def within(hits, rate, *, runs=RUNS):
    """At most what 1 of 1,000 such simulations exceeds."""
    from scipy.stats import binom

    return hits <= binom.ppf(0.999, runs, rate)


def replicated(draw, n=60, replicates=5):
    """Item means of two conditions that suit items differently and are alike on average."""
    level = draw.normal(0, 1, n)
    noise = draw.normal(0, 1, (2, n, replicates)).mean(axis=2)
    return level + draw.normal(0, 1, (2, n)) / np.sqrt(2) + noise


def test_replicates_averaged_first_give_no_more_false_verdicts_than_alpha():
    draw = np.random.default_rng(1)
    hits = sum(claims(sides(*replicated(draw))) in {"better", "worse"} for _ in range(RUNS))
    assert within(hits, 0.05)
    assert hits > 0


def test_binary_items_skewed_values_and_clusters_keep_alpha_too():
    draw = np.random.default_rng(2)
    binary = sum(claims(sides(*(draw.random((2, 80)) < 0.7), single=True)) in {"better", "worse"} for _ in range(RUNS))
    skewed = sum(
        claims(sides(*draw.lognormal(0, 1.5, (2, 40)), paired=False)) in {"better", "worse"} for _ in range(RUNS)
    )
    clusters = [f"c{n // 6}" for n in range(90)]
    clustered = sum(
        claims(sides(np.zeros(90), np.repeat(draw.normal(0, 1, 15), 6) + draw.normal(0, 1, 90), clusters=clusters))
        in {"better", "worse"}
        for _ in range(RUNS)
    )
    assert within(binary, 0.05)
    assert within(skewed, 0.06)  # Brunner-Munzel at 40 a side
    assert within(clustered, 0.05)


@pytest.mark.parametrize("true", [0.5, -0.5], ids=["too high", "too low"])
def test_a_difference_at_the_margin_is_seldom_called_tied(true):
    draw = np.random.default_rng(3)
    base = draw.normal(0, 1, (RUNS, 50))
    hits = sum(claims(sides(b, b + draw.normal(true, 0.7, 50)), margin=0.5) == "tied" for b in base)
    assert within(hits, 0.05)


def test_what_is_found_with_the_named_number_of_items_is_found_that_often():
    draw = np.random.default_rng(4)
    needed = 34  # G*Power: dz 0.5, power 0.8
    hits = sum(claims(sides(np.zeros(needed), draw.normal(0.5, 1, needed))) == "better" for _ in range(RUNS))
    assert 0.73 < hits / RUNS < 0.87


def test_looking_after_every_tenth_item_gives_no_more_false_verdicts_than_alpha():
    draw = np.random.default_rng(5)
    runs, hits, naive = 150, 0, 0
    for _ in range(runs):
        gap = draw.normal(0, 1, 200)
        looks = [sides(np.zeros(n), gap[:n]) for n in range(20, 201, 20)]
        hits += any(monitored(two, 0.05).test.p_value <= 0.05 for two in looks)
        naive += any(abs(gap[:n].mean()) > 1.96 * gap[:n].std(ddof=1) / np.sqrt(n) for n in range(20, 201, 20))
    assert within(hits, 0.05, runs=runs)
    assert not within(naive, 0.05, runs=runs)
