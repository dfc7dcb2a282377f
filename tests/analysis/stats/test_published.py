"""Figures that others published: the golden vectors, NIST's certified values, R's own data, a record's p-value."""

from __future__ import annotations

import csv
import math
import re

import numpy as np
import pytest

from tele.analysis.stats.agreement import agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha
from tele.analysis.stats.attempts import pass_at_k, pass_hat_k
from tele.analysis.stats.binary import cochran_q, mcnemar, paired_newcombe
from tele.analysis.stats.corrections import adjust
from tele.analysis.stats.effects import cliffs_delta, cohens_d, hedges_g
from tele.analysis.stats.paired import paired_t
from tele.analysis.stats.permutation import sign_flip
from tele.analysis.stats.proportions import clopper_pearson, newcombe, wilson
from tele.analysis.stats.quantiles import quantiles, smallest_n
from tele.analysis.stats.ranks import midranks
from tele.analysis.stats.several import anova, dunnett, kruskal
from tele.analysis.stats.summary import moments, one_sample_t
from tele.analysis.stats.survival import kaplan_meier, survival_quantile
from tele.analysis.stats.unpaired import mann_whitney, welch

LEFT, RIGHT = [5.1, 4.9, 5.3, 5.0, 5.2], [6.2, 6.0, 6.4, 5.9, 6.1]
SEVEN, FOUR = [0.72, 0.68, 0.75, 0.71, 0.69, 0.80, 0.66], [0.78, 0.73, 0.81, 0.76]
BEFORE, AFTER = [0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74]


def six(value):
    return pytest.approx(value, rel=5e-6, abs=5e-7)


def test_welch_of_two_clear_samples():
    found = welch(LEFT, RIGHT)

    assert (found.statistic, found.df, found.p_value) == (six(-9.159870), six(7.711133), six(2.06661e-05))
    assert found.interval == (six(-1.278470), six(-0.761530))
    assert cohens_d(LEFT, RIGHT).value == six(-5.793211)
    assert hedges_g(LEFT, RIGHT).value == six(-5.232577)


def test_welch_of_unequal_sizes():
    found = welch(SEVEN, FOUR)

    assert (found.statistic, found.df, found.p_value) == (six(-2.213071), six(8.293821), six(0.0566426))
    assert found.interval == (six(-0.110504), six(0.001933))
    assert cohens_d(SEVEN, FOUR).value == six(-1.257540)
    assert hedges_g(SEVEN, FOUR).value == six(-1.149751)


def test_pairing_finds_what_the_unpaired_test_takes_for_spread():
    unpaired, paired = welch(BEFORE, AFTER), paired_t(AFTER, BEFORE)

    assert (unpaired.statistic, unpaired.df) == (six(-2.861994), six(7.806825))
    assert unpaired.p_value == six(0.021627)
    assert (paired.statistic, paired.p_value) == (six(22.045408), six(2.50579e-05))


def test_ranks_and_tests_on_them():
    found = mann_whitney([120, 135, 118, 142, 125, 890], [98, 105, 102, 110, 95, 108])
    h = kruskal([5, 7, 8, 6, 9], [3, 4, 5, 4, 6], [1, 2, 3, 2, 4])

    assert (found.statistic, found.p_value) == (36, pytest.approx(0.0021645, abs=5e-8))
    assert (h.statistic, h.p_value) == (six(10.505072), six(0.0052342))
    assert midranks([5, 2, 8, 2, 9]).tolist() == [3, 1.5, 4, 1.5, 5]


def test_analysis_of_variance_of_three_systems():
    found = anova([0.89, 0.91, 0.88, 0.90, 0.92], [0.87, 0.89, 0.86, 0.88, 0.90], [0.84, 0.86, 0.83, 0.85, 0.87])

    assert (found.statistic, found.df, found.p_value) == (six(12.666667), (2, 12), six(0.00110283))


@pytest.mark.parametrize(("treatments", "size", "critical"), [(2, 11, 2.32), (3, 6, 2.54), (4, 3, 2.89)])
def test_dunnett_s_own_critical_values(treatments, size, critical):
    # C. W. Dunnett, Biometrics 20 (1964), two-sided 5 %: 2 treatments and 30 df, 3 and 20, 4 and 10; equal sizes.
    groups = [np.arange(size) + 0.1 * number for number in range(treatments + 1)]

    found = dunnett(*groups)[0]

    error = found.estimate / found.statistic
    assert round((found.interval[1] - found.estimate) / error, 2) == critical


