from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tele
from tele.errors import BadInput
from tele.testing import temporary_store
from tele.trace import record_chain
from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.filters import matching, parse_filter
from tele.trace.query import (
    aggregate,
    by_experiment,
    by_stage,
    by_type,
    decision_points,
    find,
    low_confidence,
    statistics,
)
from tele.trace.search import aggregate_chains, search

NOON = dt.datetime(2025, 6, 15, 12, tzinfo=dt.UTC)
CHAIN = Chain(
    "chain-1",
    "storage",
    (
        ReasoningEvent("hypothesis_formed", "Use Redis", "It is fast.", "1", ("Postgres",), 0.9, stage="plan"),
        ReasoningEvent(
            "alternative_rejected", "No Postgres", "Too slow\nfor Redis' job.", "2", (), 0.5, created_at=NOON
        ),
        ReasoningEvent("hypothesis_formed", "Cache it", "Reads repeat.", "3", ("a", "b"), None, stage="build"),
        ReasoningEvent(
            "constraint_evaluated",
            "Expire",
            "Memory.",
            "4",
            (),
            0.7,
            metadata={"team": "x", "n": 3},
            experiment="e2",
            created_at=NOON + dt.timedelta(seconds=90),
        ),
    ),
)


def ids(events):
    return [event.id for event in events]


class TestOneChain:
    def test_its_figures(self):
        found = statistics(CHAIN)
        assert found.total_events == 4
        assert found.event_types == {"hypothesis_formed": 2, "alternative_rejected": 1, "constraint_evaluated": 1}
        assert found.stages == {"plan": 1, "build": 1}
        assert (found.with_confidence, found.min_confidence, found.max_confidence) == (3, 0.5, 0.9)
        assert found.mean_confidence == pytest.approx(0.7)
        assert (found.decision_points, found.alternatives, found.low_confidence) == (2, 3, 1)
        assert found.duration_seconds == 90.0

    def test_an_empty_chain_has_figures_too(self):
        found = statistics(Chain("c", "n"))
        assert (found.total_events, found.mean_confidence, found.duration_seconds) == (0, None, None)

    def test_decision_points_are_events_that_name_alternatives_and_doubts_are_strictly_below(self):
        assert ids(decision_points(CHAIN)) == ["1", "3"]
        assert ids(low_confidence(CHAIN)) == ["2"]
        assert ids(low_confidence(CHAIN, 0.71)) == ["2", "4"]
        assert ids(by_type(CHAIN, "alternative_rejected", "constraint_evaluated")) == ["2", "4"]
        assert {name: ids(events) for name, events in by_stage(CHAIN).items()} == {
            "plan": ["1"],
            None: ["2", "4"],
            "build": ["3"],
        }
        assert ids(by_experiment(CHAIN)["e2"]) == ["4"]

    def test_aggregates_leave_out_what_is_not_stated(self):
        assert aggregate(CHAIN, "type") == {
            "hypothesis_formed": 0.9,
            "alternative_rejected": 0.5,
            "constraint_evaluated": 0.7,
        }
        assert aggregate(CHAIN, "stage", "decision", "count") == {"plan": 1, "build": 1}
        assert aggregate(CHAIN, "stage", "metadata.n", "sum", {"not": {"position": 0}}) == {}
        with pytest.raises(BadInput, match="no number"):
            aggregate(CHAIN, "type", "decision", "mean")
        with pytest.raises(BadInput, match="An aggregate is"):
            aggregate(CHAIN, "type", how="mode")


