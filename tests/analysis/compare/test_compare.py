"""The comparison chooses its test from the data; what it finds is what scipy, statsmodels and R find."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import binom

from tele.analysis import analyze
from tele.analysis.compare import Options, compare
from tele.analysis.compare.choose import choose
from tele.analysis.compare.compare import compared
from tele.analysis.compare.pairing import Sides
from tele.analysis.compare.sides import conditions
from tele.analysis.compare.table import render_comparisons
from tele.analysis.comparisons import Absent, Missing
from tele.analysis.scope import census, requests
from tele.errors import BadInput, UnknownTarget

CONTRACT = {
    *("metric", "baseline", "treatment", "paired", "n", "test", "statistic", "df", "p_value", "p_adjusted"),
    *("correction", "difference", "difference_interval", "effect", "mde", "missing", "verdict"),
}


def metrics(condition, values, name="score", **fields):
    """One value of each item, or of nothing where `values` is a list."""
    pairs = values.items() if isinstance(values, dict) else [(None, value) for value in values]
    return [
        {
            "kind": "metric",
            "name": name,
            "condition": condition,
            "item_id": item,
            "value": float(value),
            "status": "unset",
        }
        | {"success": None, "run_id": f"run of {condition}"}
        | fields
        for item, value in pairs
    ]


def one(log, a="a", b="b", **options):
    options.setdefault("better", {"score": "higher"})
    options.setdefault("metrics", ["score"])
    found = compare(log, a, b, options=Options(**options))
    assert len(found.comparisons) == 1
    return found.comparisons[0]


def numbered(values):
    return {f"i{number}": value for number, value in enumerate(values)}


class TestRealData:
    def test_the_sleep_data_give_what_r_gives(self, log, fixtures):
        rows = list(csv.DictReader((fixtures / "rdatasets" / "sleep.csv").read_text().splitlines()))
        for group in "12":
            log.add(
                metrics(
                    f"drug {group}", {r["ID"]: float(r["extra"]) for r in rows if r["group"] == group}, name="extra"
                )
            )

        found = one(log, "drug 1", "drug 2", metrics=["extra"], better={"extra": "higher"})

        assert (found.test, found.paired, found.n, found.df) == ("paired t", True, 10, 9)
        assert found.statistic == pytest.approx(4.0621, abs=5e-5)  # R: t.test(extra ~ group, paired = TRUE)
        assert found.p_value == pytest.approx(0.002833, abs=5e-7)
        assert found.difference_interval == pytest.approx((0.7001142, 2.4598858), abs=5e-8)
        assert found.verdict == "better"

    def test_answers_of_two_checkpoints_are_paired_by_exact_mcnemar(self, log, fixtures):
        contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
        right = {}
        for checkpoint in ("ckpt0", "ckpt200"):
            for subject in ("abstract_algebra", "global_facts"):
                rows = csv.DictReader(
                    io.StringIO((fixtures / "mmlu_fedllm" / f"{checkpoint}__{subject}.csv").read_text())
                )
                for row in rows:
                    answer = "ABCD"[int(row["answer"])] == row["prediction"].strip()
                    right.setdefault(checkpoint, {})[f"{subject}/{row['']}"] = answer
            log.add(metrics(checkpoint, right[checkpoint]))

        found = one(log, "ckpt0", "ckpt200")

        old, new = (np.array([right[c][item] for item in sorted(right["ckpt0"])]) for c in ("ckpt0", "ckpt200"))
        table = [[np.sum(new & old), np.sum(new & ~old)], [np.sum(~new & old), np.sum(~new & ~old)]]
        assert (found.test, found.n) == ("exact McNemar", 200)
        assert found.p_value == pytest.approx(contingency.mcnemar(table, exact=True).pvalue, rel=1e-12)
        assert found.difference == pytest.approx(new.mean() - old.mean(), abs=1e-12)
        assert found.verdict == "undecided"

    def test_three_completions_of_each_prompt_count_as_one_item(self, log, fixtures):
        stats = pytest.importorskip("scipy.stats")
        folder = fixtures / "reasoning_gym"
        means = {}
        for model in ("claude-3.5-sonnet", "gemma-3-27b-it"):
            [path] = folder.glob(f"easy__*{model}*countdown.json")
            scores = {
                r["question"]: [c["score"] for c in r["completions"]] for r in json.loads(path.read_text())["results"]
            }
            for replicate in range(3):
                log.add(metrics(model, {q: s[replicate] for q, s in scores.items()}, replicate=replicate))
            means[model] = {question: np.mean(s) for question, s in scores.items()}

        found = one(log, "gemma-3-27b-it", "claude-3.5-sonnet")

        shared = sorted(set.intersection(*(set(m) for m in means.values())))
        expected = stats.ttest_rel(*([m[q] for q in shared] for m in means.values()))
        t = next(each for each in (found, *found.also) if each.test == "paired t")
        assert found.n == len(shared)
        assert t.statistic == pytest.approx(expected.statistic, rel=1e-9)
        assert t.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert "replicates averaged first" in found.why

    def test_seven_training_runs_beat_the_declared_loss_with_the_published_p(self, log, fixtures):
        for path in sorted((fixtures / "nanogpt_speedrun").rglob("*.txt")):
            losses = re.findall(r"^step:(\d+)/\d+ val_loss:([\d.]+)", path.read_text(), re.MULTILINE)
            for step, loss in losses:
                log.add(metrics(None, [float(loss)], name="val_loss", step=int(step), run_id=path.stem))
        log.add([declared(hypotheses=["val_loss < 3.28"])])

        found = analyze(log, "trial")

        assert round(found.comparisons[0].p_value, 4) == 0.0045
        assert (found.comparisons[0].n, found.comparisons[0].unit) == (7, "run")
        assert found.significance.hypotheses[0]["outcome"] == "supported"


def declared(at=-1, **facts):
    return {
        "kind": "event",
        "name": "tele.experiment.declared",
        "run_id": "r",
        "status": "unset",
        "success": None,
        "start_ns": at,
        "attributes": facts,
    }


class TestTheChoice:
    def test_items_that_nobody_names_are_held_apart_by_welch(self, log):
        log.add(metrics("b", [0.72, 0.68, 0.75, 0.71, 0.69, 0.80, 0.66]) + metrics("a", [0.78, 0.73, 0.81, 0.76]))

        found = one(log)

        assert (found.test, found.paired, found.n) == ("Welch's t", False, (4, 7))
        assert (found.statistic, found.df, found.p_value) == pytest.approx((-2.213071, 8.293821, 0.0566426), abs=5e-7)
        assert found.difference_interval == pytest.approx((-0.110504, 0.001933), abs=5e-7)
        assert found.effect.value == pytest.approx(-1.149751, abs=5e-7)

    def test_skewed_values_apart_are_ranked(self, log):
        draw = np.random.default_rng(1)
        log.add(metrics("a", draw.lognormal(0, 1.5, 40)) + metrics("b", draw.lognormal(1.5, 1.5, 40)))
        assert one(log).test == "Brunner-Munzel"
        assert one(log).verdict == "better"

    def test_values_in_clusters_have_clustered_errors(self, log):
        sm = pytest.importorskip("statsmodels.regression.linear_model")
        draw = np.random.default_rng(4)
        shift = np.repeat(draw.normal(0, 1, 12), 10)
        gap = shift + draw.normal(0.3, 1, 120)
        clusters = [f"c{n // 10}" for n in range(120)]
        for number, (value, cluster) in enumerate(zip(gap, clusters, strict=True)):
            log.add(metrics("a", {f"i{number}": 0.0}, cluster=cluster))
            log.add(metrics("b", {f"i{number}": value}, cluster=cluster))

        found = one(log)

        fit = sm.OLS(gap, np.ones(120)).fit(cov_type="cluster", cov_kwds={"groups": np.repeat(range(12), 10)})
        assert "clustered" in found.test
        assert found.statistic == pytest.approx(fit.tvalues[0], rel=1e-6)  # CR1 is CR2 where clusters are alike
        assert found.p_value > 2 * compare_unclustered(gap)

    def test_a_quantile_of_latencies_is_compared(self, log):
        for condition, scale in (("a", 100.0), ("b", 300.0)):
            draw = np.random.default_rng(2).exponential(scale, 800)
            log.add({"condition": condition, "duration_ms": float(ms), "run_id": f"run of {condition}"} for ms in draw)
        found = one(log, metrics=["latency.p95"], better={})
        assert (found.difference_of, found.verdict) == ("p95", "worse")
        assert found.n == (800, 800)

    def test_a_run_is_compared_by_its_id_and_an_experiment_by_its_name(self, log):
        log.add(
            metrics("a", numbered(range(8)), run_id="first-run")
            + metrics("a", numbered(range(1, 9)), run_id="second-run")
        )
        assert one(log, "first-run", "second-run").difference == 1
        log.add(metrics("a", numbered(range(2, 10)), experiment="other"))
        assert compare(log, "trial", "other", options=Options(metrics=["score"])).of == "experiments"


def compare_unclustered(gap):
    from scipy.stats import ttest_1samp

    return ttest_1samp(gap, 0).pvalue


class TestAttempts:
    def log(self, log, a, b):
        for condition, outcomes in (("a", a), ("b", b)):
            for replicate, row in enumerate(np.array(outcomes).T):
                log.add(metrics(condition, numbered(row), replicate=replicate))
        return log

    def test_pass_at_k_and_pass_hat_k_are_of_the_successes_of_each_item(self, log):
        from math import comb

        draw = np.random.default_rng(13)
        a, b = draw.random((40, 5)) < 0.4, draw.random((40, 5)) < 0.6
        self.log(log, a, b)
        successes = [each.sum(axis=1) for each in (a, b)]
        for name, share in (
            ("score.pass@2", lambda c: 1 - comb(5 - c, 2) / comb(5, 2)),
            ("score.pass^2", lambda c: comb(c, 2) / comb(5, 2)),
        ):
            found = one(log, metrics=[name], better={})
            means = [np.mean([share(int(c)) for c in each]) for each in successes]
            assert (found.baseline_mean, found.treatment_mean) == pytest.approx(tuple(means), rel=1e-12)
            assert (found.n, found.better) == (40, "higher")

    def test_items_with_fewer_attempts_than_k_are_missing(self, log):
        self.log(log, [[1, 0], [0, 0], [1, 1]], [[1, 0], [1, 0], [1, 1]])
        log.add(metrics("a", {"i9": 1}) + metrics("b", {"i9": 1}))
        assert one(log, metrics=["score.pass@2"], better={}).n == 3

    def test_scores_are_no_successes(self, log):
        self.log(log, [[0.5, 0.5], [0.2, 1.0]], [[0.5, 0.5], [0.2, 1.0]])
        with pytest.raises(BadInput, match="0 and 1"):
            one(log, metrics=["score.pass@2"], better={})


def test_several_treatments_apart_have_dunnetts_test_beside(log):
    scipy_stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(14)
    groups = {name: draw.normal(shift, 1, 30) for name, shift in (("a", 0.0), ("b", 0.5), ("c", 1.0))}
    for name, values in groups.items():
        log.add(metrics(name, values))
    found = analyze(log, "trial", baseline="a", options=Options(metrics=["score"])).comparisons
    expected = scipy_stats.dunnett(groups["b"], groups["c"], control=groups["a"], rng=np.random.default_rng(0))
    beside = [next(each for each in one.also if each.test == "Dunnett") for one in found]
    assert [each.p_value for each in beside] == pytest.approx(list(expected.pvalue), abs=2e-3)


def test_looking_at_a_growing_run_holds_at_every_look(log):
    draw = np.random.default_rng(15)
    log.add(metrics("a", numbered(draw.random(300) < 0.3)) + metrics("b", numbered(draw.random(300) < 0.7)))
    found = one(log, sequential=True)
    assert (found.test, found.verdict) == ("e-process of discordant pairs", "better")
    assert found.p_value > one(log).p_value
    apart = type(log)().add(metrics("a", [1, 2, 3]) + metrics("b", [1, 2, 4]))
    with pytest.raises(BadInput, match="item_id"):
        one(apart, sequential=True)


class TestVerdicts:
    def test_the_words_name_the_number_that_would_decide(self, log):
        power = pytest.importorskip("statsmodels.stats.power")
        gap = np.random.default_rng(5).normal(0.2, 1, 9)
        log.add(metrics("a", numbered(np.zeros(9))) + metrics("b", numbered(gap)))

        found = one(log)

        effect = abs(gap.mean()) / gap.std(ddof=1)
        needed = power.TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
        assert found.verdict == "underpowered"
        assert found.needed_n == int(np.ceil(needed))
        assert f"{found.needed_n:,} items" in found.words
        least = power.TTestPower().solve_power(nobs=9, alpha=0.05, power=0.8) * gap.std(ddof=1)
        assert found.mde == pytest.approx(least, rel=1e-6)

    def test_tied_takes_a_declared_margin(self, log):
        weight = pytest.importorskip("statsmodels.stats.weightstats")
        draw = np.random.default_rng(6)
        a, b = draw.normal(0, 1, 200), draw.normal(0, 0.2, 200)
        log.add(metrics("a", numbered(a)) + metrics("b", numbered(a + b)))

        assert one(log).verdict == "undecided"
        assert one(log, margins={"score": 0.1}).verdict == "tied"
        assert weight.ttost_paired(a + b, a, -0.1, 0.1)[0] < 0.05
        assert one(log, margins={"score": 0.02}).verdict == "underpowered"

    def test_without_a_direction_sides_are_different(self, log):
        log.add(metrics("a", numbered(range(20))) + metrics("b", numbered(np.arange(20) + 5 + np.sin(range(20)))))
        assert one(log, better={}).verdict == "different"
        assert one(log, better={"score": "lower"}).verdict == "worse"

    def test_a_metric_may_declare_its_direction_itself(self, log):
        fields = {"attributes": {"better": "lower"}}
        log.add(metrics("a", numbered(range(20)), **fields))
        log.add(metrics("b", numbered(np.arange(20) + 5 + np.sin(range(20))), **fields))
        assert one(log, better={}).verdict == "worse"

    def test_the_json_is_the_contract_and_every_p_stands_in_it(self, log):
        log.add(metrics("a", numbered([1, 2, 3, 4])) + metrics("b", numbered([2, 3, 5, 4.5])))
        plain = analyze(log, "trial", baseline="a").to_dict()
        [found] = plain["comparisons"]
        assert found.keys() >= CONTRACT
        assert found["effect"].keys() == {"name", "value", "interval"}
        assert found["p_value"] is not None
        assert found["p_adjusted"] is not None
        json.dumps(plain)


class TestFamilies:
    P = (0.01, 0.03, 0.04, 0.20)

    @pytest.mark.parametrize(
        ("correction", "expected"),
        [
            (None, (0.04, 0.09, 0.09, 0.20)),  # named: Holm
            ("bonferroni", (0.04, 0.12, 0.16, 0.80)),
            ("bh", (0.04, 0.053333, 0.053333, 0.20)),
            ("none", P),
        ],
    )
    def test_p_values_are_adjusted_as_the_golden_vectors_say(self, correction, expected):
        from tele.analysis.compare.families import Member, correct

        found = correct([Member(p, declared=True) for p in self.P], correction)
        assert [one.p_adjusted for one in found] == pytest.approx(expected, abs=5e-7)

    def test_what_nobody_named_is_exploration(self, log):
        draw = np.random.default_rng(8)
        for name in ("x", "y", "z"):
            log.add(metrics("a", numbered(draw.normal(0, 1, 20)), name=name))
            log.add(metrics("b", numbered(draw.normal(0.5, 1, 20)), name=name))
        assert {c.correction for c in compare(log, "a", "b").comparisons} == {"bh of 3"}
        named = compare(log, "a", "b", options=Options(metrics=["x", "y"])).comparisons
        assert {c.correction for c in named} == {"holm of 2"}

    def test_metrics_that_say_the_same_cost_less_under_max_t(self, log):
        draw = np.random.default_rng(9)
        gap = draw.normal(0.45, 1, 30)
        for number in range(6):
            log.add(metrics("a", numbered(np.zeros(30)), name=f"m{number}"))
            log.add(metrics("b", numbered(gap + draw.normal(0, 0.01, 30)), name=f"m{number}"))
        holm = compare(log, "a", "b", options=Options(correction="holm")).comparisons[0]
        flips = compare(log, "a", "b", options=Options(correction="max-t")).comparisons[0]
        assert flips.p_adjusted < holm.p_adjusted / 3
        assert flips.p_adjusted >= flips.p_value / 2

    def test_three_conditions_are_tested_at_once_beside_the_pairs(self, log):
        cochran = pytest.importorskip("statsmodels.stats.contingency_tables").cochrans_q
        table = np.random.default_rng(3).random((60, 3)) < [0.5, 0.6, 0.8]
        for column, condition in enumerate("abc"):
            log.add(metrics(condition, numbered(table[:, column])))
        found = analyze(log, "trial", baseline="a").significance
        assert found.omnibus[0].test == "Cochran's Q"
        assert found.omnibus[0].p_value == pytest.approx(cochran(table).pvalue, rel=1e-9)
        assert [c.treatment for c in found.comparisons] == ["b", "c"]


class TestWhatIsNotThere:
    def log(self, log):
        log.add({"condition": "a", "item_id": f"i{n}", "run_id": "ra", "duration_ms": 10.0 + n} for n in range(12))
        log.add({"condition": "b", "item_id": f"i{n}", "run_id": "rb", "duration_ms": 12.0 + n % 5} for n in range(8))
        failed = {"status": "error", "success": False, "error_type": "Timeout"}
        log.add({"condition": "b", "item_id": f"i{n}", "run_id": "rb", "duration_ms": 1.0} | failed for n in (8, 9))
        return log

    def test_failed_and_missing_items_are_counted_and_left_out(self, log):
        found = one(self.log(log), metrics=["latency"], better={})
        assert (found.n, found.missing.failures) == (8, "exclude")
        assert (found.missing.treatment.failed, found.missing.treatment.missing) == (2, 2)
        assert (found.missing.baseline.failed, found.missing.baseline.missing) == (0, 0)

    def test_as_worst_they_have_the_worst_value_seen(self, log):
        found = one(self.log(log), metrics=["latency"], better={}, failures="as-worst")
        assert found.n == 12
        assert found.treatment_mean == pytest.approx((12 + 13 + 14 + 15 + 16 + 12 + 13 + 14 + 4 * 21) / 12)

    def test_failures_of_some_replicates_weigh_their_share(self, log):
        log.add(metrics("a", numbered([1, 1, 1, 0])) + metrics("b", numbered([1, 1, 0, 1])))
        failed = {
            "status": "error",
            "success": False,
            "condition": "b",
            "item_id": "i0",
            "replicate": 1,
            "run_id": "rb2",
        }
        log.add([failed])
        found = one(log, failures="as-worst")
        assert found.missing.treatment.partly == 1
        assert found.treatment_mean == pytest.approx((0.5 + 1 + 0 + 1) / 4)

    def test_worst_takes_a_direction(self, log):
        log.add(metrics("a", numbered([1, 2, 3])) + metrics("b", numbered([1, 2, 4])))
        with pytest.raises(BadInput, match="worst"):
            one(log, better={}, failures="as-worst")


class TestNames:
    def test_a_name_that_means_several_things_is_refused_with_all_of_them(self, log):
        for experiment in ("trial", "other"):
            log.add(metrics("a", numbered([1, 2]), experiment=experiment))
            log.add(metrics("b", numbered([1, 2]), experiment=experiment))
        with pytest.raises(BadInput, match=r"of 'other'.*of 'trial'.*--experiment"):
            compare(log, "a", "b")
        assert compare(log, "a", "b", experiment="other").experiment == "other"

    def test_a_name_that_means_nothing_says_the_nearest(self, log):
        log.add(metrics("baseline", numbered([1, 2])) + metrics("few-shot", numbered([1, 2])))
        with pytest.raises(UnknownTarget, match="few-shot"):
            compare(log, "baseline", "fewshot")

    def test_two_kinds_are_not_compared(self, log):
        log.add(metrics("a", numbered([1, 2]), experiment="trial"))
        log.add(metrics("x", numbered([1, 2]), experiment="other"))
        with pytest.raises(BadInput, match="not of one kind"):
            compare(log, "a", "other")


NOTHING_TO_TEST = {
    "one item": ({"i": 1.0}, {"i": 2.0}),
    "one value a side": ([1.0], [2.0]),
    "no pair in common": ({"i": 1.0, "j": 2.0}, {"x": 1.0, "y": 2.0}),
    "all pairs equal": (numbered([1.5, 2.5, 3.5]), numbered([1.5, 2.5, 3.5])),
    "all pairs differ alike": (numbered(range(30)), numbered(np.arange(30) + 1)),
    "all values the same": (numbered([1] * 9), numbered([1] * 9)),
    "two constants apart": ([1.5] * 9, [2.5] * 9),
    "no discordant pair": (numbered([0, 1, 1]), numbered([0, 1, 1])),
    "all failed": (numbered([0] * 9), numbered([0] * 9)),
    "huge": (numbered(1e100 * np.arange(1, 9)), numbered(1e100 * np.arange(2, 10) ** 1.5)),
}


@pytest.mark.parametrize("case", NOTHING_TO_TEST)
@pytest.mark.parametrize("margins", [{}, {"score": 0.5}])
def test_what_cannot_be_tested_has_a_defined_answer_and_no_warning(log, case, margins):
    a, b = NOTHING_TO_TEST[case]
    log.add(metrics("a", a) + metrics("b", b))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = one(log, margins=margins)
    assert found.verdict in {"better", "worse", "tied", "undecided", "underpowered"}
    assert found.p_value is None or 0 <= found.p_value <= 1
    if case in {"all pairs equal", "all values the same", "no discordant pair", "all failed", "one item"}:
        assert found.verdict in {"undecided", "underpowered", "tied"}
    if case == "all pairs differ alike":
        assert found.verdict == "better"
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_order_of_rows_changes_nothing_and_units_scale(log):
    draw = np.random.default_rng(12)
    rows = [
        row
        for replicate in range(3)
        for condition, shift in (("a", 0.0), ("b", 0.4))
        for row in metrics(condition, numbered(draw.normal(shift, 1, 25)), replicate=replicate)
    ]
    log.add(rows)
    first = one(log)
    turned = type(log)().add([rows[i] for i in draw.permutation(len(rows))])
    second = one(turned)
    assert second.words == first.words
    assert second.p_value == pytest.approx(first.p_value, rel=1e-9)
    scaled = one(type(log)().add([row | {"value": row["value"] * 1000} for row in rows]))
    assert scaled.p_value == pytest.approx(first.p_value, rel=1e-9)
    assert scaled.difference == pytest.approx(1000 * first.difference, rel=1e-9)
    assert scaled.mde == pytest.approx(1000 * first.mde, rel=1e-6)
    assert scaled.effect.value == pytest.approx(first.effect.value, rel=1e-9)


def test_a_metric_that_the_user_records_under_the_name_of_a_requests_figure_is_theirs(log):
    log.add(metrics("a", numbered([1, 2, 3, 4, 6]), name="cost") + metrics("b", numbered([3, 3, 5, 6, 7]), name="cost"))

    [found] = compare(log, "a", "b").comparisons
    assert (found.metric, found.difference, found.better) == ("cost", pytest.approx(1.6), "lower")


def test_pairs_that_differ_alike_but_for_rounding_are_tested_by_their_signs(log):
    old = [n / 7e6 for n in range(9)]
    log.add(metrics("a", numbered(old)) + metrics("b", numbered([value + 2e-6 for value in old])))

    found = one(log)
    assert (found.test, found.p_value, found.verdict) == ("sign-flip permutation", pytest.approx(2 / 2**9), "better")


def test_figures_have_their_units(log):
    spans = [
        {"condition": c, "run_id": f"run {c}", "item_id": f"i{n}"}
        | {"duration_ms": 50.0 + up + n % 3, "cost_usd": (n + up) / 1e6}
        for c, up in (("a", 0), ("b", 2))
        for n in range(9)
    ]
    log.add(spans)

    words = {one.metric: one.words for one in compare(log, "a", "b", options=Options()).comparisons}
    assert "b 53 ms, a 51 ms, difference 2 ms" in words["latency"]
    assert "b $0.00000600, a $0.00000400, difference $0.00000200" in words["cost"]


@pytest.mark.parametrize("names", [("b",), ("claude-3-5-haiku-latest", "gemini-2.0-flash")])
def test_the_table_fits_a_terminal_of_80_columns(log, names):
    rng = np.random.default_rng(5)
    log.add(row for c in ("a", *names) for row in metrics(c, numbered(rng.normal(0, 1, 20)), name="measured_quality"))

    out = io.StringIO()
    pair = conditions(log, seen := census(log, "trial"), requests(log, seen, "root"), (), "a")
    render_comparisons(compared(log, pair, Options()), Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(("measured_quality", "measured_qu")) for line in lines)
    assert [len(line.split()) for line in lines if line.startswith("metric")] == [7]


@pytest.mark.parametrize("sizes", [(5, 40), (40, 5)])
def test_few_values_beside_many_skewed_ones_raise_no_more_alarms_than_the_level(sizes):
    rng = np.random.default_rng(23)
    nothing = Absent(0, 0, 0)

    def alarm():
        a, b = (rng.lognormal(0, 1, size) for size in sizes)
        found = choose(Sides(a, b, False, "value", Missing(nothing, nothing, "exclude"), (), None, single=False))
        return found.test.p_value <= 0.05

    assert sum(alarm() for _ in range(1000)) <= binom.ppf(0.999, 1000, 0.05)
