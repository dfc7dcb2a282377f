"""A stage marks the reasoning within it, takes time and ends well or badly."""

from __future__ import annotations

import asyncio

import pytest

import tele
from tele.trace import Chain, ReasoningEvent
from tele.trace.stages import trace_stage

ANSWER = '<event type="pattern_applied" id="1"{}><decision>d</decision><reasoning>r</reasoning></event>'
CHAIN = Chain("c", "n", (ReasoningEvent("pattern_applied", "d", "r", "1"), ReasoningEvent("mine", "d", "r", "2")))
STAGES = "SELECT attributes ->> 'stage', status, error_type, duration_ms >= 0 FROM spans WHERE name = 'stage'"


def test_reasoning_within_bears_the_innermost_stage_and_keeps_one_that_it_names(tele_store):
    @tele.llm_call("m", parse="causal")
    def ask(said=""):
        return ANSWER.format(said)

    with trace_stage("plan", item_id="i"):
        ask()
        with tele.span("within"), trace_stage("check"):
            ask()
            ask(' stage="its own"')
        ask()
    ask()
    rows = tele_store.rows("SELECT stage, item_id FROM reasoning ORDER BY start_ns")
    assert [row[0] for row in rows] == ["plan", "check", "its own", "plan", None]
    assert [row[1] for row in rows] == ["i"] * 4 + [None]


def test_a_stage_is_a_span_whose_status_says_how_it_ended(tele_store):
    with trace_stage("plan"):
        pass
    with pytest.raises(ZeroDivisionError), trace_stage("work"):
        _ = 1 / 0
    assert tele_store.rows(STAGES + " ORDER BY start_ns") == [
        ("plan", "ok", None, True),
        ("work", "error", "ZeroDivisionError", True),
    ]


def test_as_a_decorator_each_call_is_a_stage_and_a_chain_handed_over_is_of_it(tele_store):
    @trace_stage("plan")
    def plan():
        return 1, CHAIN

    @trace_stage("work")
    async def work():
        tele.record_chain(Chain("w", "w", CHAIN.events))

    plan()
    asyncio.run(work())
    assert tele_store.rows("SELECT chain_id, stage FROM reasoning ORDER BY chain_id, position") == [
        ("c", "plan"),
        ("c", "plan"),
        ("w", "work"),
        ("w", "work"),
    ]
    assert [row[0] for row in tele_store.rows(STAGES + " ORDER BY start_ns")] == ["plan", "work"]


def test_the_chain_that_is_given_back_is_the_one_whose_hash_was_recorded(tele_store):
    with trace_stage("plan"):
        given = tele.record_chain(CHAIN)
    assert [event.stage for event in given.events] == ["plan", "plan"]
    assert tele_store.rows("SELECT hash FROM chains") == [(given.hash,)]
    assert tele.record_chain(CHAIN) is CHAIN
