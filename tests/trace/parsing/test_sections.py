from __future__ import annotations

import ast
import json
import operator
import re
from fractions import Fraction

import pytest

from tele.errors import BadInput
from tele.trace.parsing import Section, read_section, read_sections

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def worth(node):
    """Value of an arithmetic expression, exactly; raises where it is something else."""
    match node:
        case ast.Expression(body=body):
            return worth(body)
        case ast.Constant(value=int(value)):
            return Fraction(value)
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](worth(left), worth(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -worth(operand)
        case _:
            raise ValueError(node)


def countdown(answer, question):
    """Score as the benchmark has it: all numbers used and the target met 1, another expression 0.05, none 0.01."""
    numbers, target = (
        re.search(pattern, question)[1] for pattern in (r"numbers:? ([\d, ]+\d)", r"(?:Calculate|make|equals) (\d+)")
    )
    try:
        value = int(worth(ast.parse(answer or "", mode="eval")))
    except (SyntaxError, ValueError, ZeroDivisionError, KeyError):
        return 0.01
    used = {int(number) for number in re.findall(r"\b\d+\b", answer)}  # it does not count how often
    return 1.0 if value == int(target) and used == set(map(int, numbers.split(","))) else 0.05


def spelled(answer, expected):
    if answer is None:
        return 0.0
    return 1.0 if answer.lower() == expected.lower() else 0.05


def completions(fixtures):
    for path in sorted((fixtures / "reasoning_gym").glob("*.json")):
        for row in json.loads(path.read_text())["results"]:
            for completion in row["completions"]:
                yield path.name, row, completion


def test_the_answers_of_real_models_are_those_that_their_benchmark_read(fixtures):
    rows = list(completions(fixtures))
    read = [read_section(completion["full_model_response"], "answer") for _, _, completion in rows]

    assert len(rows) == 600
    assert [section and section.text for section in read] == [completion["model_answer"] for _, _, completion in rows]
    assert sum(section is None for section in read) == 225


def test_the_scores_of_real_models_follow_from_the_answers_that_were_read(fixtures):
    for name, row, completion in completions(fixtures):
        section = read_section(completion["full_model_response"], "answer")
        answer = section.text if section else None
        words = "spell_backward" in name

        assert (spelled(answer, row["expected_answer"]) if words else countdown(answer, row["question"])) == completion[
            "score"
        ]


def texts(text, *names, **options):
    return [(section.name, section.text, section.closed) for section in read_sections(text, *names, **options)]


def test_a_tag_inside_of_a_section_is_text():
    text = "<think>maybe <answer>1</answer> or <answer>2</think>\n<answer>3</answer>"

    assert texts(text, "think", "answer") == [
        ("think", "maybe <answer>1</answer> or <answer>2", True),
        ("answer", "3", True),
    ]
    assert texts(text, "answer") == [("answer", "1", True), ("answer", "2</think>\n<answer>3", True)]


def test_first_last_and_greedy_are_the_three_ways_to_choose():
    text = "<a>1</a> <a>2</a> <a>3"

    assert [read_section(text, "a", rule).text for rule in ("first", "last", "greedy")] == ["1", "2", "1</a> <a>2"]
    assert read_section("<a>3", "a") is None
    assert read_section("<a>3", "a", unclosed=True) == Section("a", "3", 1, 1, closed=False)


def test_a_section_that_is_not_closed_ends_where_the_next_begins():
    text = "<Thought>look it up\n<action name='search'>weather</action>\n<observation>rain"

    assert texts(text, "react") == [
        ("thought", "look it up", False),
        ("action", "weather", True),
        ("observation", "rain", False),
    ]
    assert read_section(text, "action") == Section("action", "weather", 2, 1, attributes={"name": "search"})


def test_a_section_may_have_begun_in_the_prompt():
    text = "so it is 4</think>\n<answer>4</answer>"

    assert texts(text, "thinking") == [("answer", "4", True)]
    assert texts(text, "thinking", implied=True) == [("think", "so it is 4", True), ("answer", "4", True)]
    assert read_section(text, "think", "greedy", implied=True).text == "so it is 4"


def test_what_stands_in_code_counts_unless_it_is_not_wanted():
    text = "```\n<answer>1</answer>\n```\n`<answer>` <!-- <answer>2</answer> --> <answer>3</answer>"

    assert texts(text, "answer", in_code=False) == [("answer", "3", True)]
    assert texts(text, "answer")[0] == ("answer", "1", True)


def test_tags_of_any_script_are_read():
    assert texts("<答え>四</答え>", "答え") == [("答え", "四", True)]


@pytest.mark.parametrize("names", [(), ("a b",), ("",), ("<x",)])
def test_a_name_that_is_none_is_refused_in_a_sentence(names):
    with pytest.raises(BadInput, match="tag"):
        read_sections("", *names)
