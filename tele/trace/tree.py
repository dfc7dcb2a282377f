"""Spans to trees: total over any graph, however broken, and the same whatever the order of arrival.

A source may hold orphans, cycles, duplicate ids, spans without a start or an end, children that outlive their parent.
None of it raises and nothing is repaired in silence: what is wrong with a span is written on its node, as flags.

| flag | meaning |
|---|---|
| `orphan` | names a parent that is not there (in its own trace); stands as a root |
| `cycle` | its parent link closed a cycle and was cut; stands as a root |
| `duplicate` | its id came more than once: identical copies are one node, versions that differ are a node each |
| `conflict` | one of several versions of an id that differ; children stand under the first of them |
| `no_start`, `no_duration` | the time is not known (an open span has no duration) |
| `negative` | it ends before it starts |
| `child_outlives_parent` | it ends after its parent |
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Forest", "Node", "Span", "build"]

Span = Mapping[str, Any]
"""A span as a record: column name and value; the tree reads ids and times, and keeps the rest."""


@dataclass(frozen=True, slots=True)
class Node:
    """One span in its tree. Places are indices into `Forest.nodes`."""

    span: Span
    index: int
    parent: int | None
    children: tuple[int, ...]
    depth: int
    """0 at a root."""
    flags: frozenset[str]
    copies: int = 1
    """How many identical spans were folded into this node."""


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees, flat, in the order of reading: a parent, then its children from the earliest on, each with its own."""

    nodes: tuple[Node, ...]

    @property
    def roots(self) -> tuple[Node, ...]:
        """Nodes without a parent."""
        return tuple(node for node in self.nodes if node.parent is None)

    @property
    def flags(self) -> dict[str, int]:
        """Number of nodes with each flag, by name."""
        return dict(sorted(Counter(flag for node in self.nodes for flag in node.flags).items()))

    @property
    def folded(self) -> int:
        """Number of identical copies that stand in a node of another span."""
        return sum(node.copies - 1 for node in self.nodes)

    def children(self, node: Node) -> tuple[Node, ...]:
        """Children of `node`, the earliest first."""
        return tuple(self.nodes[index] for index in node.children)


@dataclass(slots=True)
class _Draft:
    """A node while its links are being worked out."""

    span: Span
    copies: int
    flags: set[str]
    parent: _Draft | None = None
    children: list[_Draft] | None = None


def build(spans: Iterable[Span]) -> Forest:
    """Return the trees of `spans`: every span in exactly one node, whatever the graph and the order of arrival.

    Linear but for the sorting of siblings, and without recursion: a chain of 100,000 spans is no problem.
    """
    drafts, first = _drafts(spans)
    _link(drafts, first)
    _cut_cycles(drafts)
    for draft in drafts:
        draft.flags |= _time_flags(draft)
        if draft.parent is not None:
            if draft.parent.children is None:
                draft.parent.children = []
            draft.parent.children.append(draft)
    return Forest(_in_order(drafts))


def _drafts(spans: Iterable[Span]) -> tuple[list[_Draft], dict[tuple[Any, Any], _Draft]]:
    """Return the nodes in canonical order, and the one that stands for each id."""
    by_id: dict[tuple[Any, Any], list[Span]] = defaultdict(list)
    nameless: list[Span] = []
    for span in spans:
        if span.get("span_id") is None:
            nameless.append(span)
        else:
            by_id[span.get("trace_id"), span["span_id"]].append(span)
    drafts, first = [], {}
    for key, same in by_id.items():
        versions = [_Draft(same[0], 1, set())] if len(same) == 1 else _versions(same)
        first[key] = versions[0]
        drafts += versions
    drafts += _versions(nameless, identified=False)
    drafts.sort(key=lambda draft: _order(draft.span))
    return drafts, first


