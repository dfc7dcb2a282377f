"""Chrome traces: times, nesting, pairs, and a real one of PyTorch's profiler."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.telemetry.ingest import Place, Problem, slices
from tele.telemetry.ingest.chrome import read, sniff
from tele.telemetry.ingest.documents import documents
from tele.telemetry.ingest.slices import Slices

BASE = 1_700_000_000_000_000_000


def event(ph, ts, name="n", tid=1, **more):
    return {"ph": ph, "ts": ts, "name": name, "pid": 1, "tid": tid, **more}


def rows(*events, base=BASE):
    document = {"baseTimeNanoseconds": base, "traceEvents": list(events)} if base else list(events)
    assert sniff(document)
    found = list(read(document, Place("f")))
    assert [item for item in found if isinstance(item, Problem)] == []
    return found[1:] if base else found


def test_times_count_from_the_base_to_the_nanosecond():
    (span,) = rows(event("X", 1234.567, dur=0.25))

    assert (span["start_ns"], span["end_ns"]) == (BASE + 1_234_567, BASE + 1_234_817)


def test_without_a_base_old_times_are_instants_and_others_have_none():
    old, new = rows(event("X", 1_700_000_000_000_000, dur=5), event("X", 20, dur=5), base=None)

    assert (old["start_ns"], old["end_ns"] - old["start_ns"]) == (BASE, 5000)
    assert ("start_ns" in new, new["duration_ms"], new["attributes"]["chrome.ts"]) == (False, 0.005, 20)
    assert "unknown_epoch" in new["attributes"]["tele.flags"]


def test_slices_of_a_track_nest_by_time_in_whatever_order_they_stand():
    inner, outer, beside, elsewhere = rows(
        event("X", 2, "inner", dur=3),
        event("X", 1, "outer", dur=9),
        event("X", 10, "beside", dur=1),
        event("X", 3, "elsewhere", tid=2, dur=1),
    )

    assert inner["parent_id"] == outer["span_id"]
    assert [row.get("parent_id") for row in (outer, beside, elsewhere)] == [None, None, None]
    assert len({row["trace_id"] for row in (inner, outer, beside, elsewhere)}) == 1


def test_pairs_become_spans_by_track_or_by_their_own_id():
    found = rows(
        event("B", 1, "outer", args={"a": 1}),
        event("B", 2, "inner"),
        event("b", 3, "load", id="0x1", cat="net"),
        event("E", 4),
        event("E", 9, args={"b": 2}),
        event("e", 12, "load", tid=5, id="0x1", cat="net"),
    )
    by_name = {row["name"]: row for row in found}

    assert {name: row["end_ns"] - row["start_ns"] for name, row in by_name.items()} == {
        "inner": 2000,
        "outer": 8000,
        "load": 9000,
    }
    assert by_name["inner"]["parent_id"] == by_name["outer"]["span_id"]
    assert {"a": 1, "b": 2}.items() <= by_name["outer"]["attributes"].items()


def test_what_begins_and_never_ends_has_no_end_and_what_only_ends_is_an_event():
    stray, open_ = rows(event("E", 1, "stray", tid=3), event("B", 2, "open"))

    assert (stray["kind"], open_["kind"], "end_ns" in open_) == ("event", "span", False)
    assert "no_end" in open_["attributes"]["tele.flags"]


def test_counters_are_metrics_instants_events_and_names_go_where_they_belong():
    counter, instant, named = rows(
        event("M", 0, "thread_name", args={"name": "worker"}),
        event("M", 0, "process_name", tid=0, args={"name": "python"}),
        event("C", 1, "memory", tid=2, args={"bytes": 7}),
        event("i", 2, "mark", tid=2, s="g"),
        event("X", 3, "work", dur=1),
    )

    assert (counter["kind"], counter["name"], counter["value"]) == ("metric", "memory", 7.0)
    assert (instant["kind"], instant["attributes"]["chrome.s"]) == ("event", "g")
    assert named["attributes"]["thread.name"] == "worker"
    assert named["resource"] == {"process.executable.name": "python"}


@pytest.mark.parametrize("bad", [None, "x", {}, float("nan")])
def test_a_time_that_is_none_is_a_problem_and_the_rest_is_read(bad):
    found = list(read([event("X", bad, dur=1), event("X", 1, dur=bad), event("X", 1, dur=1)], Place("f")))

    assert [item.position for item in found if isinstance(item, Problem)] == ["traceEvents[0]", "traceEvents[1]"]
    assert len(found) == 3


def test_a_negative_duration_is_flagged_and_kept():
    (span,) = rows(event("X", 10, dur=-5))

    assert (span["end_ns"] - span["start_ns"], span["attributes"]["tele.flags"]) == (-5000, ["negative_duration"])


def test_a_list_whose_end_is_missing_is_read(tmp_path):
    path = tmp_path / "trace.json"
    path.write_text("[\n" + ",\n".join(json.dumps(event("X", n, dur=1)) for n in range(5)) + ",\n")

    document, problem = documents(path)

    assert len(list(read(document.value, document.place))) == 5
    assert "cut off" in problem.message


SLICE = st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 10))


@pytest.mark.parametrize("few", [0, 1000])
@settings(deadline=None)
@given(found=st.lists(SLICE, max_size=12))
def test_the_parent_is_the_slice_of_the_track_that_began_last_of_those_that_hold_it(few, found):
    """Against a look at all pairs; of equal slices the first holds the next."""
    subject = Slices()
    for number, (track, start, lasted) in enumerate(found):
        subject.add(number, track, start, start + lasted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_FEW", few)
        parents = subject.parents()

    for number, (track, start, lasted) in enumerate(found):
        holds = [
            other
            for other, (t, s, n) in enumerate(found)
            if other != number and t == track and s <= start and start + lasted <= s + n and start < s + n
            if (n, -other) > (lasted, -number)
        ]
        assert (parents[number] >= 0) == bool(holds)
        if holds:
            _, began, holder = found[parents[number]]
            assert (began, -holder) == max((found[other][1], -found[other][2]) for other in holds)


def test_a_real_trace_of_pytorch_is_read_and_its_operators_nest(tmp_path):
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile, record_function

    path = tmp_path / "trace.json"
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function("step"):
        torch.ones(8, 8) @ torch.ones(8, 8)
    profiler.export_chrome_trace(str(path))
    raw = json.loads(path.read_text())

    (document,) = documents(path)
    found = list(read(document.value, Place("f")))

    spans = {row["name"]: row for row in found if not isinstance(row, Problem) and row["kind"] == "span"}
    complete = [e for e in raw["traceEvents"] if e.get("ph") == "X"]
    assert len([row for row in found if not isinstance(row, Problem) and row["kind"] == "span"]) == len(complete)
    assert spans["aten::mm"]["parent_id"] == spans["aten::matmul"]["span_id"]
    assert spans["aten::matmul"]["parent_id"] == spans["step"]["span_id"]
    (step,) = [e for e in complete if e["name"] == "step"]
    assert spans["step"]["start_ns"] == raw["baseTimeNanoseconds"] + int(Decimal(str(step["ts"])) * 1000)
    assert spans["step"]["end_ns"] - spans["step"]["start_ns"] == int(Decimal(str(step["dur"])) * 1000)
