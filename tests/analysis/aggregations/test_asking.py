from __future__ import annotations

from tele.analysis import analyze
from tele.analysis.aggregations import AGGREGATIONS, Recorder
from tele.analysis.detail import SECTIONS


def rich(log):
    event = {"kind": "event", "status": "unset", "success": None, "run_id": "r", "trace_id": "t"}
    said = {"winner": "x", "agreement": 1.0, "ensemble_id": "1"}
    log.add(
        [
            event | {"name": "tele.experiment.started", "attributes": {"timeout_ms": 50}},
            event | {"name": "tele.experiment.archived", "run_id": "it's gone"},
            event | {"name": "ensemble.result", "attributes": said},
            event | {"name": "hedge", "attributes": {"hedge_id": "1", "strategy": "fixed", "fired": True}},
            event | {"name": "causal_trace.event.created", "attributes": {"chain_id": "c", "confidence": 0.5}},
            {
                "name": "chat",
                "operation": "chat",
                "run_id": "r",
                "start_ns": 1,
                "end_ns": 2,
                "duration_ms": 1e-6,
                "cache_read_tokens": 1,
                "input_tokens": 1,
                "trace_id": "t",
                "span_id": "s",
            },
        ]
    )
    return log


def test_what_is_printed_is_what_ran_and_runs_by_itself(log):
    recorder = Recorder(rich(log))

    found = analyze(recorder, "trial", detail=["all"])

    assert found.to_dict() == analyze(log, "trial", detail=["all"]).to_dict()
    for asked, text in recorder.asked:
        answer = log.con.execute(text)
        assert len(answer.description) >= len(asked.columns) - 3, asked.name  # census may leave its last columns out
        answer.fetchall()


def test_every_aggregation_is_asked_by_some_section(log):
    recorder = Recorder(rich(log))
    log.add([{"name": "chat", "operation": "chat", "condition": "x", "run_id": "r", "duration_ms": 1.0}])

    analyze(recorder, "trial", detail=list(SECTIONS))

    assert {asked.name for asked, _ in recorder.asked} == set(AGGREGATIONS)
    assert len(AGGREGATIONS) >= 15


def test_a_dollar_in_a_text_is_no_parameter(log):
    recorder = Recorder(rich(log))

    analyze(recorder, "trial", where="name <> '$1'")

    assert any("'$1'" in text for _, text in recorder.asked)
    assert not any("experiment = $1" in text for _, text in recorder.asked)
