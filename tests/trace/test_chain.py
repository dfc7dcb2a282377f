from __future__ import annotations

import dataclasses
import hashlib

import pytest

from tele.trace import Chain, ReasoningEvent, chain_records


def test_a_chain_becomes_records_that_leave_out_what_is_not_said():
    step = ReasoningEvent(
        "pattern_applied", "use a queue", "it is simple", id="1", alternatives=("a", "b"), confidence=0.5
    )
    chain = Chain("c", "plan", (step, ReasoningEvent("other", "d", "r", id="2", parent="1")))

    records = chain_records(chain, {"run_id": "r", "start_ns": 5})

    shared = {"run_id": "r", "start_ns": 5, "kind": "event", "name": "causal_trace.event.created"}
    told = {"chain_id": "c", "name": "plan", "version": 1}
    assert records == [
        {
            **shared,
            "attributes": {
                **told,
                "position": 0,
                "id": "1",
                "type": "pattern_applied",
                "decision": "use a queue",
                "alternatives": ["a", "b"],
                "reasoning": "it is simple",
                "confidence": 0.5,
            },
        },
        {
            **shared,
            "attributes": {
                **told,
                "position": 1,
                "id": "2",
                "type": "other",
                "decision": "d",
                "reasoning": "r",
                "parent": "1",
            },
        },
    ]


def test_the_mean_confidence_is_over_the_events_that_state_one():
    def steps(*stated):
        return tuple(ReasoningEvent("t", "d", "r", id=str(n), confidence=c) for n, c in enumerate(stated))

    assert Chain("c", "n", steps(0.5, None, 1.0)).mean_confidence == 0.75
    assert Chain("c", "n", steps(None)).mean_confidence is None


def event(id_, **said):
    return ReasoningEvent(**{"type": "pattern_applied", "decision": f"d{id_}", "reasoning": "r", "id": id_} | said)


def test_a_hash_is_of_what_the_events_say_in_their_order_and_of_nothing_else():
    first, second = event("1", confidence=0.5), event("2", metadata={"b": 1, "a": 2})
    chain = Chain("c", "n", (first, second))

    spelled = (
        b'{"confidence":0.5,"decision":"d1","id":"1","reasoning":"r","type":"pattern_applied"}\n'
        b'{"decision":"d2","id":"2","metadata":{"a":2,"b":1},"reasoning":"r","type":"pattern_applied"}\n'
    )
    assert chain.hash == hashlib.sha256(spelled).hexdigest()
    assert Chain("other", "name", (first, second), version=7).hash == chain.hash
    assert Chain("c", "n", (second, first)).hash != chain.hash


def test_a_chain_cannot_be_changed_and_can_be_a_key():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Chain("c", "n").name = "m"
    assert {Chain("c", "n", (event("1", metadata={"a": 1}),)): 1}
