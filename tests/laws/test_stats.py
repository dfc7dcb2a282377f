"""Laws of the statistics: whatever comes in, a defined answer or one sentence; and answers that move as they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tele.analysis.stats.agreement import cohen_kappa, krippendorff_alpha
from tele.analysis.stats.attempts import mean_of_shares, pass_at_k, pass_hat_k
from tele.analysis.stats.binary import cochran_q, mcnemar
from tele.analysis.stats.bootstrap import bootstrap, bootstrap_mean
from tele.analysis.stats.clustered import clustered_difference, clustered_mean, clustered_paired
from tele.analysis.stats.corrections import adjust
from tele.analysis.stats.effects import a12, cliffs_delta, cohens_d, hedges_g, hedges_g_paired, risk_difference
from tele.analysis.stats.equivalence import equivalence, non_inferiority
from tele.analysis.stats.paired import paired_t
from tele.analysis.stats.permutation import max_t, sign_flip
from tele.analysis.stats.power import mde, paired_components, required_n, variance_components
from tele.analysis.stats.proportions import clopper_pearson, newcombe, two_proportions, wilson
from tele.analysis.stats.quantiles import quantile, quantile_difference
from tele.analysis.stats.results import Effect, Estimate, TestResult
from tele.analysis.stats.sequential import bounded_sequence, mean_sequence, paired_evidence
from tele.analysis.stats.several import anova, dunnett, kruskal
from tele.analysis.stats.shuffle import permutation
from tele.analysis.stats.summary import mean_interval, moments, one_sample_t, sd_interval
from tele.analysis.stats.survival import log_rank, survival_quantile
from tele.analysis.stats.unpaired import brunner_munzel, mann_whitney, welch
from tele.errors import BadInput

HOSTILE = st.lists(
    st.one_of(
        st.sampled_from([0.0, 1.0, 1.0, 0.1, 0.3, -1.0, 1e-300, 1e149, 1e9, 1e9 + 1e-3]),
        st.sampled_from([math.nan, math.inf, -math.inf, 1e308]) | st.floats(-10, 10),
    ),
    max_size=12,
)
TAME = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=6, max_size=30)
LABELS = st.lists(st.sampled_from("abc"), min_size=12, max_size=12)

ONE = [
    mean_interval,
    sd_interval,
    lambda x: one_sample_t(x, 1.0),
    lambda x: quantile(x, 0.5),
    bootstrap_mean,
    lambda x: bootstrap(x, np.mean, draws=100),
    mean_of_shares,
    lambda x: pass_at_k(x, [3] * len(x), 2),
    lambda x: survival_quantile(x, [1] * len(x), 0.5),
    lambda x: survival_quantile(x, [i % 2 for i in range(len(x))], 0.9),
    lambda x: clustered_mean(x, list("aabbccddeeff")[: len(x)]),
]
TWO = [
    paired_t,
    sign_flip,
    lambda a, b: sign_flip(a * 3, b * 3, draws=50),
    welch,
    permutation,
    lambda a, b: permutation(a * 3, b * 2, statistic="mean", draws=50),
    mann_whitney,
    brunner_munzel,
    mcnemar,
    cohens_d,
    hedges_g,
    hedges_g_paired,
    a12,
    cliffs_delta,
    anova,
    kruskal,
    lambda a, b: equivalence(a, b, 0.5, paired=True),
    lambda a, b: equivalence(a, b, 0.5, paired=False),
    lambda a, b: non_inferiority(a, b, 0.5, better="lower", paired=True),
    lambda a, b: quantile_difference(a, b, 0.9),
    lambda a, b: clustered_paired(a, b, list("aabbccddeeff")[: len(a)]),
    lambda a, b: clustered_difference(a, b, list("aabbccddeeff")[: len(a)], list("aabbccddeeff")[: len(b)]),
    lambda a, b: log_rank(a, [1] * len(a), b, [1] * len(b)),
    lambda a, b: cochran_q(list(zip(a, b, strict=False))),
]


def defined(call, *args):
    """Call; whatever comes back is a number where a number is promised, and a refusal is one sentence."""
    try:
        found = call(*args)
    except BadInput as refusal:
        found = refusal
    if isinstance(found, BadInput):
        assert len(str(found)) > 20
        assert str(found).endswith(".")
        return
    assert isinstance(found, (Estimate, Effect, TestResult))
    bounds = found.interval
    if isinstance(found, TestResult):
        assert 0 <= found.p_value <= 1
        assert math.isfinite(found.statistic)
    else:
        assert not math.isnan(found.value)
    if bounds is not None:
        assert bounds[0] <= bounds[1]


@pytest.mark.parametrize("number", range(len(ONE)))
@settings(max_examples=25, deadline=None)
@given(x=HOSTILE)
def test_one_sample_gives_a_defined_answer_or_one_sentence(number, x):
    defined(ONE[number], x)


@pytest.mark.parametrize("number", range(len(TWO)))
@settings(max_examples=25, deadline=None)
@given(a=HOSTILE, b=HOSTILE, equal=st.booleans(), same=st.booleans())
def test_two_samples_give_a_defined_answer_or_one_sentence(number, a, b, equal, same):
    if same:
        b = list(a)
    elif equal:
        a, b = a[: len(b)], b[: len(a)]
    defined(TWO[number], a, b)


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE)
def test_sequences_families_and_components_give_numbers_or_one_sentence(x, y):
    def numbers(call):
        try:
            return np.asarray(call(), dtype=float)
        except BadInput as refusal:
            return str(refusal)

    width = min(len(x), len(y))
    both = list(zip(x, y, strict=False))
    labels = list("aabbccddeeff")
    for call in (
        lambda: mean_sequence(x, burn_in=2).interval,
        lambda: bounded_sequence(x, low=-10, high=10, grid=20).interval,
        lambda: paired_evidence(x[:width], y[:width]).p_value,
        lambda: max_t(both, draws=20),
        lambda: variance_components(x, labels[: len(x)]).between,
        lambda: paired_components(x, labels[: len(x)], y, labels[: len(y)]).between,
        lambda: [found.p_value for found in dunnett(x, y)],
    ):
        found = numbers(call)
        assert found.endswith(".") if isinstance(found, str) else not np.isnan(found).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8), st.integers(0, 8))
def test_counts_give_a_defined_answer_or_one_sentence(s, n, other, m):
    defined(wilson, s, n)
    defined(clopper_pearson, s, n)
    defined(two_proportions, s, n, other, m)
    defined(risk_difference, s, n, other, m)
    defined(pass_hat_k, [s, other], [n, m], 2)


@settings(max_examples=30, deadline=None)
@given(LABELS, LABELS)
def test_judges_get_a_defined_answer_or_one_sentence(a, b):
    defined(cohen_kappa, a, b)
    defined(lambda: krippendorff_alpha([a, b], draws=50))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_and_counted(bad):
    for call in (mean_interval, moments, bootstrap_mean, sd_interval):
        with pytest.raises(BadInput, match=r"1 of 4 values that are NaN or infinite"):
            call([1, 2, 3, bad])


def test_all_failed_and_no_discord_are_answers():
    zeros = np.zeros(40)

    for found in (mcnemar(zeros, zeros), paired_t(zeros, zeros), sign_flip(zeros, zeros), welch(zeros, zeros)):
        assert (found.p_value, found.estimate) == (1.0, 0.0)
        assert found.note
    assert two_proportions(0, 40, 0, 40).p_value == 1.0
    assert wilson(0, 40).interval == (0.0, pytest.approx(0.0876, abs=1e-4))
    assert mean_of_shares(zeros).interval == pytest.approx(wilson(0, 40).interval)
    assert max_t(np.zeros((5, 3))) == [1.0, 1.0, 1.0]


def test_certainty_is_never_claimed_from_a_lack_of_spread():
    with pytest.raises(BadInput, match="sign-flip"):
        paired_t([1.1, 2.1, 3.1], [1.0, 2.0, 3.0])
    assert sign_flip([1.5, 2.5, 3.5], [1.0, 2.0, 3.0]).p_value == 0.25
    with pytest.raises(BadInput, match="constant"):
        welch([1, 1, 1], [2, 2, 2])
    with pytest.raises(BadInput, match="Mann-Whitney"):
        brunner_munzel([1, 1, 1], [2, 2, 2])
    with pytest.raises(BadInput, match="no spread"):
        equivalence([1, 1, 1], [1, 1, 1], 0.1, paired=True)


@settings(max_examples=40, deadline=None)
@given(st.data(), TAME, st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_changes_nothing(data, a, seed):
    b = data.draw(st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=len(a), max_size=len(a)))
    order = np.random.default_rng(seed).permutation(len(a))
    x, y = np.array(a), np.array(b)
    for call in (paired_t, welch, mann_whitney, hedges_g, a12, lambda p, q: quantile_difference(p, q, 0.5)):
        try:
            one = call(x, y)
        except BadInput:
            with pytest.raises(BadInput):
                call(x[order], y[order])
            continue
        two = call(x[order], y[order])
        for field in ("statistic", "p_value", "value"):
            if hasattr(one, field):
                assert getattr(two, field) == pytest.approx(getattr(one, field), rel=1e-7, abs=1e-9)
    assert mean_interval(x).value == pytest.approx(mean_interval(x[order]).value, abs=1e-9)
    if len(a) <= 12:
        assert sign_flip(x, y).p_value == sign_flip(x[order], y[order]).p_value


@settings(max_examples=40, deadline=None)
@given(TAME, st.sampled_from([1e-3, 0.5, 2.0, 1e6]))
def test_a_change_of_units_scales_figures_and_leaves_p_values(a, unit):
    x = np.array(a)
    assume(np.ptp(x) > 0.01)
    y = np.roll(x, 1) * 0.5
    for call in (mean_interval, sd_interval, lambda v: quantile(v, 0.5), bootstrap_mean):
        one, two = call(x), call(x * unit)
        assert two.value == pytest.approx(one.value * unit, rel=1e-6, abs=1e-9 * unit)
        if one.interval is not None:
            assert two.interval == pytest.approx([end * unit for end in one.interval], rel=1e-5, abs=1e-7 * unit)
    for call in (paired_t, welch, mann_whitney, kruskal):
        try:
            one = call(x, y)
        except BadInput:
            continue
        assert call(x * unit, y * unit).p_value == pytest.approx(one.p_value, rel=1e-6)


@settings(deadline=None)
@given(st.lists(TAME, min_size=1, max_size=5))
def test_merging_shards_is_one_pass(shards):
    merged = moments(shards[0])
    for shard in shards[1:]:
        merged = merged.merge(moments(shard))
    whole = moments([value for shard in shards for value in shard])

    assert (merged.n, merged.low, merged.high) == (whole.n, whole.low, whole.high)
    assert merged.mean == pytest.approx(whole.mean, abs=1e-10)
    assert merged.squares == pytest.approx(whole.squares, rel=1e-9, abs=1e-8)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=20))
def test_corrections_never_help_and_keep_the_order(p):
    for method in ("holm", "bh", "bonferroni"):
        adjusted = adjust(p, method)
        assert all(ours >= raw for ours, raw in zip(adjusted, p, strict=True))
        assert all(adjusted[i] <= adjusted[j] for i in range(len(p)) for j in range(len(p)) if p[i] < p[j])
    for b, h, f in zip(*(adjust(p, method) for method in ("bonferroni", "holm", "bh")), strict=True):
        assert b + 1e-12 >= h >= f - 1e-12


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_swapping_the_sides_turns_the_difference_round(s, n, t, m):
    s, t = min(s, n), min(t, m)

    low, high = newcombe(s, n, t, m)

    assert newcombe(t, m, s, n) == pytest.approx((-high, -low))
    assert low <= s / n - t / m <= high


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 3), st.floats(0, 5), st.integers(1, 10), st.booleans())
def test_the_planned_number_of_items_sees_the_difference_that_it_was_planned_for(difference, within, k, paired):
    n = required_n(difference, 1.0, within, k, paired=paired)

    assert mde(n, 1.0, within, k, paired=paired) <= difference * (1 + 1e-9)
    if n > 2:
        assert mde(n - 1, 1.0, within, k, paired=paired) > difference


@settings(deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_evidence_does_not_depend_on_the_order_at_its_end(a, seed):
    rng = np.random.default_rng(seed)
    x, y = np.array(a), rng.integers(0, 2, len(a))
    order = rng.permutation(len(a))

    assert paired_evidence(x, y).e[-1] == pytest.approx(paired_evidence(x[order], y[order]).e[-1])


def test_a_run_of_one_value_leaves_a_sequence_open():
    assert mean_sequence([3.0] * 50).interval == (-math.inf, math.inf)
    low, high = bounded_sequence([1.0] * 50).interval
    assert 0.8 < low < high == 1.0


def test_components_of_rows_without_replicates_say_so():
    assert variance_components([1, 2, 3], ["a", "b", "c"]).within is None
    with pytest.raises(BadInput, match="one item"):
        variance_components([1, 2, 3], ["a", "a", "a"])


def test_dunnett_refuses_groups_without_spread():
    with pytest.raises(BadInput, match="constant"):
        dunnett([1, 1], [2, 2])
