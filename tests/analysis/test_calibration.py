from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tele
from tele.analysis.calibration import calibrate, calibration
from tele.errors import BadInput
from tele.trace import Chain, ReasoningEvent, record_chain

np = pytest.importorskip("numpy")


class TestFigures:
    def test_the_scores_of_four_forecasts_worked_out_by_hand(self):
        found = calibrate([0.9, 0.8, 0.3, 0.1], [True, True, True, False], bins=2)
        assert found.brier == pytest.approx((0.01 + 0.04 + 0.49 + 0.01) / 4)
        assert found.ece == pytest.approx(0.5 * abs(0.2 - 0.5) + 0.5 * abs(0.85 - 1))
        assert found.mce == pytest.approx(0.3)
        assert found.brier_skill == pytest.approx(1 - 0.1375 / (0.75 * 0.25))
        assert found.overconfidence == pytest.approx(0.525 - 0.75)
        assert [(b.low, b.high, b.count, b.accuracy) for b in found.curve] == [(0, 0.5, 2, 0.5), (0.5, 1, 2, 1)]
        assert [b.mean_confidence for b in found.curve] == pytest.approx([0.2, 0.85])
        # Wilson's interval of 1 of 2, from z = 1.959964: centre 0.5, half width z/(2*sqrt(2 + z*z))
        half = 1.959963984540054 / (2 * math.sqrt(2 + 1.959963984540054**2))
        assert found.curve[0].interval == pytest.approx((0.5 - half, 0.5 + half))

    def test_the_textbook_forecasts_of_rain(self):
        # a forecaster who says 70 % ten times, of which it rains seven times, and 30 % ten times, of which three
        found = calibrate([0.7] * 10 + [0.3] * 10, [1] * 7 + [0] * 3 + [1] * 3 + [0] * 7)
        assert found.ece == pytest.approx(0)
        assert found.brier == pytest.approx(0.21)  # p (1 - p) in both
        assert found.brier_skill == pytest.approx(1 - 0.21 / 0.25)
        assert found.ece_by_chance > 0.05

    def test_a_confidence_on_an_edge_belongs_to_the_bin_below(self):
        found = calibrate([0.0, 0.3, 0.6, 0.7, 1.0], [1] * 5)
        assert [b.high for b in found.curve] == pytest.approx([0.1, 0.3, 0.6, 0.7, 1.0])
        assert found.brier_skill is None

    def test_bins_of_equal_count_hold_as_many_each(self):
        found = calibrate([0.91, 0.92, 0.93, 0.94], [1, 0, 1, 1], bins=2, equal="count")
        assert [b.count for b in found.curve] == [2, 2]
        assert calibrate([0.5] * 4, [1, 0, 1, 0], equal="count").ece == 0

    def test_the_interval_of_the_brier_score_is_that_of_a_mean(self):
        draw = np.random.default_rng(1)
        sure = draw.random(400)
        right = (draw.random(400) < sure).astype(float)
        errors = (sure - right) ** 2
        half = 1.96 * errors.std(ddof=1) / math.sqrt(400)  # the normal interval of a mean of independent values
        assert calibrate(sure, right).brier_interval == pytest.approx(
            (errors.mean() - half, errors.mean() + half), abs=0.006
        )

    def test_items_that_are_asked_again_widen_the_interval(self):
        draw = np.random.default_rng(2)
        sure = np.repeat(draw.random(40), 10)
        right = np.repeat((draw.random(40) < sure[::10]).astype(float), 10)
        apart = calibrate(sure, right, resamples=500)
        together = calibrate(sure, right, clusters=np.repeat(np.arange(40), 10).tolist(), resamples=500)
        widths = [high - low for low, high in (apart.brier_interval, together.brier_interval)]
        assert widths[1] / widths[0] == pytest.approx(math.sqrt(10), rel=0.25)
        assert (apart.clusters, together.clusters) == (400, 40)

    def test_what_chance_gives_is_the_error_of_a_calibrated_forecaster(self):
        draw = np.random.default_rng(3)
        sure = draw.random(60)
        seen = [calibrate(sure, (draw.random(60) < sure).astype(float), resamples=1).ece for _ in range(200)]
        assert calibrate(sure, np.zeros(60)).ece_by_chance == pytest.approx(np.mean(seen), rel=0.1)

    def test_a_seed_gives_one_answer_and_one_forecast_has_no_interval(self):
        asked = ([0.1, 0.5, 0.9], [0, 1, 1])
        assert calibrate(*asked) == calibrate(*asked)
        assert calibrate([0.5], [1]).ece_interval is None

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=20), st.integers(1, 12))
    def test_the_curve_holds_everything_once_and_the_scores_are_in_bounds(self, pairs, bins):
        sure, right = zip(*pairs, strict=True)
        found = calibrate(sure, right, bins=bins, resamples=20)
        assert sum(b.count for b in found.curve) == found.count == len(pairs)
        weighted = sum(b.count * abs(b.mean_confidence - b.accuracy) for b in found.curve) / len(pairs)
        assert found.ece == pytest.approx(weighted)
        assert 0 <= found.ece <= found.mce + 1e-12 <= 1 + 1e-9
        assert 0 <= found.ece_interval[0] <= found.ece_interval[1] <= 1
        assert abs(found.overconfidence) <= found.ece + 1e-12

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            (([], []), "no confidence"),
            (([0.5], [1, 0]), "one outcome"),
            (([1.5], [1]), "from 0 to 1"),
            (([0.5], [0.5]), "1, right, or 0"),
            (([float("nan")], [1]), "from 0 to 1"),
        ],
    )
    def test_what_is_no_forecast_is_refused(self, asked, why):
        with pytest.raises(BadInput, match=why):
            calibrate(*asked)


