"""Laws of the tree builder, on any graph."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tele.trace import build

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g"])
TIMES = st.none() | st.integers(-5, 20)
SPANS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "trace_id": st.sampled_from(["t", "u"]),
            "span_id": st.none() | NAMES,
            "parent_id": st.none() | NAMES,
            "start_ns": TIMES,
            "end_ns": TIMES,
            "duration_ms": st.none() | st.floats(-2, 2),
            "name": st.sampled_from(["x", "y"]),
            "attributes": st.dictionaries(NAMES, st.integers(), max_size=2),
        },
    ),
    max_size=25,
)


def text(span):
    return repr(sorted((key, str(value)) for key, value in span.items() if value is not None))


@given(SPANS)
def test_every_span_is_in_exactly_one_node(spans):
    forest = build(spans)

    held = Counter()
    for node in forest.nodes:
        held[text(node.span)] += node.copies
    assert held == Counter(map(text, spans))


@given(SPANS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(spans, chance):
    shuffled = random.Random(chance.random()).sample(spans, len(spans))

    def shape(forest):
        return [(text(n.span), n.parent, n.children, n.depth, n.flags, n.copies) for n in forest.nodes]

    assert shape(build(spans)) == shape(build(shuffled))


@given(SPANS)
def test_places_agree_with_each_other(spans):
    nodes = build(spans).nodes

    for place, node in enumerate(nodes):
        assert node.index == place
        assert node.depth == (0 if node.parent is None else nodes[node.parent].depth + 1)
        assert node.parent is None or (node.parent < place and place in nodes[node.parent].children)
        assert all(nodes[child].parent == place for child in node.children)


@given(SPANS)
def test_a_link_to_a_parent_holds_or_is_flagged(spans):
    forest = build(spans)

    for node in forest.nodes:
        wanted = (node.span.get("trace_id"), node.span.get("parent_id"))
        if node.parent is not None:
            above = forest.nodes[node.parent].span
            assert (above.get("trace_id"), above.get("span_id")) == wanted
        assert (node.parent is None and wanted[1] is not None) == bool(node.flags & {"orphan", "cycle"})