class TestFilters:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, ["1", "2", "3", "4"]),
            ({"type": "hypothesis_formed"}, ["1", "3"]),
            ({"type": ["alternative_rejected", "x"]}, ["2"]),
            ({"confidence": {"gte": 0.5, "lt": 0.9}}, ["2", "4"]),
            ({"confidence": {"exists": False}}, ["3"]),
            ({"or": [{"stage": "plan"}, {"confidence": {"eq": 0.7}}]}, ["1", "4"]),
            ({"or": []}, []),
            ({"not": {"confidence": {"gt": 0.6}}}, ["2", "3"]),
            ({"reasoning": {"contains": "SLOW"}}, ["2"]),
            ({"reasoning": {"matches": "^Too slow\nfor"}}, ["2"]),
            ({"alternatives": {"contains": "b"}}, ["3"]),
            ({"alternatives": {"exists": True}}, ["1", "3"]),
            ({"metadata.team": "x"}, ["4"]),
            ({"metadata.n": "3"}, ["4"]),
            ({"position": {"gt": 1}, "stage": {"ne": "plan"}}, ["3"]),
        ],
    )
    def test_memory_and_store_give_one_answer(self, asked, found, tele_store):
        with tele.experiment("e"):
            record_chain(CHAIN)
        assert ids(find(CHAIN, asked)) == found
        assert [hit.event.id for hit in search(tele_store.open(), where=asked)] == found

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            ({"colour": "red"}, "no field 'colour'"),
            ({"confidence": {"above": 1}}, "no operator"),
            ({"confidence": "high"}, "compared with a number"),
            ({"confidence": {"lt": float("nan")}}, "compared with a number"),
            ({"decision": {"matches": "("}}, "no regular expression"),
            ({"and": {"type": "x"}}, "holds a list of filters"),
            ({"time": {"gte": "yesterday"}}, "compared with a time"),
            (["type"], "A filter is a mapping"),
        ],
    )
    def test_a_filter_that_asks_nonsense_is_refused_in_a_sentence(self, asked, why):
        with pytest.raises(BadInput, match=why):
            parse_filter(asked)

    texts = st.text("ab c.", max_size=4)
    leaves = st.one_of(
        st.builds(
            lambda f, o, v: {f: {o: v}},
            st.sampled_from(["type", "decision", "stage", "metadata.k"]),
            st.sampled_from(["eq", "ne", "lt", "gte", "contains"]),
            texts,
        ),
        st.builds(
            lambda o, v: {"confidence": {o: v}},
            st.sampled_from(["eq", "ne", "gt", "lte"]),
            st.sampled_from([0.0, 0.5, 1.0]),
        ),
        st.builds(
            lambda f, v: {f: {"exists": v}},
            st.sampled_from(["confidence", "stage", "alternatives", "metadata.k"]),
            st.booleans(),
        ),
        st.builds(lambda o, v: {"alternatives": {o: v}}, st.sampled_from(["contains", "ne"]), texts),
        st.builds(lambda v: {"decision": v}, st.lists(texts, max_size=2)),
    )
    filters = st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda parts: {"and": parts}, st.lists(inner, max_size=2)),
            st.builds(lambda parts: {"or": parts}, st.lists(inner, max_size=2)),
            st.builds(lambda part: {"not": part}, inner),
        ),
        max_leaves=5,
    )
    events = st.builds(
        ReasoningEvent,
        type=texts,
        decision=texts,
        reasoning=texts,
        id=st.just("x"),
        confidence=st.sampled_from([None, 0.0, 0.5, 1.0]),
        alternatives=st.lists(texts, max_size=2).map(tuple),
        stage=st.none() | texts,
        metadata=st.dictionaries(st.just("k"), texts),
    )

    @settings(max_examples=15, deadline=None)
    @given(st.lists(events, max_size=5), st.lists(filters, min_size=8, max_size=8))
    def test_a_filter_means_the_same_in_sql(self, events, filters):
        chain = Chain("c", "n", tuple(events))
        with temporary_store() as store:
            record_chain(chain)
            with store.open() as reader:
                for asked in filters:
                    there = [hit.position for hit in search(reader, where=asked)] if events else []
                    wanted = matching(asked)
                    assert there == [at for at, event in enumerate(events) if wanted(event)], asked


class TestAcrossChains:
    @pytest.fixture
    def reader(self, tele_store):
        for condition in ("a", "b"):
            with tele.experiment("e", condition=condition):
                record_chain(CHAIN)
        with tele_store.open() as store:
            yield store

    def test_every_word_must_stand_there_and_quotes_keep_words_together(self, reader):
        assert [(h.event.id, h.condition) for h in search(reader, "redis SLOW")] == [("2", "a"), ("2", "b")]
        assert ids(hit.event for hit in search(reader, '"too slow"', condition="a")) == ["2"]
        assert search(reader, '"slow too"') == []
        assert ids(h.event for h in search(reader, "postgres", fields=("alternatives",), limit=1)) == ["1"]
        assert search(reader, "100%_") == []

    def test_expressions_bounds_and_columns_narrow_it(self, reader):
        found = search(reader, regex="(?i)^use r.d", min_confidence=0.8, type=["hypothesis_formed"], experiment="e")
        assert [(h.chain_id, h.chain_name, h.position, h.condition) for h in found] == [
            ("chain-1", "storage", 0, "a"),
            ("chain-1", "storage", 0, "b"),
        ]
        assert search(reader, since="2100-01-01") == []
        assert len(search(reader, until="2100-01-01", max_confidence=0.5)) == 2
        assert found[0].event == CHAIN.events[0]

    def test_what_cannot_be_searched_is_refused(self, reader):
        for asked, why in (
            ({"fields": ("colour",)}, "Text is looked for in"),
            ({"regex": "("}, "no regular expression"),
            ({"colour": "red"}, "no field"),
            ({"limit": -1}, "at least 0"),
        ):
            with pytest.raises(BadInput, match=why):
                search(reader, "x", **asked)

    def test_aggregates_are_of_all_chains(self, reader):
        assert aggregate_chains(reader, "condition", how="count") == {"a": 3, "b": 3}
        assert aggregate_chains(reader, "type", how="max", condition="a")["hypothesis_formed"] == 0.9
        with pytest.raises(BadInput, match="no field"):
            aggregate_chains(reader, "alternatives")
