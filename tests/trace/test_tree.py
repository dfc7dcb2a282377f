from __future__ import annotations

import pytest

from tele.trace import build


def span(id_, parent=None, start=0, end=None, **more):
    return {"trace_id": "t", "span_id": id_, "parent_id": parent, "start_ns": start, "end_ns": end} | more


def flags(forest):
    return {node.span["span_id"]: set(node.flags) for node in forest.nodes}


def test_children_follow_their_parent_in_the_order_of_their_start():
    spans = [span("b", "a", 5, 6), span("d", "b", 6, 6), span("a", None, 0, 9), span("c", "a", 2, 3)]

    forest = build(spans)

    assert [(node.span["span_id"], node.depth, node.parent) for node in forest.nodes] == [
        ("a", 0, None),
        ("c", 1, 0),
        ("b", 1, 0),
        ("d", 2, 2),
    ]
    assert [child.span["span_id"] for child in forest.children(forest.nodes[0])] == ["c", "b"]
    assert forest.flags == {}


def test_an_orphan_is_a_root_and_says_so():
    forest = build([span("a", "missing", 0, 1), span("b", None, 0, 1), span("c", "b", 0, 1, trace_id="other")])

    assert flags(forest) == {"a": {"orphan"}, "b": set(), "c": {"orphan"}}
    assert len(forest.roots) == 3


def test_a_cycle_is_cut_at_its_earliest_span():
    forest = build([span("a", "c", 3, 4), span("b", "a", 1, 4), span("c", "b", 2, 4), span("d", "a", 3, 4)])

    assert [(node.span["span_id"], node.depth) for node in forest.nodes] == [("b", 0), ("c", 1), ("a", 2), ("d", 3)]
    assert flags(forest) == {"a": set(), "b": {"cycle"}, "c": set(), "d": set()}


def test_a_span_that_is_its_own_parent_is_a_root():
    assert flags(build([span("a", "a", 0, 1)])) == {"a": {"cycle"}}


def test_identical_copies_are_folded_and_versions_that_differ_are_kept():
    copies = [span("a", None, 0, 1, event_id=str(number)) for number in range(3)]
    versions = [span("b", None, 2, 3, name="x"), span("b", None, 2, 3, name="y"), span("c", "b", 2, 3)]

    forest = build([*copies, *versions])

    assert [(node.span["span_id"], node.copies, set(node.flags), node.depth) for node in forest.nodes] == [
        ("a", 3, {"duplicate"}, 0),
        ("b", 1, {"duplicate", "conflict"}, 0),
        ("c", 1, set(), 1),
        ("b", 1, {"duplicate", "conflict"}, 0),
    ]
    assert (forest.folded, forest.flags) == (2, {"conflict": 2, "duplicate": 3})


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"start_ns": None, "end_ns": None}, {"no_start", "no_duration"}),
        ({"start_ns": None, "end_ns": None, "duration_ms": 1.0}, {"no_start"}),
        ({"start_ns": 5, "end_ns": None}, {"no_duration"}),
        ({"start_ns": 5, "end_ns": 4}, {"negative"}),
        ({"start_ns": 5, "end_ns": 6, "duration_ms": -1.0}, {"negative"}),
        ({"start_ns": 5, "end_ns": 11}, {"child_outlives_parent"}),
        ({"start_ns": 5, "end_ns": 10}, set()),
    ],
)
def test_what_is_wrong_with_the_times_is_flagged(times, expected):
    forest = build([span("root", None, 0, 10), span("child", "root") | times])

    assert flags(forest) == {"root": set(), "child": expected}


def test_a_chain_of_a_hundred_thousand_spans_is_no_problem():
    n = 100_000
    spans = [span(str(number), str(number - 1) if number else None, 0, 1) for number in reversed(range(n))]

    forest = build(spans)

    assert [node.depth for node in forest.nodes] == list(range(n))


def test_no_spans_are_no_trees():
    assert build([]).nodes == ()