def _versions(same: list[Span], *, identified: bool = True) -> list[_Draft]:
    """Return a node for each different content among `same`, in an order that does not depend on theirs."""
    contents: dict[str, list[Span]] = defaultdict(list)
    for span in same:
        contents[_content(span)].append(span)
    ordered = sorted(contents.items(), key=lambda item: (*_order(item[1][0]), item[0]))
    drafts = [_Draft(spans[0], len(spans), {"duplicate"} if len(spans) > 1 else set()) for _, spans in ordered]
    if identified and len(drafts) > 1:
        for draft in drafts:
            draft.flags |= {"duplicate", "conflict"}
    return drafts


def _content(span: Span) -> str:
    """Return what the span says, without the place where it was kept, as text that does not depend on key order."""
    said = {key: value for key, value in span.items() if key not in ("event_id", "writer", "seq") and value is not None}
    return json.dumps(said, sort_keys=True, default=repr)


def _order(span: Span) -> tuple[bool, int, str, str, str]:
    start = span.get("start_ns")
    trace, own, name = (str(span.get(key) or "") for key in ("trace_id", "span_id", "name"))
    return (start is None, start or 0, trace, own, name)


def _link(drafts: list[_Draft], first: dict[tuple[Any, Any], _Draft]) -> None:
    for draft in drafts:
        parent = draft.span.get("parent_id")
        if not parent:
            continue
        draft.parent = first.get((draft.span.get("trace_id"), parent))
        if draft.parent is None:
            draft.flags.add("orphan")


def _cut_cycles(drafts: list[_Draft]) -> None:
    """Cut each cycle at its first node in canonical order.

    Every node has at most one parent, so a walk upwards ends at a root, at a node seen by an earlier walk, or in a
    cycle; `drafts` is in canonical order, and each node is walked over once.
    """
    position = {id(draft): place for place, draft in enumerate(drafts)}
    walked: dict[int, int] = {}
    for walk, start in enumerate(drafts):
        node: _Draft | None = start
        while node is not None and id(node) not in walked:
            walked[id(node)] = walk
            node = node.parent
        if node is not None and walked[id(node)] == walk:
            cut = min(_cycle(node), key=lambda member: position[id(member)])
            cut.parent = None
            cut.flags.add("cycle")


def _cycle(node: _Draft) -> list[_Draft]:
    members, at = [node], node.parent
    while at is not None and at is not node:
        members.append(at)
        at = at.parent
    return members


def _time_flags(draft: _Draft) -> set[str]:
    span, flags = draft.span, set()
    start, end, duration = span.get("start_ns"), span.get("end_ns"), span.get("duration_ms")
    if start is None:
        flags.add("no_start")
    if duration is None and (start is None or end is None):
        flags.add("no_duration")
    if (duration is not None and duration < 0) or (start is not None and end is not None and end < start):
        flags.add("negative")
    above = None if draft.parent is None else draft.parent.span.get("end_ns")
    if end is not None and above is not None and end > above:
        flags.add("child_outlives_parent")
    return flags


def _in_order(drafts: list[_Draft]) -> tuple[Node, ...]:
    """Return the nodes in pre-order with their places; children keep the canonical order of `drafts`."""
    places: dict[int, int] = {}
    depths: dict[int, int] = {}
    order: list[_Draft] = []
    waiting = [draft for draft in reversed(drafts) if draft.parent is None]
    while waiting:
        draft = waiting.pop()
        places[id(draft)] = len(order)
        depths[id(draft)] = 0 if draft.parent is None else depths[id(draft.parent)] + 1
        order.append(draft)
        waiting += reversed(draft.children or ())
    return tuple(
        Node(
            span=draft.span,
            index=index,
            parent=None if draft.parent is None else places[id(draft.parent)],
            children=tuple(places[id(child)] for child in draft.children or ()),
            depth=depths[id(draft)],
            flags=frozenset(draft.flags),
            copies=draft.copies,
        )
        for index, draft in enumerate(order)
    )
