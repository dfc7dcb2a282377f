from __future__ import annotations

from datetime import timedelta

import pytest

from tele.analysis import analyze
from tele.analysis.narrow import duration_of
from tele.errors import BadInput
from tele.telemetry.ambient import ambient

HOUR = 3_600_000_000_000


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


@pytest.mark.parametrize(
    ("text", "length"),
    [("24h", timedelta(days=1)), ("90m", timedelta(minutes=90)), ("1.5d", timedelta(hours=36)), ("2w", timedelta(14))],
)
def test_lengths_of_time_read_as_they_are_said(text, length):
    assert duration_of(text) == length


@pytest.mark.parametrize("text", ["", "h", "24", "-1h", "0h", "24 hours", "1y"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(BadInput, match="24h"):
        duration_of(text)


def test_last_takes_what_began_within_it_and_keeps_what_runs_say_of_themselves(log):
    now = ambient.now()
    event = {"kind": "event", "status": "unset", "success": None, "start_ns": now - 50 * HOUR}
    log.add(
        [
            event | {"name": "tele.experiment.started", "run_id": "old"},
            event | {"name": "tele.experiment.archived", "run_id": "gone"},
            chat(start_ns=now - HOUR, run_id="old"),
            chat(start_ns=now - HOUR, run_id="gone"),
            chat(start_ns=now - 30 * HOUR, run_id="old"),
            chat(run_id="old"),
        ]
    )

    found = analyze(log, "trial", last="24h")

    assert found.groups[0].reliability.total_requests == 1
    assert (found.summary.total_events, found.runs.archived) == (1, 1)
    assert analyze(log, "trial", last=timedelta(hours=40)).groups[0].reliability.total_requests == 2


def test_where_asks_columns_and_attributes(log):
    log.add(
        [
            chat(provider="a", attributes={"app.tier": "gold", "attempt": 2, "cached": True}),
            chat(provider="a", attributes={"app.tier": "free", "attempt": 10}),
            chat(provider="b", attributes={"app.tier": "gold"}, success=False),
        ]
    )

    def count(where):
        return sum(group.reliability.total_requests for group in analyze(log, "trial", where=where).groups)

    assert count("provider = 'a'") == 2
    assert count("app.tier = 'gold' AND provider = 'a'") == 1
    assert count("attempt > 3") == 1  # as numbers: as text, '10' is less than '2'
    assert count("attempt IN (2, 3) OR NOT success") == 2
    assert count("cached = true") == 1
    assert count("lower(provider) LIKE 'B%' OR app.tier IS NULL") == 0


@pytest.mark.parametrize(
    "where",
    [
        "provider = 'a') OR (experiment = 'other'",
        "true) UNION ALL SELECT * FROM events WHERE (true",
        "provider IN (SELECT provider FROM events)",
        "true; DROP TABLE events",
        "true ORDER BY 1",
        "true GROUP BY 1",
        "row_number() OVER () = 1",
        "provider = $1",
        "provider = 'a' /*",
        "",
    ],
)
def test_where_is_an_expression_and_nothing_else(log, where):
    log.add([chat(provider="a"), chat(provider="b", experiment="other")])

    with pytest.raises(BadInput, match="--where"):
        analyze(log, "trial", where=where)


def test_a_comment_cannot_swallow_what_follows(log):
    log.add([chat(provider="a"), chat(provider="b"), chat(provider="a", experiment="other")])

    found = analyze(log, "trial", where="provider = 'a' OR true --")

    assert found.groups[0].reliability.total_requests == 2


def test_a_name_that_is_neither_column_nor_attribute_is_refused(log):
    log.add([chat()])

    with pytest.raises(BadInput, match="Nearest: provider"):
        analyze(log, "trial", where="povider = 'a'")


def test_sections_beside_the_events_follow_what_is_asked(log):
    event = {"kind": "event", "status": "unset", "success": None, "name": "ensemble.result"}
    log.add(
        [
            event | {"condition": "x", "attributes": {"ensemble_id": "1", "winner": "a", "agreement": 0.5}},
            event | {"condition": "y", "attributes": {"ensemble_id": "2", "winner": "a", "agreement": 1.0}},
        ]
    )

    assert analyze(log, "trial", where="condition = 'y'").ensembles.mean_agreement == 1.0


@pytest.mark.parametrize(
    ("where", "requests"), [("duration_ms > 100", 0), ("name = 'call_llm'", 0), ("name = 'chat'", 1)]
)
def test_a_wrapper_is_none_of_the_calls_also_where_its_call_is_not_asked_for(log, where, requests):
    wrapper = {"name": "call_llm", "trace_id": "t", "span_id": "above", "duration_ms": 101.0}
    call = {"name": "chat", "trace_id": "t", "span_id": "call", "parent_id": "above", "duration_ms": 99.0}
    log.add([chat(**wrapper, input_tokens=3), chat(**call, input_tokens=3)])

    assert sum(group.reliability.total_requests for group in analyze(log, "trial", where=where).groups) == requests
