from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.edit import add, between, keep, merge, new_chain, positions, sort
from tele.trace.relations import cycles, relations
from tele.trace.validate import check, problems

NOON = dt.datetime(2025, 6, 15, 12, tzinfo=dt.UTC)


def event(id_, **said):
    return ReasoningEvent(**{"type": "pattern_applied", "decision": f"d{id_}", "reasoning": "r", "id": id_} | said)


def ids(events):
    return [each.id for each in events]


class TestRelations:
    chain = Chain(
        "c", "n", (event("plan"), event("a", parent="plan"), event("b", parent="plan", depends_on=("a",)), event("z"))
    )

    def test_children_parents_roots_leaves_and_what_an_event_rests_on(self):
        found = relations(self.chain)
        assert ids(found.roots) == ["plan", "z"]
        assert ids(found.leaves) == ["b", "z"]
        assert ids(found.children("plan")) == ["a", "b"]
        assert ids(found.dependents("a")) == ["b"]
        assert found.parent("b").id == "plan"
        assert found.parent("z") is None
        assert ids(found.rests_on("b")) == ["plan", "a"]

    def test_a_circle_is_told_from_its_earliest_event_on(self):
        around = Chain(
            "c", "n", (event("1"), event("2", parent="4"), event("3", depends_on=("2",)), event("4", parent="3"))
        )
        assert cycles(around) == (("2", "4", "3"),)
        assert cycles(Chain("c", "n", (event("1", depends_on=("1",)),))) == (("1",),)
        assert cycles(self.chain) == ()
        assert len(relations(around).rests_on("2")) == 2

    def test_a_diamond_is_no_circle(self):
        events = (event("1"), event("2", parent="1"), event("3", parent="1"), event("4", depends_on=("2", "3")))
        assert cycles(Chain("c", "n", events)) == ()

    def test_a_hundred_thousand_links_need_no_recursion(self):
        long = Chain("c", "n", tuple(event(str(n), parent=str(n + 1)) for n in range(100_000)))
        assert cycles(long) == ()

    @given(st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=6))
    def test_there_is_a_circle_exactly_where_the_events_cannot_be_put_in_order(self, links):
        chain = Chain("c", "n", tuple(event(str(n), depends_on=tuple(map(str, to))) for n, to in enumerate(links)))
        left = {n: {to for to in above if to < len(links)} for n, above in enumerate(links)}
        while free := [n for n, above in left.items() if not above & left.keys()]:
            for n in free:
                del left[n]
        assert bool(cycles(chain)) is bool(left)


class TestValidation:
    def test_every_problem_is_listed_not_the_first(self):
        chain = Chain(
            "c",
            " ",
            (
                event("1", type="musing", decision=" ", confidence=1.5, parent="9"),
                event("1", depends_on=("2", "8")),
                event("2", depends_on=("1",), confidence=float("nan")),
                event("3", created_at=dt.datetime(2025, 1, 1)),  # noqa: DTZ001
            ),
        )
        found = [(problem.code, problem.event) for problem in problems(chain)]
        assert found == [
            ("unknown_type", "1"),
            ("confidence", "1"),
            ("no_decision", "1"),
            ("confidence", "2"),
            ("no_time_zone", "3"),
            ("chain_no_name", None),
            ("repeated_id", "1"),
            ("missing_parent", "1"),
            ("missing_dependency", "1"),
        ]
        with pytest.raises(BadInput, match="has 9 problems: 1: 'musing' is none"):
            check(chain)

    def test_types_of_ones_own_and_a_confidence_of_one_are_valid(self):
        chain = Chain("c", "n", (event("1", type="musing", confidence=1), event("2", type="loss_computed")))
        assert problems(chain, types=["musing"]) == ()
        assert check(chain, types=["musing"]) is chain

    def test_a_circle_is_a_problem_of_the_chain(self):
        chain = Chain("c", "n", (event("1", parent="2"), event("2", parent="1")))
        assert [(p.code, p.message) for p in problems(chain)] == [("cycle", "it rests on itself: 1 → 2 → 1")]


class TestEditing:
    def test_a_merge_keeps_the_first_name_and_makes_ids_that_clash_their_own(self):
        first = Chain("one", "first", (event("1"),), metadata={"a": 1, "b": 1})
        second = Chain("two", "second", (event("1"), event("2", parent="1", depends_on=("1",))), metadata={"b": 2})

        merged = merge(first, second)

        assert (merged.id, merged.name, merged.metadata) == ("one", "first", {"a": 1, "b": 2})
        assert [(e.id, e.parent, e.depends_on) for e in merged.events] == [
            ("1", None, ()),
            ("two.1", None, ()),
            ("2", "two.1", ("two.1",)),
        ]
        assert problems(merged) == ()
        assert len(set(ids(merge(first, first, first).events))) == 3

    def test_events_are_kept_sorted_and_cut_out_of_a_stretch(self):
        at = [NOON + dt.timedelta(minutes=n) for n in range(4)]
        chain = new_chain("n", (event("2", created_at=at[2]), event("x"), event("0", created_at=at[0])))
        chain = add(chain, event("3", created_at=at[3]))
        assert ids(sort(chain).events) == ["0", "2", "3", "x"]
        assert ids(sort(chain, descending=True).events) == ["3", "2", "0", "x"]
        assert ids(between(chain, at[2], at[3]).events) == ["2", "3"]
        assert ids(between(chain, until=at[0]).events) == ["0"]
        assert ids(between(chain).events) == ["2", "x", "0", "3"]
        assert ids(keep(chain, lambda e: e.created_at is None).events) == ["x"]
        assert ids(positions(chain, 1, 3).events) == ["x", "0"]
        assert len(chain.id) == 32

    def test_what_cannot_be_sorted_or_bounded_is_refused(self):
        with pytest.raises(BadInput, match="sorted by one of"):
            sort(Chain("c", "n"), "colour")
        with pytest.raises(BadInput, match="cannot be sorted by metadata"):
            sort(Chain("c", "n", (event("1"), event("2"))), "metadata")
        with pytest.raises(BadInput, match="needs a time zone"):
            between(Chain("c", "n"), dt.datetime(2025, 1, 1))  # noqa: DTZ001
