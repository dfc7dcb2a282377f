"""The same answers as scipy, statsmodels or plain linear algebra, on data that has ties, gaps and skew."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import stats

from tele.analysis.stats.binary import cochran_q, mcnemar, paired_newcombe
from tele.analysis.stats.bootstrap import bootstrap, bootstrap_mean
from tele.analysis.stats.clustered import clustered_difference, clustered_mean, clustered_paired
from tele.analysis.stats.corrections import adjust
from tele.analysis.stats.effects import a12, hedges_g, hedges_g_paired
from tele.analysis.stats.equivalence import equivalence, non_inferiority
from tele.analysis.stats.paired import paired_t
from tele.analysis.stats.permutation import max_t, sign_flip
from tele.analysis.stats.power import mde, paired_components, power, required_n, variance_components
from tele.analysis.stats.proportions import clopper_pearson, one_proportion, two_proportions
from tele.analysis.stats.sequential import bounded_sequence, paired_evidence
from tele.analysis.stats.several import dunnett, kruskal
from tele.analysis.stats.summary import mean_interval
from tele.analysis.stats.survival import log_rank, survival_quantile
from tele.analysis.stats.unpaired import brunner_munzel, mann_whitney, welch


@pytest.fixture
def draw():
    return np.random.default_rng(20)


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


SIDES = ("two-sided", "less", "greater")


@pytest.mark.parametrize("side", SIDES)
def test_t_tests_agree_with_scipy_on_every_side(draw, side):
    a, b = draw.gamma(2, size=31), draw.gamma(3, size=31)
    for ours, theirs in (
        (welch(a, b[:20], alternative=side), stats.ttest_ind(a, b[:20], equal_var=False, alternative=side)),
        (paired_t(a, b, alternative=side), stats.ttest_rel(a, b, alternative=side)),
    ):
        bounds = theirs.confidence_interval()
        assert (ours.statistic, ours.p_value, ours.df) == (
            close(theirs.statistic),
            close(theirs.pvalue),
            close(theirs.df),
        )
        assert ours.interval == (close(bounds.low), close(bounds.high))


@pytest.mark.parametrize("side", SIDES)
def test_rank_tests_agree_with_scipy_with_and_without_ties(draw, side):
    for a, b in (
        (draw.normal(size=9), draw.normal(1, size=12)),
        (draw.poisson(3, 40), draw.poisson(4, 55)),
        (draw.lognormal(size=300), draw.lognormal(0.2, size=200)),
    ):
        ours = mann_whitney(a, b, alternative=side)
        theirs = stats.mannwhitneyu(a, b, alternative=side, method="exact" if ours.note == "exact" else "asymptotic")
        assert (ours.statistic, ours.p_value) == (close(theirs.statistic), close(theirs.pvalue))
        theirs = stats.brunnermunzel(a, b, alternative=side)
        assert brunner_munzel(a, b, alternative=side).p_value == close(theirs.pvalue)


def test_several_systems_agree_with_scipy(draw):
    groups = [draw.poisson(level, 25) for level in (3, 3.5, 5)]

    assert kruskal(*groups).p_value == close(stats.kruskal(*groups).pvalue)
    found = dunnett(groups[0], groups[1], groups[2])
    theirs = stats.dunnett(groups[1], groups[2], control=groups[0], rng=1)
    assert [test.p_value for test in found] == pytest.approx(theirs.pvalue, abs=2e-4)
    assert found[0].interval[0] < found[0].estimate < found[0].interval[1]


def test_an_exact_sign_flip_counts_what_scipy_counts(draw):
    a, b = draw.integers(0, 5, 11) / 4, draw.integers(0, 5, 11) / 4
    for side in SIDES:
        theirs = stats.permutation_test(
            (a, b), lambda x, y, axis: (x - y).sum(axis=axis), permutation_type="samples", alternative=side
        )
        ours = sign_flip(a, b, alternative=side)
        assert "exact" in ours.note
        assert ours.p_value == close(min(1.0, theirs.pvalue))


def test_drawn_sign_flips_agree_with_the_exact_binomial_within_their_error(draw):
    a = np.concatenate((np.ones(60), np.zeros(40), np.ones(30)))
    b = np.concatenate((np.zeros(60), np.ones(40), np.ones(30)))

    exact, drawn = mcnemar(a, b).p_value, sign_flip(a, b)

    assert drawn.note == "10000 random patterns"
    assert abs(drawn.p_value - exact) < 4 * np.sqrt(exact * (1 - exact) / 10_000)
    assert drawn == sign_flip(a, b)
    assert drawn.p_value != sign_flip(a, b, seed=1).p_value


def test_max_t_is_the_plain_test_for_one_metric_and_sharper_than_holm_for_correlated_ones(draw):
    shared = draw.normal(0.18, 1, size=(150, 1))
    correlated = shared + draw.normal(0, 0.3, size=(150, 6))

    alone = max_t(correlated[:, :1])[0]
    assert alone == pytest.approx(sign_flip(correlated[:, 0], np.zeros(150)).p_value, abs=0.02)
    together = max_t(correlated)
    raw = [paired_t(column, np.zeros(150)).p_value for column in correlated.T]
    assert max(together) < max(adjust(raw))
    assert all(ours >= plain - 0.01 for ours, plain in zip(together, raw, strict=True))


# ── real predictions, against statsmodels ────────────────────────────────────────────────────────────────────────────


def mmlu(fixtures, subject):
    sides = []
    for checkpoint in (0, 200):
        path = fixtures / "mmlu_fedllm" / f"ckpt{checkpoint}__{subject}.csv"
        rows = list(csv.DictReader(path.read_text().splitlines(keepends=True)))
        sides.append([int("ABCD"[int(row["answer"])] == row["prediction"]) for row in rows])
    return sides


@pytest.mark.parametrize(("subject", "only"), [("abstract_algebra", (1, 4)), ("global_facts", (3, 1))])
def test_two_checkpoints_on_mmlu(fixtures, subject, only):
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    a, b = (np.array(side) for side in mmlu(fixtures, subject))
    counts = [[int((a & b).sum()), int((a & ~b & 1).sum())], [int((~a & b & 1).sum()), int((~a & ~b & 1).sum())]]

    found = mcnemar(a, b)

    assert (counts[0][1], counts[1][0]) == only
    assert found.n == 100
    assert found.p_value == close(contingency.mcnemar(counts, exact=True).pvalue)
    assert found.estimate == close(a.mean() - b.mean())
    assert found.interval[0] < found.estimate < found.interval[1]


def test_three_models_on_countdown(fixtures):
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    solved = {}
    for path in sorted((fixtures / "reasoning_gym").glob("*countdown.json")):
        for item in json.loads(path.read_text())["results"]:
            solved.setdefault(item["question"], []).append(int(item["best_score"] == 1))
    rows = np.array([row for row in solved.values() if len(row) == 3])

    found, theirs = cochran_q(rows), contingency.cochrans_q(rows)

    assert rows.shape[0] == 50
    assert (found.statistic, found.p_value) == (close(theirs.statistic), close(theirs.pvalue))
    for one, two in ((0, 1), (0, 2), (1, 2)):
        counts = np.histogram2d(rows[:, one], rows[:, two], bins=2)[0].astype(int)
        assert mcnemar(rows[:, one], rows[:, two]).p_value == close(contingency.mcnemar(counts, exact=True).pvalue)


# ── intervals, corrections, effects, plans ───────────────────────────────────────────────────────────────────────────


def test_exact_binomial_and_rates_agree_with_scipy():
    for successes, n in ((0, 9), (3, 9), (9, 9), (998, 1000)):
        theirs = stats.binomtest(successes, n).proportion_ci(method="exact")
        assert clopper_pearson(successes, n).interval == (close(theirs.low), close(theirs.high))
    assert one_proportion(3, 20, 0.3).p_value == close(stats.binomtest(3, 20, 0.3).pvalue)
    plain = stats.chi2_contingency([[30, 70], [45, 60]], correction=False)
    assert two_proportions(30, 100, 45, 105).statistic == close(plain.statistic * 204 / 205)


def test_corrections_agree_with_statsmodels(draw):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = draw.uniform(size=30) ** 3
    for ours, theirs in (("holm", "holm"), ("bh", "fdr_bh"), ("bonferroni", "bonferroni")):
        assert adjust(p, ours) == pytest.approx(multitest.multipletests(p, method=theirs)[1])


def test_equivalence_agrees_with_statsmodels(draw):
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    a, b = draw.normal(0.1, 1, 60), draw.normal(0, 1, 60)

    assert equivalence(a, b, 0.5, paired=True).p_value == close(weightstats.ttost_paired(a, b, -0.5, 0.5)[0])
    theirs = weightstats.ttost_ind(a, b, -0.5, 0.5, usevar="unequal")[0]
    assert equivalence(a, b, 0.5, paired=False).p_value == close(theirs)
    shifted = stats.ttest_rel(a + 0.5, b, alternative="greater").pvalue
    assert non_inferiority(a, b, 0.5, better="higher", paired=True).p_value == close(shifted)
    assert non_inferiority(-a, -b, 0.5, better="lower", paired=True).p_value == close(shifted)


def test_a_tie_is_told_exactly_where_the_interval_lies_within_the_margin(draw):
    a, b = draw.normal(0, 1, 80), draw.normal(0, 1, 80)
    for margin in (0.1, 0.3, 0.5, 1.0):
        found = equivalence(a, b, margin, paired=True)
        assert (found.p_value < 0.05) == (-margin < found.interval[0] and found.interval[1] < margin)


def test_power_and_sizes_agree_with_statsmodels():
    statsmodels = pytest.importorskip("statsmodels.stats.power")
    paired, two = statsmodels.TTestPower(), statsmodels.TTestIndPower()

    assert power(50, 0.3, 1.0) == close(paired.power(0.3, 50, 0.05))
    assert power(50, 0.3, 1.0, paired=False) == close(two.power(0.3, 50, 0.05))
    assert required_n(0.2, 1.0) == np.ceil(paired.solve_power(0.2, power=0.8, alpha=0.05))
    assert required_n(0.2, 1.0, paired=False, power=0.9) == np.ceil(two.solve_power(0.2, power=0.9, alpha=0.05))
    assert mde(64, 4.0, paired=False) == pytest.approx(2 * two.solve_power(nobs1=64, power=0.8, alpha=0.05), rel=1e-6)
    assert required_n(0.2, 0.5, 2.0, 4) == required_n(0.2, 1.0)


def test_components_come_back_from_what_made_them(draw):
    items = np.repeat(np.arange(4000), 5)
    scores = np.repeat(draw.normal(0, 2, 4000), 5) + draw.normal(0, 3, 20_000)

    found = variance_components(scores, items)

    assert (found.between, found.within) == (pytest.approx(4, rel=0.08), pytest.approx(9, rel=0.05))
    other = scores + np.repeat(draw.normal(0.5, 1, 4000), 5) + draw.normal(0, 4, 20_000)
    pair = paired_components(other, items, scores, items)
    noise = variance_components(other, items).within + found.within
    assert pair.within == pytest.approx(noise, rel=1e-9)
    assert (pair.items, pair.replicates) == (4000, pytest.approx(5))


def test_standardised_differences_agree_with_statsmodels(draw):
    meta = pytest.importorskip("statsmodels.stats.meta_analysis")
    a, b = draw.normal(0.5, 1, 200), draw.normal(0, 1, 150)
    theirs, variance = meta.effectsize_smd(a.mean(), a.std(ddof=1), 200, b.mean(), b.std(ddof=1), 150)

    found = hedges_g(a, b)

    assert found.value == pytest.approx(theirs, rel=1e-4)
    half = 1.96 * np.sqrt(variance)
    assert found.interval == (pytest.approx(theirs - half, abs=0.01), pytest.approx(theirs + half, abs=0.01))
    low, high = hedges_g_paired(a[:150], b).interval
    assert low < hedges_g_paired(a[:150], b).value < high


def test_a12_agrees_with_statsmodels(draw):
    rank_compare = pytest.importorskip("statsmodels.stats.nonparametric").rank_compare_2indep
    a, b = draw.poisson(4, 80), draw.poisson(3, 90)

    found, theirs = a12(a, b), rank_compare(a, b)

    assert found.value == close(theirs.prob1)
    assert found.interval == pytest.approx(theirs.conf_int(), abs=0.01)
    assert a12([5, 6, 7], [1, 2, 3]).interval[1] == 1.0
    assert 0.2 < a12([5, 6, 7], [1, 2, 3]).interval[0] < 0.9


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_matrices(x, of, design, contrast):
    """CR2 variance and Satterthwaite degrees of freedom, from the definitions, with matrix square roots."""
    bread = np.linalg.inv(design.T @ design)
    hat = design @ bread @ design.T
    residual = x - hat @ x
    keep = np.eye(len(x)) - hat
    scores, columns = [], []
    for cluster in np.unique(of):
        rows = of == cluster
        values, vectors = np.linalg.eigh(keep[np.ix_(rows, rows)])
        root = vectors @ np.diag([1 / np.sqrt(value) if value > 1e-10 else 0 for value in values]) @ vectors.T
        weights = root @ design[rows] @ bread @ contrast
        scores.append(weights @ residual[rows])
        columns.append(keep[:, rows] @ weights)
    inner = np.array(columns) @ np.array(columns).T
    return sum(score**2 for score in scores), np.trace(inner) ** 2 / (inner**2).sum()


def test_clustered_errors_are_those_of_the_definitions(draw):
    of = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 20])
    x = draw.normal(size=9)[of] + draw.normal(size=of.size)
    side = draw.integers(0, 2, of.size).astype(bool)  # clusters that stand on both sides
    ones = np.ones((of.size, 1))

    variance, df = by_matrices(x, of, ones, np.ones(1))
    low, high = clustered_mean(x, of).interval
    assert (high - low) / 2 == close(stats.t.ppf(0.975, df) * np.sqrt(variance))

    design = np.column_stack([side, ~side]).astype(float)
    variance, df = by_matrices(x, of, design, np.array([1.0, -1.0]))
    found = clustered_difference(x[side], x[~side], of[side], of[~side])
    assert (found.df, found.statistic) == (close(df), close(found.estimate / np.sqrt(variance)))


def test_one_row_for_each_cluster_is_the_plain_test(draw):
    a, b = draw.normal(size=30), draw.normal(size=30)

    assert clustered_paired(a, b, np.arange(30)).p_value == close(paired_t(a, b).p_value)
    assert clustered_mean(a, np.arange(30)).interval == pytest.approx(mean_interval(a).interval)
    ours = clustered_difference(a, b[:20], [f"a{i}" for i in range(30)], [f"b{i}" for i in range(20)])
    assert ours.statistic == close(welch(a, b[:20]).statistic)


# ── bootstrap, sequences, survival ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [15, 300])
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_bootstrap_of_a_mean_is_what_draws_would_give(draw, n, method):
    x = draw.lognormal(size=n)
    drawn = stats.bootstrap((x,), np.mean, n_resamples=40_000, method=method, rng=4).confidence_interval

    width = drawn.high - drawn.low

    assert bootstrap_mean(x, method=method).interval == (
        pytest.approx(drawn.low, abs=0.02 * width),
        pytest.approx(drawn.high, abs=0.02 * width),
    )
    by_draws = bootstrap(x, np.mean, draws=20_000, method=method).interval
    assert by_draws == (pytest.approx(drawn.low, abs=0.04 * width), pytest.approx(drawn.high, abs=0.04 * width))


def test_a_ratio_is_drawn_with_its_items(draw):
    cost = draw.gamma(2, size=400)
    rows = np.column_stack([cost, draw.uniform(size=400) < 0.5])

    found = bootstrap(rows, lambda x, axis: x[..., 0].sum(axis=axis) / x[..., 1].sum(axis=axis), draws=2_000)

    assert found.value == close(cost.sum() / rows[:, 1].sum())
    assert found.interval[0] < found.value < found.interval[1]


def test_log_rank_and_quantiles_of_cut_durations(draw):
    survfunc = pytest.importorskip("statsmodels.duration.survfunc")
    true = draw.lognormal(2, 1, 400)
    timeout = np.where(np.arange(400) < 200, 20.0, 30.0)
    seen, ended = np.minimum(true, timeout), true <= timeout
    side = np.arange(400) % 2 == 0

    ours = log_rank(seen[side], ended[side], seen[~side], ended[~side])
    statistic, p = survfunc.survdiff(seen, ended.astype(int), side.astype(int))
    assert (ours.statistic, ours.p_value) == (close(statistic), close(p))

    curve = survfunc.SurvfuncRight(seen, ended.astype(int))
    for q in (0.251, 0.501, 0.751):  # where S meets 1 - q exactly, statsmodels takes the time after
        found = survival_quantile(seen, ended, q)
        assert found.value == curve.quantile(q)
        assert found.interval == tuple(curve.quantile_ci(q, method="cloglog"))
    assert survival_quantile(seen, ended, 0.99).value == np.inf


def test_evidence_is_the_likelihood_ratio_of_the_mixture():
    found = paired_evidence([1, 1, 0, 1, 1], [0, 0, 1, 1, 0])

    # three discordant pairs for a and one for b: the uniform mixture gives 3! 1! / 5! against (1/2)^4
    assert found.e[-1] == close(6 * 1 / 120 * 16)
    assert found.discordant == 4


def test_a_betting_sequence_shuts_in_on_the_mean_of_scores(draw):
    scores = (draw.uniform(size=2000) < 0.9).astype(float)

    found = bounded_sequence(scores)

    low, high = found.interval
    assert low < scores.mean() < high
    assert high - low < 0.06  # a published implementation gives .045 here
    assert np.all(np.diff(found.low) >= 0)
    assert np.all(np.diff(found.high) <= 0)
    assert found.leaves_out(0.5) < 60


def test_a_paired_table_without_discord_still_has_width():
    low, high = paired_newcombe(50, 0, 0, 0)

    assert (low, high) == (pytest.approx(-high), high)
    assert 0 < high < 0.12
