from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tele.analysis import analyze
from tele.analysis.detail import Span, critical_path

MS = 1_000_000


def named(pieces):
    return [(piece.span.name, piece.start_ns, piece.end_ns) for piece in pieces]


def test_the_path_goes_through_the_child_that_ended_last_and_what_it_waited_for():
    spans = [
        Span("r", None, "root", 0, 100),
        Span("a", "r", "fetch", 10, 40),
        Span("b", "r", "slow", 15, 80),
        Span("c", "b", "inner", 20, 70),
        Span("d", "r", "late", 85, 95),
    ]

    assert named(critical_path(spans)) == [
        ("root", 0, 15),
        ("slow", 15, 20),
        ("inner", 20, 70),
        ("slow", 70, 80),
        ("root", 80, 85),
        ("late", 85, 95),
        ("root", 95, 100),
    ]


def test_a_child_that_outlives_its_parent_counts_up_to_the_parents_end():
    spans = [Span("r", None, "root", 0, 50), Span("a", "r", "background", 10, 90)]

    assert named(critical_path(spans)) == [("root", 0, 10), ("background", 10, 50)]


@st.composite
def trees(draw):
    spans = [Span("0", None, "0", 0, 1_000)]
    for number in range(1, draw(st.integers(1, 30))):
        above = draw(st.sampled_from(spans))
        start = draw(st.integers(-50, 1_050))
        spans.append(Span(str(number), above.span_id, str(number), start, start + draw(st.integers(0, 600))))
    return draw(st.permutations(spans))


@given(trees())
def test_the_pieces_are_the_root_without_gap_or_overlap(spans):
    pieces = critical_path(spans)

    at = 0
    for piece in pieces:
        assert piece.start_ns == at < piece.end_ns
        assert piece.span.start_ns <= piece.start_ns
        assert piece.end_ns <= piece.span.end_ns
        at = piece.end_ns
    assert at == 1_000


def test_a_ring_of_parents_ends():
    assert critical_path([Span("a", "b", "a", 0, 1), Span("b", "a", "b", 0, 1)]) == ()


def span(name, span_id, start, end, parent=None):
    ids = {"trace_id": "t", "span_id": span_id, "parent_id": parent}
    return {"name": name, "start_ns": start * MS, "end_ns": end * MS} | ids


def test_self_time_leaves_out_what_children_cover_once(log):
    log.add(
        [
            span("root", "1", 0, 100),
            span("child", "2", 10, 50, "1"),
            span("child", "3", 30, 60, "1"),
            span("child", "4", 90, 140, "1"),
            span("leaf", "5", 20, 30, "2"),
        ]
    )

    [found] = analyze(log, "trial", detail=["traces"]).detail["traces"]

    own = {one.name: (one.count, one.total_ms, one.self_ms) for one in found.names}
    assert own == {"root": (1, 100.0, 40.0), "child": (3, 120.0, 110.0), "leaf": (1, 10.0, 10.0)}
    critical = {one.name: one.critical_ms for one in found.names}
    # back from 100: the last child from 90, the root from 60, the second child from 30, and the root, for the first
    # child ran on beside the second
    assert critical == {"root": 60.0, "child": 40.0, "leaf": 0.0}
    assert (found.traces, found.sampled) == (1, False)


def test_what_is_asked_for_picks_traces_and_not_spans_of_them(log):
    log.add([span("root", "1", 0, 100), span("child", "2", 10, 50, "1"), span("root", "1", 0, 9) | {"trace_id": "u"}])

    [found] = analyze(log, "trial", where="name = 'child'", detail=["traces"]).detail["traces"]

    assert {one.name: one.self_ms for one in found.names} == {"root": 60.0, "child": 40.0}
