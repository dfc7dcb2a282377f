from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

import tele
from tele.errors import BadInput, UnknownTarget
from tele.trace import Chain, ReasoningEvent, parse_chain, record_chain
from tele.trace.chain import ParseWarning
from tele.trace.edit import add
from tele.trace.search import search
from tele.trace.storage import archive, list_chains, load, restore, save, versions

NOON = dt.datetime(2025, 6, 15, 12, 0, 0, 5, tzinfo=dt.UTC)
FULL = Chain(
    "c1",
    "storage",
    (
        ReasoningEvent(
            "hypothesis_formed",
            "Use Redis",
            "fast\n\n  ",
            "1",
            ("a, b", "c"),
            0.9,
            "f()",
            "§2",
            None,
            (),
            "plan",
            "e2",
            NOON,
            {"n": 3, "deep": {"x": [1.5, None]}},
        ),
        ReasoningEvent("alternative_rejected", "", "\u0000 ünï", "2", parent="1", depends_on=("1",), confidence=0.0),
    ),
    metadata={"model": "m"},
    warnings=(ParseWarning("no_decision", "the event has no <decision>", 3, 7),),
    created_at=NOON,
    description="why Redis",
)


def test_what_is_saved_is_loaded(tele_store):
    save(FULL)
    with tele_store.open() as reader:
        assert load(reader, "c1") == FULL
        assert versions(reader, "c1") == [(1, FULL.hash, None, True)]


def test_a_change_is_a_new_version_with_its_parent_and_the_old_one_stays(tele_store):
    with tele.experiment("e"):
        save(FULL)
        second = save(add(FULL, dataclasses.replace(FULL.events[0], id="3")), parent=FULL)
        third = save(dataclasses.replace(second, name="renamed"), parent=second)
        assert save(third, parent=third) is third

    with tele_store.open() as reader:
        assert [found.version for found in (second, third, load(reader, "c1"))] == [2, 3, 3]
        assert (second.parent_hash, third.parent_hash) == (FULL.hash, second.hash)
        assert load(reader, "c1", version=1) == FULL
        assert load(reader, "c1", hash=FULL.hash[:8]) == FULL
        assert load(reader, "c1") == third
        assert reader.rows("SELECT name, version, n_events, parent_hash FROM chains") == [
            ("renamed", 3, 3, second.hash)
        ]
        assert reader.rows("SELECT count(*) FROM reasoning") == [(3,)]


def test_a_version_that_is_saved_elsewhere_leaves_what_a_run_says(tele_store):
    with tele.experiment("e"):
        save(FULL)
    save(add(FULL, dataclasses.replace(FULL.events[0], id="3")), parent=FULL)
    with tele_store.open() as reader:
        assert reader.rows("SELECT experiment, version, n_events FROM chains ORDER BY version") == [
            ("e", 1, 2),
            ("default", 2, 3),
        ]
        assert load(reader, "c1").version == 2


def test_a_chain_without_events_is_a_chain(tele_store):
    save(Chain("empty", "nothing said"))
    with tele_store.open() as reader:
        assert load(reader, "empty") == Chain("empty", "nothing said")
        assert reader.rows("SELECT name, n_events, mean_confidence FROM chains") == [("nothing said", 0, None)]


def test_a_text_too_long_for_a_line_comes_back_whole(tele_store):
    long = Chain("c", "n", (ReasoningEvent("pattern_applied", "d", "ß" * 40_000, "1"),))
    save(long)
    with tele_store.open() as reader:
        assert load(reader, "c") == long
        assert versions(reader, "c")[0][3] is True


def test_a_secret_is_not_kept_and_the_hash_is_of_what_is_kept(tele_store):
    secret = "sk-proj-" + "a1B2" * 12
    chain = Chain("c", "n", (ReasoningEvent("pattern_applied", f"use {secret}", "r", "1"),))
    save(chain)
    with tele_store.open() as reader:
        kept = load(reader, "c")
        assert secret not in kept.events[0].decision
        assert versions(reader, "c") == [(1, kept.hash, None, True)]
        assert kept.hash != chain.hash


def test_a_recording_that_was_changed_since_is_found_out(tele_store):
    save(FULL)
    with tele_store.open() as reader:
        [(event_id,)] = reader.rows("SELECT event_id FROM reasoning WHERE position = 0")
    tele.score(event_id, "confidence", 0.1)
    with tele_store.open() as reader:
        assert load(reader, "c1").events[0].confidence == 0.1
        assert [same for *_, same in versions(reader, "c1")] == [False]


