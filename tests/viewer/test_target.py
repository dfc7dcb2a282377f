"""What a name stands for."""

from __future__ import annotations

import pytest

from tele.errors import BadInput, UnknownTarget
from tele.viewer.target import Target, resolve


@pytest.fixture
def reader(memory):
    said = {"chain_id": "chain-1", "decision": "x", "type": "hypothesis_formed"}
    return memory.Memory(
        [
            memory.span("a", "01", trace="ab" * 16, run_id="run-1"),
            memory.span("b", "02", trace="ab" * 15 + "ff", run_id="run-1"),
            memory.span("c", "03", trace="cd" * 16, run_id="run-2"),
            memory.event("causal_trace.event.created", "01", trace="ab" * 16, attributes=said),
        ]
    )


def test_an_experiment_a_run_and_a_chain_go_by_their_names(reader):
    found = [
        (resolve(reader, name).kind, resolve(reader, name).experiment) for name in ("prompt-ab", "run-2", "chain-1")
    ]

    assert found == [("experiment", "prompt-ab"), ("run", "prompt-ab"), ("chain", "prompt-ab")]


def test_the_beginning_of_a_trace_id_suffices_where_it_is_unique(reader):
    assert resolve(reader, "CDCD") == Target("trace", "cd" * 16, "prompt-ab", "trace_id = ?", ("cd" * 16,))


def test_a_beginning_of_several_traces_is_refused_with_them(reader):
    with pytest.raises(BadInput, match=f"begins several traces: {'ab' * 16}, {'ab' * 15}ff"):
        resolve(reader, "abab")


def test_an_unknown_name_is_refused_with_the_nearest(reader):
    with pytest.raises(UnknownTarget) as caught:
        resolve(reader, "promt-ab")

    assert caught.value.near == ("prompt-ab",)


@pytest.mark.parametrize("name", ["../../etc", "' OR 1=1 --", "", "%", "a" * 10_000])
def test_a_strange_name_is_unknown_and_nothing_else(reader, name):
    with pytest.raises(UnknownTarget):
        resolve(reader, name)
