from __future__ import annotations

import pytest

import tele
from tele.analysis import analyze
from tele.store.compact import compact
from tele.store.layout import open_layout
from tele.store.manifest import load
from tele.store.seal import seal


@pytest.fixture
def store(tele_store):
    tele.configure(seal="manual")
    return tele_store


def sealed(store):
    tele.flush()
    seal(open_layout(store.path))
    return [segment.above for segment in load(open_layout(store.path)).segments.values()]


def call(name="chat m", **fields):
    return tele.span(name, operation="chat", model="m", input_tokens=3, output_tokens=1, **fields)


def requests(store):
    with tele.open(store.path) as reader:
        view = reader.rows("SELECT count(*) FROM llm_calls")[0][0]
        counted = analyze(reader, "e", on="llm").groups[0].reliability.total_requests
        assert counted == view
        return reader.flat_calls, view


def test_a_store_without_wrappers_knows_it(store):
    with tele.experiment("e"), tele.span("agent", operation="invoke_agent", input_tokens=9), call(), tele.span("http"):
        pass

    assert sealed(store) == [[]]
    assert requests(store) == (True, 1)


def test_a_wrapper_within_a_segment_is_found(store):
    with tele.experiment("e"), call("call_llm"), call():
        pass

    assert sealed(store) == [None]
    assert requests(store) == (False, 1)


@pytest.mark.parametrize("wraps", [False, True])
def test_a_parent_that_ends_after_its_child_was_sealed_is_asked_for(store, wraps):
    with tele.experiment("e"), call("call_llm") if wraps else tele.span("agent") as parent:
        with call():
            pass
        assert sealed(store) == [[[parent.trace_id, parent.span_id]]]
        flat, calls = requests(store)  # the start of a wrapper is in the log once it is open for 100 ms
        assert (flat or wraps, calls) == (True, 1)

    assert len(sealed(store)) == 2
    assert requests(store) == (not wraps, 1)
    compact(open_layout(store.path))
    assert [s.above for s in load(open_layout(store.path)).segments.values()] == [None if wraps else []]
    assert requests(store) == (not wraps, 1)


def test_an_unsealed_wrapper_is_seen(store):
    with tele.experiment("e"), call("call_llm"), call():
        pass
    tele.flush()

    assert requests(store) == (False, 1)


def test_a_correction_of_what_makes_a_call_is_not_taken_for_granted(store):
    with tele.experiment("e"), tele.span("step") as above, call():
        pass
    tele.score(above, "quality", 0.5)
    assert sealed(store)[0] == []
    assert requests(store) == (True, 1)

    for column, value in (("operation", "chat"), ("input_tokens", 5)):
        tele.score(above, column, value)
    tele.flush()
    assert requests(store)[0] is False


def test_a_segment_of_before_says_nothing(store, monkeypatch):
    monkeypatch.setattr("tele.store.segments.above", lambda *_: None)
    with tele.experiment("e"), call():
        pass

    assert sealed(store) == [None]
    assert requests(store) == (False, 1)