def test_what_is_said_beside_a_chain_and_of_its_events_later_leaves_its_hash(tele_store):
    save(FULL, reviewer="ada")
    with tele_store.open() as reader:
        [(event_id,)] = reader.rows("SELECT event_id FROM reasoning WHERE position = 0")
    tele.score(event_id, "helpful", True)
    with tele_store.open() as reader:
        assert load(reader, "c1") == FULL
        assert versions(reader, "c1")[0][3] is True
        assert reader.rows("SELECT count(*) FROM events WHERE attributes->>'$.reviewer' = 'ada'") == [(3,)]


def test_events_that_something_else_wrote_are_a_chain_without_a_hash(tele_store):
    tele.event("causal_trace.event.created", {"chain_id": "x", "type": "pattern_applied", "decision": "d"})
    with tele_store.open() as reader:
        assert [event.decision for event in load(reader, "x").events] == ["d"]
        assert versions(reader, "x") == [(1, None, None, None)]


def test_an_unknown_chain_is_refused_with_the_nearest(tele_store):
    save(FULL)
    with tele_store.open() as reader:
        for ask in (load, versions):
            with pytest.raises(UnknownTarget, match="Nearest: c1"):
                ask(reader, "c11")
        with pytest.raises(BadInput, match=rf"has no such version; it has 1 \({FULL.hash[:8]}\)"):
            load(reader, "c1", version=9)


class TestLists:
    @pytest.fixture
    def reader(self, tele_store):
        with tele.experiment("e", condition="a"):
            for n in range(3):
                record_chain(Chain(f"c{n}", f"Plan {n}", FULL.events[:n]))
        record_chain(Chain("other", "sketch", FULL.events))
        with tele_store.open() as store:
            yield store

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, ["other", "c2", "c1", "c0"]),
            ({"name_contains": "PLAN"}, ["c2", "c1", "c0"]),
            ({"min_events": 1, "max_events": 1}, ["c1"]),
            ({"experiment": "e", "limit": 2}, ["c2", "c1"]),
            ({"since": dt.datetime(2100, 1, 1, tzinfo=dt.UTC)}, []),
            ({"until": dt.datetime(2100, 1, 1, tzinfo=dt.UTC), "condition": "a", "min_events": 2}, ["c2"]),
        ],
    )
    def test_a_list_is_narrowed(self, reader, asked, found):
        assert [each.chain_id for each in list_chains(reader, **asked)] == found

    def test_a_list_by_nonsense_is_refused(self, reader):
        with pytest.raises(BadInput, match="not listed by 'colour'"):
            list_chains(reader, colour="red")

    def test_what_is_archived_leaves_lists_and_searches_and_can_come_back(self, reader, tele_store):
        assert archive(["c1"]) == ["c1"]
        with tele_store.open() as store:
            assert [each.chain_id for each in list_chains(store)] == ["other", "c2", "c0"]
            assert [each.chain_id for each in list_chains(store, archived=True)] == ["c1"]
            assert {hit.chain_id for hit in search(store, "redis")} == {"c2", "other"}
            assert {hit.chain_id for hit in search(store, "redis", archived=True)} == {"c1", "c2", "other"}
            assert load(store, "c1").name == "Plan 1"
            assert store.rows("SELECT count(*) FROM reasoning WHERE experiment = 'e'") == [(3,)]
        restore("c1")
        with tele_store.open() as store:
            assert len(list_chains(store)) == 4
            later = dt.datetime.now(dt.UTC) + dt.timedelta(days=8)
            assert sorted(archive(store=store, older_than_days=7, now=later)) == ["c0", "c1", "c2", "other"]
        with tele_store.open() as store:
            assert list_chains(store) == []
        with pytest.raises(BadInput, match="Name the store"):
            archive(older_than_days=7)


def test_it_is_found_when_sealed_as_well(tele_store):
    from tele.store.layout import open_layout
    from tele.store.seal import seal

    save(
        parse_chain(
            "<event type='pattern_applied'><decision>d</decision><reasoning>r</reasoning></event>", chain_id="p"
        )
    )
    tele.configure(seal="manual")
    seal(open_layout(tele_store.path))
    with tele_store.open() as reader:
        assert [same for *_, same in versions(reader, "p")] == [True]