def test_corrections_of_four_tests():
    p = [0.01, 0.03, 0.04, 0.20]

    assert adjust(p, "bonferroni") == [six(0.04), six(0.12), six(0.16), six(0.80)]
    assert adjust(p, "holm") == [six(0.04), six(0.09), six(0.09), six(0.20)]
    assert adjust(p, "bh") == [six(0.04), six(0.0533333), six(0.0533333), six(0.20)]
    assert adjust([], "holm") == []


def test_percentiles_interpolate_as_numpy_does():
    found = quantiles(range(100, 1001, 100), [0.5, 0.9, 0.95, 0.99])

    assert [estimate.value for estimate in found] == [six(550), six(910), six(955), six(991)]
    assert all(math.isinf(estimate.interval[1]) for estimate in found[1:])
    assert "n >= 368" in found[3].note


def test_sizes_from_which_both_bounds_exist():
    assert [smallest_n(q) for q in (0.95, 0.99, 0.999)] == [72, 368, 3688]


# ── NIST's Statistical Reference Datasets ────────────────────────────────────────────────────────────────────────────


def correct_digits(found, certified):
    """Log relative error: how many digits agree."""
    return 15.0 if found == certified else -math.log10(abs(found - certified) / abs(certified))


@pytest.mark.parametrize("name", ["Lew", "Lottery", "NumAcc1", "NumAcc3"])
def test_mean_and_sd_agree_with_nist_to_eight_digits(fixtures, name):
    text = (fixtures / "nist_univariate" / f"{name}.txt").read_text()
    mean = float(re.search(r"(?:^mean +=|Sample Mean .*ybar:) +(\S+)", text, re.MULTILINE)[1])
    sd = float(re.search(r"(?:^standardDeviation +=|Sample Standard Deviation .*s:) +(\S+)", text, re.MULTILINE)[1])
    body = re.split(r"^# Data\n#|^Data: +Y\n-+", text, flags=re.MULTILINE)[-1]
    values = [float(line) for line in body.splitlines() if re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", line)]

    found = moments(values)

    assert len(values) == {"Lew": 200, "Lottery": 218, "NumAcc1": 3, "NumAcc3": 1001}[name]
    assert correct_digits(found.mean, mean) >= 8
    assert correct_digits(found.sd, sd) >= 8


@pytest.mark.parametrize(("name", "f", "df"), [("SiRstv", 1.18046237440255, (4, 20)), ("SmLs01", 21.0, (8, 180))])
def test_analysis_of_variance_agrees_with_nist_to_eight_digits(fixtures, name, f, df):
    text = (fixtures / "nist_anova" / f"{name}.dat").read_text().split("Data:")[-1]
    groups = {}
    for group, value in re.findall(r"^ +(\d+) +(\d+\.\d+)\s*$", text, re.MULTILINE):
        groups.setdefault(group, []).append(float(value))

    found = anova(*groups.values())

    assert found.df == df
    assert correct_digits(found.statistic, f) >= 8


# ── others ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def sleep(fixtures):
    rows = list(csv.DictReader((fixtures / "rdatasets" / "sleep.csv").read_text().splitlines()))
    return [[float(row["extra"]) for row in rows if row["group"] == group] for group in "12"]


def test_r_s_sleep_data(fixtures):
    one, two = sleep(fixtures)

    unpaired, paired = welch(one, two), paired_t(one, two)

    assert round(unpaired.statistic, 4) == -1.8608
    assert round(unpaired.df, 3) == 17.776
    assert round(unpaired.p_value, 5) == 0.07939
    assert (round(paired.statistic, 4), round(paired.p_value, 6)) == (-4.0621, 0.002833)
    assert paired.interval == (pytest.approx(-2.4598858, abs=1e-7), pytest.approx(-0.7001142, abs=1e-7))
    assert sign_flip(one, two).p_value == 2 * 2 / 2**10  # nine differences of one sign and a 0, which moves nothing


def test_the_record_s_own_p_value_follows_from_its_seven_logs(fixtures):
    folder = fixtures / "nanogpt_speedrun" / "2025-09-29_PolarExpress"
    losses = [float(re.findall(r"val_loss:([\d.]+)", log.read_text())[-1]) for log in folder.glob("*-*.txt")]

    found = one_sample_t(losses, 3.28, alternative="less")

    assert len(losses) == 7
    assert f"{found.p_value:.4f}" == "0.0045"
    assert round(found.estimate, 4) == 3.2790
    assert found.interval[0] == -math.inf


def test_newcombe_s_published_intervals():
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10: four decimals.
    published = {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (10, 10, 0, 20): (0.6791, 1.0),
        (10, 10, 0, 10): (0.6075, 1.0),
    }

    assert {case: tuple(round(end, 4) for end in newcombe(*case)) for case in published} == published


def test_clopper_pearson_is_wider_than_wilson_and_closes_at_the_ends():
    # Newcombe (1998), 857-872, table I, method 5: four decimals.
    found = {case: tuple(round(end, 4) for end in clopper_pearson(*case).interval) for case in [(81, 263), (0, 20)]}

    assert found == {(81, 263): (0.2527, 0.3676), (0, 20): (0.0, 0.1684)}
    assert wilson(0, 20).interval == (0.0, pytest.approx(0.1611, abs=5e-5))


def test_krippendorff_s_own_example():
    # K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): four observers, twelve units, gaps.
    gap = None
    answers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    ]

    found = {level: krippendorff_alpha(answers, level=level) for level in ("nominal", "ordinal", "interval", "ratio")}

    assert {level: round(estimate.value, 3) for level, estimate in found.items()} == {
        "nominal": 0.743,
        "ordinal": 0.815,
        "interval": 0.849,
        "ratio": 0.797,
    }
    assert all(estimate.interval[0] < estimate.value < estimate.interval[1] for estimate in found.values())
    assert found["nominal"].n == 11


