from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.trace import Chain, ParseWarning, ReasoningEvent, parse_chain
from tele.trace.values import confidence, items

FULL = """Let me think.
<event type="hypothesis_formed" id="h1">
  <decision>Use a queue &amp; a worker</decision>
  <alternatives>cron, Redis (fast, durable); threads</alternatives>
  <reasoning>Simple <b>and</b> a < b, <![CDATA[x &amp; y]]></reasoning>
  <confidence>0.9</confidence>
  <code_section>worker.py</code_section>
  <spec_reference>2.1</spec_reference>
</event>
Then:
<event type="constraint_evaluated"><decision>One worker</decision><reasoning>order</reasoning>
<depends_on>h1</depends_on><stage>plan</stage></event>
<code>print("<event type='x'>")</code>"""


def test_what_was_asked_for_is_read_whole_and_without_a_warning():
    chain = parse_chain(FULL, "plan", chain_id="abcdefgh99")

    assert chain == Chain(
        "abcdefgh99",
        "plan",
        (
            ReasoningEvent(
                "hypothesis_formed",
                "Use a queue & a worker",
                "Simple <b>and</b> a < b, x &amp; y",
                id="h1",
                alternatives=("cron", "Redis (fast, durable)", "threads"),
                confidence=0.9,
                code_section="worker.py",
                spec_reference="2.1",
            ),
            ReasoningEvent(
                "constraint_evaluated", "One worker", "order", id="abcdefgh.2", depends_on=("h1",), stage="plan"
            ),
        ),
    )


def brief(chain):
    return [(event.type, event.decision, event.reasoning) for event in chain.events]


@pytest.mark.parametrize(
    ("case", "expected", "codes"),
    [
        ("single_quotes", [("pattern_applied", "a", "")], ["no_reasoning"]),
        ("uppercase", [("pattern_applied", "a", "")], ["no_reasoning"]),
        ("spaced_attr", [("pattern_applied", "a", "")], ["no_reasoning"]),
        (
            "unclosed_then_closed",
            [("pattern_applied", "A", ""), ("hypothesis_formed", "B", "r")],
            ["no_reasoning", "unclosed_event"],
        ),
        ("nested", [("pattern_applied", "A", "outer"), ("hypothesis_formed", "B", "")], ["no_reasoning"]),
        ("no_type", [("unknown", "a", "")], ["no_reasoning", "no_type"]),
        ("gt_in_attr", [("pattern_applied", "a", "")], ["no_reasoning"]),
        ("eventlog_tag", [], ["stray_close"]),
        ("in_code_fence", [], []),
        ("subtag_attr", [("pattern_applied", "a", "")], ["no_reasoning"]),
        (
            "self_closing",
            [("x", "", ""), ("y", "b", "")],
            ["no_decision", "no_reasoning", "unknown_type", "no_reasoning", "unknown_type"],
        ),
        ("entity", [("pattern_applied", "a < b", "")], ["no_reasoning"]),
    ],
)
def test_malformed_events_are_recovered_and_warned_of(fixtures, case, expected, codes):
    text = json.loads((fixtures / "malformed_events.json").read_text())[case]

    chain = parse_chain(text)

    assert brief(chain) == expected
    assert [warning.code for warning in chain.warnings] == codes


def test_a_nested_event_names_its_parent_and_one_that_follows_an_unclosed_event_does_not():
    inner = "<event type='pattern_applied' id='i'><decision>d</decision><reasoning>r</reasoning></event>"

    nested = parse_chain(f"<event type='pattern_applied' id='o'>{inner}</event>")
    unclosed = parse_chain(f"<event type='pattern_applied' id='o'>{inner}")

    assert [event.parent for event in nested.events] == [None, "o"]
    assert [event.parent for event in unclosed.events] == [None, None]


def test_a_warning_says_where():
    text = "é\n\n  <event type='guess'><decision>d</decision><reasoning>r</event>"

    assert parse_chain(text).warnings == (
        ParseWarning("unknown_type", "'guess' is none of the known types; kept as it is", 3, 3),
        ParseWarning("unclosed_field", "<reasoning> is not closed", 3, 45),
    )


def test_events_in_fences_count_when_asked_for():
    text = "```xml\n<event type='pattern_applied'><decision>d</decision><reasoning>r</reasoning></event>\n```"

    assert brief(parse_chain(text)) == []
    assert brief(parse_chain(text, in_code=True)) == [("pattern_applied", "d", "r")]


def test_an_id_that_stands_twice_is_given_once():
    one = "<event type='pattern_applied' id='x'><decision>d</decision><reasoning>r</reasoning></event>"

    chain = parse_chain(one + one, chain_id="c")

    assert [event.id for event in chain.events] == ["x", "c.2"]
    assert [warning.code for warning in chain.warnings] == ["repeated_id"]


def test_the_same_text_is_the_same_chain():
    assert parse_chain(FULL, "a").id == parse_chain(FULL, "a").id
    assert len({parse_chain(FULL, "a").id, parse_chain(FULL, "b").id, parse_chain(FULL + " ", "a").id}) == 3


@pytest.mark.parametrize(
    ("text", "value", "doubtful"),
    [
        ("0.9", 0.9, False),
        (".85", 0.85, False),
        ("1", 1.0, False),
        ("1e-1", 0.1, False),
        ("0.9/1.0", 0.9, False),
        ("8 / 10", 0.8, False),
        ("85", 0.85, True),
        ("90%", 0.9, True),
        ("high", None, True),
        ("-0.2", None, True),
        ("1.5", None, True),
        ("250", None, True),
        ("1e999", None, True),
        (None, None, False),
    ],
)
def test_a_confidence_is_read_as_people_mean_it(text, value, doubtful):
    found = confidence(text)

    assert found.value == (None if value is None else pytest.approx(value))
    assert bool(found.doubt) == doubtful


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ()),
        ("a, b; c,,", ("a", "b", "c")),
        ("Redis (fast, durable), disk [a;b]", ("Redis (fast, durable)", "disk [a;b]")),
        ("- a, really\n* b\n1. c", ("a, really", "b", "c")),
        ("<alternative>a, x</alternative><alternative>b</alternative>", ("a, x", "b")),
        ("a), b", ("a)", "b")),
    ],
)
def test_lists_are_split_outside_brackets(text, expected):
    assert items(text) == expected


TAGS = ["<event ", "<event type='a'>", "</event>", "<event/>", "<decision>", "</decision>", "<id>", "</id>", "<stage>"]
HIDING = ["<code>", "</code>", "```", "<!--", "-->", "<![CDATA[", "]]>"]
PIECES = st.sampled_from(
    [*TAGS, *HIDING, "<confidence>7</confidence>", "x", "&lt;", "<", ">", "=", '"', "'", "\n", "\ud800"]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_parses(text):
    chain = parse_chain(text)

    assert len({event.id for event in chain.events}) == len(chain.events)
    assert all(warning.line >= 1 and warning.column >= 1 for warning in chain.warnings)


@pytest.mark.parametrize(
    "piece", ["<event ", "<event a='", '<event a=""""', "<decision>", "```", "<!--", "<![CDATA[", "<code>"]
)
def test_the_cost_grows_with_the_length_and_not_with_its_square(piece):
    def seconds(n):
        start = time.process_time()
        parse_chain(piece * n)
        return time.process_time() - start

    seconds(100)

    assert seconds(40_000) < 40 * seconds(4_000) + 0.2  # the square would cost 100 times as much
