from __future__ import annotations

import dataclasses
import datetime as dt
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.trace import Chain, ReasoningEvent
from tele.trace.difference import diff

NOON = dt.datetime(2025, 6, 15, 12, tzinfo=dt.UTC)


def event(id_, decision=None, **said):
    return ReasoningEvent(**{"type": "t", "decision": decision or f"d{id_}", "reasoning": "r", "id": id_} | said)


def chain(id_, *events):
    return Chain(id_, "n", events)


def test_by_id_what_came_went_and_changed_is_told_with_both_values():
    before = chain("a", event("1", confidence=0.5, alternatives=("x",)), event("2"), event("3"))
    after = chain("b", event("3"), event("1", confidence=0.8, metadata={"k": 1}), event("4"))

    found = diff(before, after)

    assert found.match == "id"
    assert [e.id for e in found.removed] == ["2"]
    assert [e.id for e in found.added] == ["4"]
    [change] = found.modified
    assert change.fields == {"alternatives": (("x",), ()), "confidence": (0.5, 0.8), "metadata": ({}, {"k": 1})}
    assert (change.before_position, change.after_position) == (0, 1)
    assert found.confidence_deltas == {"1": 0.3}
    assert found.mean_confidence_delta == pytest.approx(0.3)
    assert found.summary == "1 added, 1 removed, 1 modified"
    assert found.overlap == pytest.approx(2 / 3)
    # 12 fields are compared: the event that stayed counts 1, the one with three changes 9/12, of three events
    assert found.similarity == pytest.approx((1 + 9 / 12) / 3)
    assert len(found.moved) == 1


def test_ids_that_the_parser_made_up_match_nothing_in_another_chain():
    before = chain("abcdef0123", event("abcdef01.1", "buy"), event("abcdef01.2", "sell"))
    after = chain("abcdef0199", event("abcdef01.1", "sell"), event("abcdef01.2", "hold"))
    found = diff(before, after)
    assert found.match == "content"
    assert ([e.decision for e in found.removed], [e.decision for e in found.added]) == (["buy"], ["hold"])


def test_equal_contents_are_matched_one_to_one():
    before = chain("a", event("1", "same"), event("2", "same"))
    found = diff(before, chain("b", event("x", "same")), match="content")
    assert ([e.id for e in found.removed], len(found.unchanged), found.overlap) == (["2"], 1, 0.5)


def test_by_position_the_first_answers_to_the_first():
    found = diff(chain("a", event("1"), event("2")), chain("b", event("9")), match="position")
    assert [change.fields for change in found.modified] == [{"decision": ("d1", "d9")}]
    assert len(found.removed) == 1


def test_a_reference_to_the_same_event_under_another_id_is_no_change():
    before = chain("a", event("1", "x"), event("2", "y", parent="1", depends_on=("1",)))
    after = chain("b", event("p", "x"), event("q", "y", parent="p", depends_on=("p",)))
    assert diff(before, after).modified == ()


def test_times_are_compared_where_asked():
    before, after = chain("a", event("1")), chain("a", event("1", created_at=NOON))
    assert diff(before, after).modified == ()
    assert diff(before, after, times=True).modified[0].fields == {"created_at": (None, NOON)}


def test_the_text_says_it_line_by_line():
    found = diff(
        chain("a", event("1", confidence=0.5), event("2")), chain("a", event("1", confidence=0.25), event("3"))
    )
    assert found.to_text().splitlines() == [
        "1 added, 1 removed, 1 modified; matched by id; similarity 0.458",
        "- t: d2",
        "+ t: d3",
        "~ t: d1 (0.5)",
        "    confidence: 0.5 → 0.25",
        "mean confidence -0.250",
    ]


def test_nothing_and_nothing_are_alike_and_an_unknown_way_is_refused():
    assert diff(chain("a"), chain("b")).similarity == 1.0
    with pytest.raises(BadInput, match="matched by auto, id, position, content"):
        diff(chain("a"), chain("b"), match="colour")


events = st.lists(
    st.builds(event, st.sampled_from("123"), st.sampled_from("xy"), confidence=st.sampled_from([None, 0.5, 1.0])),
    max_size=6,
)


@given(events, events, st.sampled_from(["auto", "id", "position", "content"]))
def test_every_event_is_told_of_once_and_the_way_back_is_the_mirror(left, right, how):
    there, back = (
        diff(chain("a", *left), chain("b", *right), match=how),
        diff(chain("b", *right), chain("a", *left), match=how),
    )
    both = len(there.modified) + len(there.unchanged)
    assert (both + len(there.removed), both + len(there.added)) == (len(left), len(right))
    assert (there.added, there.removed) == (back.removed, back.added)
    assert there.similarity == pytest.approx(back.similarity)
    assert 0 <= there.similarity <= there.overlap <= 1


@given(events)
def test_a_chain_differs_in_nothing_from_itself(said):
    unique = [dataclasses.replace(each, id=str(n)) for n, each in enumerate(said)]
    found = diff(chain("a", *unique), chain("a", *unique))
    assert (found.summary, found.similarity, found.moved) == ("0 added, 0 removed, 0 modified", 1.0, ())


def test_the_html_holds_every_text_whole_and_no_text_becomes_markup():
    nasty = '<script>alert("1 & 2")</script>' + "x" * 200 + "\x00\ud800"
    before = Chain(
        "a", "a", (ReasoningEvent("t", nasty, nasty, "1", confidence=0.5), ReasoningEvent("t", "went", "r", "2"))
    )
    after = Chain(
        "b", "b", (ReasoningEvent("t", nasty, "else", "1", (nasty,), 0.75), ReasoningEvent("t", "came", "r", "3"))
    )
    page = diff(before, after, match="id").to_html()
    root = ET.fromstring(page)  # well-formed, so that it cannot break the page around it
    assert {node.tag for node in root.iter()} == {"section", "p", "ul", "li", "dl", "dt", "dd", "del", "ins"}
    shown = nasty[:-2] + "\N{REPLACEMENT CHARACTER}" * 2
    assert [node.text for node in root.iter("del")] == ["t: went"] + [
        "nothing" if name == "alternatives" else {"reasoning": shown, "confidence": "0.5"}[name]
        for name in (node.text for node in root.iter("dt"))
    ]
    assert {node.text for node in root.iter("ins")} == {"t: came", "else", shown, "0.75"}
    assert page.encode()