def test_fleiss_s_own_example():
    # J. L. Fleiss, Psychological Bulletin 76 (1971), as the standard table of 10 subjects and 14 raters: 0.210.
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]

    found = fleiss_kappa(counts)

    assert round(found.value, 3) == 0.210
    assert found.interval[0] < 0.210 < found.interval[1]


def test_kappa_of_a_table_worked_by_hand():
    # 20 both yes, 15 both no, 5 and 10 mixed: p_o = 0.7, p_e = 0.5, kappa = 0.4.
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15

    assert cohen_kappa(a, b).value == pytest.approx(0.4)
    assert agreement([a, b]) == pytest.approx(0.7)


def test_pass_at_k_by_counting():
    # 3 of 10 attempts succeed: P(none of 2) = C(7,2)/C(10,2) = 21/45; P(both of 2) = C(3,2)/C(10,2) = 3/45.
    assert pass_at_k([3], [10], 2).value == pytest.approx(1 - 21 / 45)
    assert pass_hat_k([3], [10], 2).value == pytest.approx(3 / 45)
    assert pass_at_k([0, 10], [10, 10], 10).value == 0.5
    assert pass_at_k([1], [100_000], 50_000).value == pytest.approx(0.5)


def test_survival_of_freireich_s_patients():
    # Weeks of remission under 6-MP (Freireich and others, 1963), as every textbook has them.
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    ended = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]

    curve, median = kaplan_meier(weeks, ended), survival_quantile(weeks, ended, 0.5)
    third = survival_quantile(weeks, ended, 0.75)

    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert np.round(curve.share, 4).tolist() == [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert median.value == 23
    assert median.interval == (13, math.inf)  # R's survfit with conf.type = "log-log"
    assert (third.value, third.note) == (math.inf, "not reached: beyond 35")


def test_cochran_s_own_example():
    # W. G. Cochran (1950): four diphtheria media on 69 specimens: 4 all, 2 A B D, 3 B D... as in the table: Q = 8.05.
    rows = [[1, 1, 1, 1]] * 4 + [[1, 1, 0, 1]] * 2 + [[0, 1, 1, 1]] * 3 + [[0, 1, 0, 1]] * 1 + [[0, 0, 0, 0]] * 59

    found = cochran_q(rows)

    assert found.df == 3
    assert round(found.statistic, 2) == 8.05


def test_one_discordant_table_by_hand():
    a, b = [1] * 10 + [0] * 2 + [1] * 8, [0] * 10 + [1] * 2 + [1] * 8

    found = mcnemar(a, b)

    assert found.p_value == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert found.estimate == pytest.approx(8 / 20)
    assert found.interval == paired_newcombe(8, 10, 2, 0)


def test_a_delta_by_counting_pairs():
    a, b = [3, 5, 8], [2, 5, 6, 7]

    above = sum(x > y for x in a for y in b) - sum(x < y for x in a for y in b)

    assert cliffs_delta(a, b).value == pytest.approx(above / 12)
