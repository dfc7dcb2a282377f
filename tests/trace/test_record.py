"""Chains find their way into the log by themselves, under the span of the call that said them."""

from __future__ import annotations

import asyncio
import logging

import pytest

import tele
from tele.errors import BadInput
from tele.trace import Chain, ReasoningEvent, parse_chain

EVENT = (
    '<event type="pattern_applied" id="1"><decision>{}</decision><reasoning>r</reasoning>'
    "<confidence>0.8</confidence></event>"
)
ANSWER = f"So: {EVENT.format('use a queue')}\nDone."
JOINED = """
    SELECT s.name, r.decision, r.confidence, s.item_id, s.output_tokens FROM reasoning r
    JOIN spans s USING (trace_id, span_id) ORDER BY s.start_ns, r.position"""


def test_a_call_has_its_answer_parsed_and_the_chain_joins_with_cost_and_condition(tele_store):
    @tele.llm_call("m", parse="causal")
    def ask(prompt):
        return {"choices": [{"message": {"content": ANSWER}}], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}

    with tele.experiment("e", condition="c"), tele.span("item", item_id="i1"):
        ask("how?")

    assert tele_store.rows(JOINED) == [("chat m", "use a queue", 0.8, "i1", 9)]
    with tele_store.open() as reader:
        [(name, condition, n, warned, chain, span)] = reader.rows(
            "SELECT name, condition, n_events, n_warnings, chain_id, span_id FROM chains"
        )
    assert (name, condition, n, warned) == ("chat m", "c", 1, 0)
    assert chain.startswith(span)


def test_every_form_of_a_call_is_parsed_once(tele_store):
    @tele.llm_call(parse="causal", name="plain")
    def plain():
        return ANSWER

    @tele.llm_call(parse="causal", name="stream")
    def stream():
        yield ANSWER[:30]
        yield ANSWER[30:]

    @tele.llm_call(parse="causal", name="async")
    async def awaited():
        return ANSWER

    @tele.llm_call(parse="causal", name="returns a stream")
    def handing():
        return (part for part in (ANSWER[:9], ANSWER[9:]))

    plain()
    list(stream())
    asyncio.run(awaited())
    list(handing())
    with tele.llm_call(parse="causal", name="block") as call:
        call.answered(ANSWER)
        call.answered(ANSWER)
    names = [row[0] for row in tele_store.rows(JOINED)]
    assert names == ["plain", "stream", "async", "returns a stream", "block"]


def test_an_answer_without_events_is_a_chain_that_shows_it(tele_store):
    @tele.llm_call(parse="causal", name="silent")
    def ask():
        return "42"

    ask()
    with tele_store.open() as reader:
        assert reader.rows("SELECT name, n_events FROM chains") == [("silent", 0)]
        reasoning = tele.analyze("default", store=tele_store.path).reasoning
    assert (reasoning.chains, reasoning.events, reasoning.mean_confidence) == (1, 0, None)


def test_a_chain_that_is_told_twice_is_two_in_one_span_as_in_two(tele_store):
    chain = tele.parse_chain(ANSWER, "said", chain_id="c" * 32)
    for times in (2, 1):
        with tele.span("chat m"):
            for _ in range(times):
                tele.record_chain(chain)
    with tele_store.open() as reader:
        rows = reader.rows("SELECT n_events, mean_confidence FROM chains")
        assert rows == [(len(chain.events), pytest.approx(chain.mean_confidence))] * 3
        assert reader.rows("SELECT count(*) FROM reasoning") == [(3 * len(chain.events),)]
        assert tele.analyze("default", store=tele_store.path).reasoning.chains == 3


def test_a_chain_that_is_told_of_two_items_outside_of_any_span_is_two(tele_store):
    chain = tele.parse_chain(ANSWER, "said")
    with tele.experiment("e"):
        for item in ("i1", "i2"):
            tele.record_chain(chain, item_id=item)
    told = tele_store.rows("SELECT item_id, n_events, n_warnings FROM chains ORDER BY item_id")
    assert told == [("i1", 1, 0), ("i2", 1, 0)]


def test_a_chain_without_a_hash_is_one_with_its_events(tele_store):
    said = {"chain_id": "theirs", "name": "foreign"}
    tele.event("causal_trace.chain.created", said)
    tele.event("causal_trace.event.created", said | {"position": 0, "type": "t", "decision": "d"})
    assert tele_store.rows("SELECT chain_id, n_events FROM chains") == [("theirs", 1)]


def test_a_parser_of_ones_own_takes_the_text(tele_store):
    @tele.llm_call(parse=lambda text: Chain("mine", "own", (ReasoningEvent("t", text.upper(), "r", "1"),)))
    def ask():
        return "left"

    ask()
    assert [row[1] for row in tele_store.rows(JOINED)] == ["LEFT"]


def test_a_parser_that_fails_leaves_the_call_alone_and_is_counted(tele_store, caplog):
    def broken(text):
        raise ValueError("no")

    for parse in (broken, lambda text: text):

        @tele.llm_call(parse=parse)
        def ask():
            return "fine"

        with caplog.at_level(logging.WARNING):
            assert ask() == "fine"
    assert sorted(tele.dropped()) == [
        "ValueError: no",
        "parse= takes a function of a text that returns a tele.Chain, not str.",
    ]
    assert tele_store.rows("SELECT output FROM spans") == [('"fine"',), ('"fine"',)]


def test_an_unknown_parser_is_refused_where_it_is_named():
    with pytest.raises(BadInput, match="parse is 'causal'"):
        tele.llm_call(parse="casual")


class TestHandedOver:
    chain = parse_chain(ANSWER, name="mine", chain_id="k" * 32)

    @pytest.mark.parametrize("wrap", [tele.span("condition"), tele.llm_call(name="condition", parse="causal")])
    def test_a_function_may_return_its_result_and_a_chain(self, wrap, tele_store):
        @wrap
        def condition():
            return "answer", self.chain

        @wrap
        async def awaited():
            return "answer", self.chain

        assert condition() == ("answer", self.chain)
        assert asyncio.run(awaited()) == ("answer", self.chain)
        assert [row[:2] for row in tele_store.rows(JOINED)] == [("condition", "use a queue")] * 2

    def test_the_result_beside_the_chain_is_what_the_model_said(self, tele_store):
        @tele.llm_call
        def ask():
            return "answer", self.chain

        ask()
        assert tele_store.rows("SELECT output FROM spans") == [('"answer"',)]

    @pytest.mark.parametrize("pair", [("a", "b"), (1, Chain), ("a", None), ["a", parse_chain("")], ("a", "b", "c")])
    def test_other_pairs_are_just_results(self, pair, tele_store):
        @tele.span("condition")
        def condition():
            return pair

        assert condition() is pair
        assert tele_store.rows("SELECT count(*) FROM chains") == [(0,)]

    def test_an_error_is_still_the_spans(self, tele_store):
        @tele.span("condition")
        def condition():
            raise KeyError("x")

        with pytest.raises(KeyError):
            condition()
        assert tele_store.rows("SELECT error_type FROM spans") == [("KeyError",)]


def test_a_trace_that_is_not_sampled_keeps_no_chain(tele_store):
    tele.configure(sampling_rate=1e-12)
    try:

        @tele.llm_call(parse="causal")
        def ask():
            return ANSWER

        ask()
    finally:
        tele.configure(sampling_rate=1.0)
    tele.event("a store to look into")
    assert tele_store.rows("SELECT count(*) FROM events WHERE name LIKE 'causal_trace%'") == [(0,)]
