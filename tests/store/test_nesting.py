from __future__ import annotations

import duckdb
import pytest

import tele
from tele.analysis import analyze
from tele.store.compact import compact
from tele.store.layout import open_layout, prepare
from tele.store.manifest import load
from tele.store.names import experiment_id
from tele.store.nesting import OWN, outside
from tele.store.seal import seal
from tele.telemetry.ingest.into import ingest_into


@pytest.fixture
def store(tele_store):
    tele.configure(seal="manual")
    return tele_store


def sealed(store):
    tele.flush()
    seal(open_layout(store.path))
    return [segment.outside for segment in load(open_layout(store.path)).segments.values()]


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
    assert [s.outside for s in load(open_layout(store.path)).segments.values()] == [None if wraps else []]
    assert requests(store) == (not wraps, 1)


def test_a_wrapper_with_spans_of_no_model_between_is_found_wherever_the_parts_are_sealed(store):
    with tele.experiment("e"), call("call_llm"):
        with tele.span("retry") as retry:
            with tele.span("http"), call():
                pass
            assert sealed(store) == [[[retry.trace_id, retry.span_id]]]
        assert sealed(store)[1:] == [[]]

    assert len(sealed(store)) == 3
    assert requests(store) == (False, 1)
    compact(open_layout(store.path))
    assert sealed(store) == [None]
    assert requests(store) == (False, 1)


def test_one_query_tells_what_lies_outside_each_of_many_experiments(store, monkeypatch):
    asked = []
    monkeypatch.setattr("tele.store.seal.outside", lambda *args: asked.append(args[1]) or outside(*args))
    monkeypatch.setattr("tele.store.segments.outside", lambda *_: pytest.fail("each segment was read again"))
    with tele.experiment("plain"), tele.span("step"):
        pass
    with tele.experiment("wraps"), call("call_llm"), call():
        pass
    with tele.experiment("split"), tele.span("agent") as parent:
        with call():
            pass
        sealed(store)

    found = {s.experiment_id: s.outside for s in load(open_layout(store.path)).segments.values()}
    assert found == {
        experiment_id("plain"): [],
        experiment_id("wraps"): None,
        experiment_id("split"): [[parent.trace_id, parent.span_id]],
    }
    assert asked == ["ended"]


def test_a_foreign_span_without_a_time_is_not_taken_for_ones_own():
    row = f"(SELECT '{'0' * 12}7{'0' * 19}' AS event_id, 'span' AS kind, NULL::BIGINT AS start_ns)"
    assert duckdb.sql(f"SELECT {OWN} FROM {row}").fetchall() == [(False,)]


def test_spans_of_no_model_above_and_below_calls_wrap_nothing(store):
    with tele.experiment("e"), tele.span("run"):
        for _ in range(2):
            with tele.span("step"), call(), tele.span("POST"):
                pass
            sealed(store)

    assert len(sealed(store)) == 3
    assert requests(store) == (True, 2)


def test_a_deep_stack_of_spans_is_not_climbed_to_its_end(store, monkeypatch):
    monkeypatch.setattr("tele.store.nesting._MOST_LEVELS", 2)
    with tele.experiment("e"), tele.span("a"), tele.span("b"), tele.span("c"), tele.span("d"), call():
        pass

    assert sealed(store) == [None]
    assert requests(store) == (False, 1)


def test_a_trace_that_was_told_twice_is_looked_at(tele_store, tmp_path):
    def told(file, **tokens):
        lines = [f"{n},{n - 1 or None},s{n},{tokens.get(f's{n}')},{'0' * 31}a".replace("None", "") for n in (1, 2)]
        path = tmp_path / file
        path.write_text("\n".join(["id,above,name,tokens,trace", *lines]))
        select = """SELECT trace::VARCHAR AS trace_id, format('{:016x}', id) AS span_id, name, 'chat' AS operation,
            format('{:016x}', above) AS parent_id, 'm' AS model, tokens AS input_tokens FROM source"""
        ingest_into(prepare(tele_store.path), [path], experiment="e", select=select)

    told("first.csv", s2=7)
    told("second.csv", s1=7)

    with tele.open(tele_store.path) as reader:
        assert reader.flat_calls is False
        assert reader.rows("SELECT sum(input_tokens) FROM llm_calls") == [(7,)]


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
    monkeypatch.setattr("tele.store.seal.outside", lambda *_: dict.fromkeys([experiment_id("e")]))
    with tele.experiment("e"), call():
        pass

    assert sealed(store) == [None]
    assert requests(store) == (False, 1)
