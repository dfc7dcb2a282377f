"""The view model of small stores, made by hand."""

from __future__ import annotations

import pytest

from tele.viewer import model as module
from tele.viewer import reading
from tele.viewer.bodies import MAX_TEXT
from tele.viewer.encode import unpack
from tele.viewer.model import build
from tele.viewer.spans import FLAGS


def flags(model):
    names = [model.spans.name.values[code - 1] for code in model.spans.name.codes]
    said = [{flag for bit, flag in enumerate(FLAGS) if bits & 1 << bit} for bits in model.spans.flags]
    return dict(zip(names, said, strict=True))


def bodies(model):
    return [body for block in model.bodies.blocks for body in unpack(block)]


def test_rows_stand_in_reading_order_with_offsets_from_the_first_start(memory):
    model = build(
        memory.Memory(
            [
                memory.span("late", "03", parent_id="01", start=7, ms=2),
                memory.span("early", "02", parent_id="01", start=1, ms=5),
                memory.span("root", "01", start=0, ms=10),
            ]
        ),
        "prompt-ab",
    )

    assert [model.spans.name.values[code - 1] for code in model.spans.name.codes] == ["root", "early", "late"]
    assert (model.spans.start_us, model.spans.duration_us) == ([0, 1000, 7000], [10_000, 5000, 2000])
    assert (model.spans.up, model.spans.depth) == ([0, 1, 2], [0, 1, 1])
    assert (model.traces.rows, model.traces.duration_us) == ([3], [10_000])
    assert unpack(model.ids.blocks[0]) == ["01", "02", "03"]


def test_an_error_marks_everything_above_it_and_nothing_beside_it(memory):
    model = build(
        memory.Memory(
            [
                memory.span("root", "01"),
                memory.span("step", "02", parent_id="01"),
                memory.span("call", "03", parent_id="02", status="error", error_type="Timeout"),
                memory.span("other", "04", parent_id="01"),
            ]
        ),
        "prompt-ab",
    )

    assert flags(model) == {"root": {"error_below"}, "step": {"error_below"}, "call": {"error"}, "other": set()}
    assert (model.traces.errors, model.totals.errors) == ([1], 1)


def test_open_spans_orphans_loops_and_second_ids_are_there_and_flagged(memory):
    model = build(
        memory.Memory(
            [
                memory.span("open", "01", ms=None),
                memory.span("orphan", "02", parent_id="99"),
                memory.span("loop a", "03", parent_id="04"),
                memory.span("loop b", "04", parent_id="03"),
                memory.span("again", "02", start=1),
                memory.span("timeless", "05", start_ns=None, end_ns=None),
            ]
        ),
        "prompt-ab",
    )

    assert flags(model) == {
        "open": {"open"},
        "orphan": {"orphan", "duplicate", "conflict"},
        "loop a": {"cycle"},
        "loop b": set(),
        "again": {"duplicate", "conflict"},
        "timeless": {"no_start", "no_duration"},
    }
    assert (model.totals.spans, model.totals.open) == (6, 1)


def test_exact_copies_are_one_row_that_says_so_and_both_are_counted(memory):
    twice = memory.span("a", "01")

    model = build(memory.Memory([twice, twice]), "prompt-ab")

    assert (flags(model), model.totals.spans) == ({"a": {"duplicate"}}, 2)
    assert model.notes == ["1 rows repeat another exactly and are folded into it; the sums count them."]


def test_tokens_and_cost_of_a_trace_are_those_of_its_calls_and_not_of_what_repeats_them(memory):
    used = {"input_tokens": 100, "output_tokens": 20, "cost_usd": 0.25}
    model = build(
        memory.Memory(
            [
                memory.span("agent", "01", operation="invoke_agent", **used),
                memory.span("chat", "02", parent_id="01", operation="chat", model="m", **used),
                memory.span("chat", "03", parent_id="01", operation="chat", model="m", input_tokens=7, output_tokens=1),
            ]
        ),
        "prompt-ab",
    )

    totals = model.totals
    assert (totals.calls, totals.input_tokens, totals.output_tokens) == (2, 107, 21)
    assert (totals.cost_usd, totals.unpriced) == (0.25, 1)
    assert model.notes == ["1 model calls have no known price and count as no cost."]


def test_events_stand_on_their_span_and_those_without_one_stand_as_rows(memory):
    model = build(
        memory.Memory(
            [
                memory.span("root", "01"),
                memory.event("note", "01", at=0.5, attributes={"k": 1}),
                memory.event("lost", "99", at=0.7),
                memory.event("tele.experiment.started", None, trace=None),
                memory.event("outside", None, trace=None),
            ]
        ),
        "prompt-ab",
    )

    root, lost = bodies(model)
    assert [(event["name"], event["attributes"]) for event in root["events"]] == [("note", '{"k": 1}')]
    assert flags(model)["lost"] == {"point", "orphan"}
    assert dict(lost["facts"])["kind"] == "event"
    assert model.notes == ["1 events and metrics outside any trace are not listed here; `tele sql` reads them."]


