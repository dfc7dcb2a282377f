from __future__ import annotations

import pytest

from tele.errors import BadInput
from tele.trace import TYPES, ReasoningEvent, parse_chain
from tele.trace.prompt import causal_prompt, repair_prompt


def test_the_prompt_holds_the_task_the_form_and_every_type():
    text = causal_prompt("Write a rate limiter.")
    assert text.startswith("Write a rate limiter.\n")
    assert [name for name in TYPES if f"- {name}: " not in text] == []
    for tag in ("decision", "alternatives", "reasoning", "confidence", "code_section", "spec_reference"):
        assert f"</{tag}>" in text
    assert "<code>" in text
    assert "<code>" not in causal_prompt("t", code=False, examples=0)


@pytest.mark.parametrize(("asked", "shown"), [(0, 0), (1, 1), (2, 2)])
def test_its_examples_are_what_the_parser_reads_without_a_word(asked, shown):
    text = causal_prompt("t", examples=asked, code=False)
    examples = text.partition("For example:")[2]
    chain = parse_chain(examples)
    assert (len(chain.events), chain.warnings) == (shown, ())


def test_examples_and_types_of_ones_own_come_in_whatever_they_say():
    mine = ReasoningEvent("musing", "a < b & c", "</reasoning>", "7", ("x, y",), 0.25, depends_on=("3",), stage="s")
    text = causal_prompt("t", types=["musing"], examples=[mine])
    assert "- musing" in text
    [read] = parse_chain(text.partition("For example:")[2].partition("After the events")[0]).events
    assert read == mine
    assert "ambiguity_flagged" not in causal_prompt("t", types=["hypothesis_formed"], examples=2)


def test_a_repair_prompt_says_what_was_wrong_and_where_and_shows_the_answer_whole():
    answer = "```\ncode\n```\n<event type='pattern_applied'><decision>x</decision>"
    chain = parse_chain(answer)
    text = repair_prompt(answer, chain)
    for warning in chain.warnings:
        assert f"- line {warning.line}, column {warning.column}: {warning.message}\n" in text
    assert chain.warnings
    assert f"````\n{answer}\n````" in text
    assert "there is no event in it" in repair_prompt("no", parse_chain("no"))
    assert text.count("\n- ") == len(chain.warnings)
    assert "- and 3 more" in repair_prompt("x", [f"p{n}" for n in range(5)], most=2)


def test_a_prompt_for_nothing_is_refused():
    with pytest.raises(BadInput, match="needs a task"):
        causal_prompt(" ")
    with pytest.raises(BadInput, match="at least one type"):
        causal_prompt("t", types=())
    good = '<event type="pattern_applied" id="1"><decision>d</decision><reasoning>r</reasoning></event>'
    with pytest.raises(BadInput, match="nothing to repair"):
        repair_prompt(good, parse_chain(good))