def says(*confidences):
    return Chain(
        "c", "n", tuple(ReasoningEvent(f"t{n}", "d", "r", str(n), confidence=c) for n, c in enumerate(confidences))
    )


class TestOfAnExperiment:
    def test_outcomes_are_found_on_the_span_in_it_or_by_the_item(self, tele_store):
        with tele.experiment("e", condition="a"):
            with tele.span("chat", item_id="1") as scored:
                record_chain(says(0.2, 0.9))
            with tele.span("chat", item_id="2"):
                record_chain(says(0.8, None))
                tele.metric("correct", False)
            with tele.span("chat", item_id="3"):
                record_chain(says(0.6))
            with tele.span("chat", item_id="4"):
                record_chain(says(0.5))
            tele.metric("correct", False, item_id="3")
            tele.metric("correct", True, item_id="3")
        tele.score(scored, "correct", True)
        with tele.experiment("other"):
            tele.metric("correct", True, item_id="4")

        with tele_store.open() as reader:
            found = calibration(reader, "e")
            least = calibration(reader, "e", of="min", by=None)
            each = calibration(reader, "e", of="events", by="type")

        assert list(found.groups) == ["a"]
        expected = calibrate([0.9, 0.8, 0.6], [1, 0, 1])
        assert (found.groups["a"].brier, found.groups["a"].count) == (pytest.approx(expected.brier), 3)
        assert found.without_outcome == 1
        assert least.groups[None].brier == pytest.approx((0.8**2 + 0.8**2 + 0.4**2) / 3)
        assert {key: c.count for key, c in each.groups.items()} == {"t0": 3, "t1": 1}

    def test_an_item_is_resampled_with_all_its_replicates(self, tele_store):
        for replicate in range(3):
            with tele.experiment("e", condition="a", replicate=replicate):
                for item in "12":
                    with tele.span("chat", item_id=item):
                        record_chain(says(0.7))
                    tele.metric("correct", item == "1", item_id=item)
        with tele_store.open() as reader:
            group = calibration(reader, "e").groups["a"]
        assert (group.count, group.clusters, group.accuracy) == (6, 2, 0.5)

    def test_a_score_that_is_no_verdict_needs_a_threshold(self, tele_store):
        with tele.experiment("e", condition="a"), tele.span("chat", item_id="1"):
            record_chain(says(0.7))
            tele.metric("f1", 0.4)
        with tele_store.open() as reader:
            with pytest.raises(BadInput, match=r"threshold=0\.5"):
                calibration(reader, "e", outcome="f1")
            assert calibration(reader, "e", outcome="f1", threshold=0.4).groups["a"].accuracy == 1
            for asked, why in (
                ({}, "No chain of 'e'"),
                ({"of": "first"}, "of is"),
                ({"by": "type"}, "of='events'"),
            ):
                with pytest.raises(BadInput, match=why):
                    calibration(reader, "e", **asked)