def test_a_long_text_is_cut_and_said_and_a_blob_is_read_or_said_to_be_missing(memory):
    records = [
        memory.span("long", "01", input="x" * (MAX_TEXT + 10)),
        memory.span("kept apart", "02", start=1, input="blob"),
        memory.span("gone", "03", start=2, input="blob"),
    ]
    reader = memory.Memory(records, {"blob:aa": b'"from the blob"'})
    reader.con.execute("UPDATE events SET input = 'blob:aa' WHERE span_id = '02'")
    reader.con.execute("UPDATE events SET input = 'blob:bb' WHERE span_id = '03'")

    model = build(reader, "prompt-ab")

    long, apart, gone = bodies(model)
    assert (len(long["input"]), long["notes"]["input"][:9]) == (MAX_TEXT, "Cut here:")
    assert apart["input"] == '"from the blob"'
    assert (gone["input"], "could not be read" in gone["notes"]["input"]) == ("blob:bb", True)
    assert model.notes == [
        "1 long texts are cut; the store has them whole.",
        "1 bodies could not be read from the store.",
    ]


def test_whole_numbers_that_a_browser_would_round_are_texts(memory):
    model = build(memory.Memory([memory.span("a", "01", seed=2**62, replicate=3)]), "prompt-ab")

    facts = dict(bodies(model)[0]["facts"])
    assert (facts["seed"], facts["start_ns"], facts["replicate"]) == (str(2**62), str(memory.BEGIN), 3)


def test_traces_beyond_what_a_page_holds_are_left_out_and_counted(memory, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    reader = memory.Memory([memory.span("s", f"{n:02d}", trace=f"{n:032d}", start=n) for n in range(5)])

    model = build(reader, "prompt-ab")

    assert model.traces.id == [f"{n:032d}" for n in range(3)]
    assert model.notes == ["2 later traces are left out: a page holds 3 rows."]


@pytest.mark.parametrize(("name", "most"), [("AT_ONCE", 10), ("BYTES_AT_ONCE", 900), ("BYTES_AT_ONCE", 40)])
def test_a_store_read_in_several_parts_is_the_same_page(memory, monkeypatch, name, most):
    records = memory.experiment(items=6)
    whole = build(memory.Memory(records), "prompt-ab")

    monkeypatch.setattr(reading, name, most)
    found = build(memory.Memory(records), "prompt-ab")

    assert found.data() == whole.data()
    assert [unpack(block) for block in found.bodies.blocks] == [unpack(block) for block in whole.bodies.blocks]


def test_counts_equal_what_a_few_lines_count_in_the_records(memory):
    records = memory.experiment(items=6)
    spans = [record for record in records if record.get("kind") != "event"]
    chats = [record for record in spans if record.get("operation") == "chat"]

    totals = build(memory.Memory(records), "prompt-ab").totals

    assert totals.spans == len(spans)
    assert totals.errors == sum(record.get("status") == "error" for record in spans)
    assert totals.open == sum(record["end_ns"] is None for record in spans)
    assert totals.input_tokens == sum(record.get("input_tokens", 0) for record in chats)
    assert totals.cost_usd == pytest.approx(sum(record.get("cost_usd", 0) for record in chats))


def test_chains_and_ensembles_come_with_their_steps_and_votes(memory):
    model = build(memory.Memory(memory.experiment(items=2)), "prompt-ab")

    chain, ensemble = model.chains[0], model.ensembles[0]
    assert (chain["name"], chain["version"], len(chain["steps"])) == ("storage decision", 2, 6)
    assert [step["position"] for step in chain["steps"]] == [0, 1, 2, 3, 4, 5]
    assert (ensemble["strategy"], ensemble["winner"], len(ensemble["votes"])) == ("majority", "42", 3)


def test_the_page_has_as_many_chains_as_were_told(memory):
    def told(span, trace, events, at, name="causal_trace.chain.created"):
        about = {"chain_id": "same", "name": "n", "version": 1}
        said = [memory.event(name, span, trace=trace, at=at, attributes={**about, "hash": "h", "n_events": events})]
        return said + [
            memory.event(
                "causal_trace.event.created",
                span,
                trace=trace,
                at=at + n / 10,
                attributes={**about, "chain_hash": "h", "position": n, "decision": f"d{n}"},
            )
            for n in range(events)
        ]

    spans = [memory.span("chat m", span, trace=trace * 32) for span, trace in (("01", "a"), ("02", "b"), ("03", "c"))]
    chains = [*told("01", "a" * 32, 2, 1), *told("01", "a" * 32, 2, 2), *told("02", "b" * 32, 2, 3)]
    silent = told("03", "c" * 32, 0, 4)
    reader = memory.Memory([*spans, *chains, *silent])

    model = build(reader, "prompt-ab")

    assert reader.rows("SELECT count(*) FROM chains") == [(4,)]
    assert [(chain["key"], len(chain["steps"])) for chain in model.chains] == [
        ("same", 2),
        ("same~2", 2),
        ("same~3", 2),
        ("same~4", 0),
    ]
    assert [[step["decision"] for step in chain["steps"]] for chain in model.chains[:3]] == [["d0", "d1"]] * 3


def test_the_page_of_a_chain_holds_that_chain_and_its_trace(memory):
    records = memory.experiment(items=2)
    chain = next(record["attributes"]["chain_id"] for record in records if "chain_id" in record.get("attributes", {}))

    model = build(memory.Memory(records), chain)

    assert [each["id"] for each in model.chains] == [chain]
    assert model.traces.id == [model.chains[0]["trace_id"]]


def test_spans_without_a_trace_id_are_one_list(memory):
    model = build(memory.Memory([memory.span("a", "01", trace=None), memory.span("b", "02", trace=None)]), "prompt-ab")

    assert (model.traces.id, model.traces.rows) == ([None], [2])
