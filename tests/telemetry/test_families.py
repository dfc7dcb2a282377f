"""The registry of event families: every spelling leads to one name, and no written name is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tele
from tele.telemetry.families import FAMILIES, event_types, known, resolve, table

# What the two sides of the seed systems call one event: who emits it, and who listens.
MISMATCHED = [
    ("[:crucible_ensemble, :predict, :start]", "[:ensemble, :prediction, :start]"),
    ("[:crucible_ensemble, :predict, :stop]", "[:ensemble, :prediction, :stop]"),
    ("[:crucible_ensemble, :vote, :complete]", "[:ensemble, :vote, :completed]"),
    ("[:crucible_hedging, :request, :start]", "[:hedging, :request, :start]"),
    ("[:crucible_hedging, :request, :stop]", "[:hedging, :request, :stop]"),
    ("[:crucible_hedging, :hedge, :fired]", "[:hedging, :request, :duplicated]"),
    ("[:crucible_trace, :event, :created]", "[:causal_trace, :event, :created]"),
    ("[:research_harness, :task, :complete]", "[:harness, :task, :complete]"),
    ("[:crucible_datasets, :load, :stop]", "[:datasets, :load, :stop]"),
    ("[:crucible_train, :epoch, :stop]", "[:training, :epoch, :stop]"),
    ("[:crucible_framework, :stage, :start]", "[:framework, :stage, :start]"),
]
LISTENED_FOR = [
    "req_llm.request.start",
    "req_llm.request.stop",
    "req_llm.request.exception",
    "ensemble.prediction.start",
    "ensemble.prediction.stop",
    "ensemble.vote.completed",
    "hedging.request.start",
    "hedging.request.duplicated",
    "hedging.request.stop",
    "crucible_train.training.start",
    "crucible_train.training.stop",
    "crucible_train.epoch.start",
    "crucible_train.epoch.stop",
    "crucible_train.batch.stop",
    "crucible_train.checkpoint.saved",
    "crucible_deployment.inference.start",
    "crucible_deployment.inference.stop",
    "crucible_deployment.inference.exception",
    "crucible_framework.pipeline.start",
    "crucible_framework.pipeline.stop",
    "crucible_framework.stage.start",
    "crucible_framework.stage.stop",
    "causal_trace.event.created",
    "altar.tool.start",
    "altar.tool.stop",
]


@pytest.mark.parametrize(("emitted", "listened"), MISMATCHED)
def test_both_sides_spelling_is_one_event(emitted, listened):
    assert resolve(emitted) == resolve(listened) == known(emitted).name


@pytest.mark.parametrize("name", LISTENED_FOR)
def test_every_event_of_the_seeds_is_known_in_every_spelling(name):
    parts = name.split(".")
    one = known(name).name
    spellings = ["/".join(parts), ":".join(parts), "/" + "/".join(parts), f"[{', '.join(f':{p}' for p in parts)}]"]
    assert {resolve(each) for each in spellings} == {one}
    assert known(one).description
    assert known(one).category in {
        "llm",
        "ensemble",
        "hedging",
        "training",
        "deployment",
        "framework",
        "trace",
        "tools",
    }


def test_durations_say_their_unit_as_they_differ_by_a_million():
    assert "duration ms" in known("research_harness.task.complete").measurements
    assert "duration ns" in known("req_llm.request.stop").measurements
    bare = [each.name for each in event_types() if "duration" in each.measurements]
    assert bare == []


def test_no_two_events_share_a_spelling():
    spellings = [spelling for each in event_types() for spelling in {each.name, *each.aliases}]
    assert len(spellings) == len(set(spellings))


def test_names_are_final():
    assert [each.name for each in event_types() if resolve(each.name) != each.name] == []


@given(st.one_of(st.text(), st.sampled_from(LISTENED_FOR), st.from_regex(r"\[:?\w+(, :\w+)*\]|\w+([./:]\w+)+")))
def test_resolving_is_total_and_once_is_enough(name):
    assert resolve(resolve(name)) == resolve(name)
    if known(name) is None:
        assert resolve(name) == name


def test_an_event_under_an_alias_has_its_one_name_and_the_written_one(tele_store):
    tele.event("[:crucible_trace, :event, :created]", {"chain_id": "c", "decision": "d", "type": "pattern_applied"})
    tele.event("crucible.custom.thing", note=1)
    tele.event("http://example.com/a")
    tele.event("ensemble.vote.completed")
    assert tele_store.rows("""SELECT name, attributes->>'$."tele.written_name"' FROM events ORDER BY seq""") == [
        ("causal_trace.event.created", "[:crucible_trace, :event, :created]"),
        ("crucible.custom.thing", None),
        ("http://example.com/a", None),
        ("ensemble.vote.completed", None),
    ]
    assert tele_store.rows("SELECT chain_id, decision, type FROM reasoning") == [("c", "d", "pattern_applied")]


def test_an_ensemble_that_another_library_tells_of_is_in_the_view(tele_store):
    tele.event("crucible_ensemble.predict.stop", {"strategy": "majority", "answer": "4", "consensus": 0.75})
    assert tele_store.rows("SELECT strategy, winner, agreement FROM ensembles") == [("majority", "4", 0.75)]


def test_a_name_that_is_no_text_is_recorded_as_before(tele_store):
    tele.event(7)
    assert tele_store.rows("SELECT count(*) FROM events") == [(1,)]


def test_what_tele_records_of_its_own_is_in_the_registry(tele_store):
    tele.ensemble([lambda: 1])()
    tele.hedge(lambda: 1, delay_ms=5000)()
    written = tele_store.rows("SELECT DISTINCT name, json_keys(attributes) FROM events WHERE kind <> 'metric'")
    for name, keys in written:
        told = known(name)
        listed = {word.split()[0] for word in (*told.measurements, *told.metadata)}
        assert set(keys) <= listed, name


def test_the_table_has_a_row_for_each_event():
    rows = table().splitlines()[2:]
    assert len(rows) == len(event_types())
    assert all(row.count("|") == 7 for row in rows)
    assert {family.category for family in FAMILIES} == {each.category for each in event_types()}
    assert {each.category for each in event_types("training")} == {"training"}


def test_an_event_that_comes_in_has_its_one_name_and_leaves_under_its_own(tele_store):
    from tele.telemetry.ingest import Place, otlp
    from tele.telemetry.otel.outward import log, span

    answered = [{"key": "answer", "value": {"stringValue": "42"}}]
    record = {"timeUnixNano": "5", "eventName": "crucible_ensemble/predict/stop", "attributes": answered}
    within = {"timeUnixNano": "6", "name": "[:crucible_ensemble, :vote, :complete]"}
    known = {"timeUnixNano": "7", "name": "altar.tool.stop"}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    came = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "s", "events": [within, known]}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [came]}]}]}

    [stopped] = otlp.read(logs, Place("f"))
    whole, voted, tool = otlp.read(spans, Place("f"))

    assert [each["name"] for each in (stopped, voted, tool)] == [
        "ensemble.prediction.stop",
        "ensemble.vote.completed",
        "altar.tool.stop",
    ]
    assert log(stopped) == record
    assert span({**whole, "span_events": [voted, tool]})["events"] == [within, known]


def test_an_alias_in_a_file_of_ones_own_is_found_in_the_views(tele_store, tmp_path):
    from tele.store.layout import prepare
    from tele.telemetry.ingest.into import ingest_into

    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "crucible_ensemble.predict.stop", "strategy": "majority", "answer": "42"}\n')
    select = "SELECT 'event' AS kind, event AS name, {strategy: strategy, answer: answer} AS attributes FROM source"
    ingest_into(prepare(tele_store.path), [path], experiment="e", select=select)

    assert tele_store.rows("SELECT strategy, winner FROM ensembles") == [("majority", "42")]
