from __future__ import annotations

import datetime as dt
import json
import re

import pytest

from tele.errors import Malformed
from tele.exporters import export_chain
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
        ("single_quotes", [("pattern_applied", "a", "")], ["single_quotes", "no_reasoning"]),
        ("uppercase", [("pattern_applied", "a", "")], ["upper_case", "no_reasoning"]),
        ("spaced_attr", [("pattern_applied", "a", "")], ["spaced_attribute", "no_reasoning"]),
        (
            "unclosed_then_closed",
            [("pattern_applied", "A", ""), ("hypothesis_formed", "B", "r")],
            ["unclosed_event", "no_reasoning"],
        ),
        ("nested", [("pattern_applied", "A", "outer"), ("hypothesis_formed", "B", "")], ["no_reasoning"]),
        ("no_type", [("unknown", "a", "")], ["no_type", "no_reasoning"]),
        ("gt_in_attr", [("pattern_applied", "a", "")], ["gt_in_attribute", "no_reasoning"]),
        ("eventlog_tag", [], ["stray_event"]),
        ("in_code_fence", [], []),
        ("subtag_attr", [("pattern_applied", "a", "")], ["no_reasoning"]),
        (
            "self_closing",
            [("x", "", ""), ("y", "b", "")],
            ["unknown_type", "no_decision", "no_reasoning", "unknown_type", "no_reasoning"],
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
    text = 'é\n\n  <event type="guess"><decision>d</decision><reasoning>r</event>'

    assert parse_chain(text).warnings == (
        ParseWarning("unknown_type", "'guess' is none of the known types; kept as it is", 3, 3),
        ParseWarning("unclosed_field", "<reasoning> is not closed", 3, 45),
    )


def test_events_in_fences_count_when_asked_for():
    text = "```xml\n<event type='pattern_applied'><decision>d</decision><reasoning>r</reasoning></event>\n```"

    assert brief(parse_chain(text)) == []
    assert brief(parse_chain(text, in_code=True)) == [("pattern_applied", "d", "r")]


def test_an_id_that_stands_twice_is_given_once():
    one = '<event type="pattern_applied" id="x"><decision>d</decision><reasoning>r</reasoning></event>'

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
        ("1/0", None, True),
        ("85 percent", 0.85, True),
        ("0.8 (rather high)", 0.8, True),
        ("0.9.", 0.9, False),
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
        ("[a, b (c, d)]", ("a", "b (c, d)")),
        ("[1] a, [2] b [3]", ("[1] a", "[2] b [3]")),
        ('["a, x", "b", 1.10]', ("a, x", "b", "1.10")),
        ('[\n  "a",\n  "b"\n]', ("a", "b")),
        ("[]", ()),
        ("[" * 9999 + "]", ("[" * 9999 + "]",)),
    ],
)
def test_lists_are_split_outside_brackets(text, expected):
    assert items(text) == expected


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        ("<depends_on>1</depends_on>", ("1",)),
        ("<depends_on>1 2</depends_on>", ("1", "2")),
        ("<depends_on>[1, 2]</depends_on>", ("1", "2")),
        ("<depends_on><item>1</item></depends_on>", ("1",)),
        ("<depends_on><item>x y</item></depends_on>", ("x y",)),
        ("<depends_on><item>a,b</item><item>c</item></depends_on>", ("a,b", "c")),
    ],
)
def test_what_an_event_depends_on_is_a_list_of_ids(said, ids):
    assert one(said)[0].depends_on == ids
    assert one(f"{said}<!-- the tokenizer reads this -->")[0].depends_on == ids


def test_the_xml_that_a_chain_is_exported_to_gives_its_events():
    when = dt.datetime(2025, 6, 15, 12, tzinfo=dt.UTC)
    events = (
        ReasoningEvent("hypothesis_formed", "a < b & c", "r\n\n```x```", "1", ("a, b", "[c]"), 0.1 + 0.2, "f()", "s 1"),
        ReasoningEvent(
            *("pattern_applied", "d", "r", "2"),
            parent="1",
            depends_on=("1",),
            stage="plan",
            experiment="ab",
            created_at=when,
            metadata={"k": {"l": ["<x>", 1, None]}},
        ),
    )
    found = parse_chain(export_chain(Chain("c", "n", events), "xml"))
    assert found.events == events
    assert found.warnings == ()


def one(inside="", **said):
    """The one event of an answer in which everything else is as asked for."""
    attributes = "".join(f' {name}="{value}"' for name, value in said.items())
    text = f'<event type="pattern_applied"{attributes}><decision>d</decision><reasoning>r</reasoning>{inside}</event>'
    chain = parse_chain(text, chain_id="c")
    (event,) = chain.events
    return event, [warning.code for warning in chain.warnings]


@pytest.mark.parametrize(
    ("raw", "type_", "codes"),
    [
        ("pattern_applied", "pattern_applied", []),
        ("Pattern Applied", "pattern_applied", ["respelled_type"]),
        ("hypothesis", "hypothesis_formed", ["respelled_type"]),
        ("CONSTRAINT-EVALUATED", "constraint_evaluated", ["respelled_type"]),
        ("checkpoint", "checkpoint", ["unknown_type"]),  # of two known types
        ("guess", "guess", ["unknown_type"]),
        ("stage_started", "stage_started", []),
    ],
)
def test_a_type_is_kept_unless_it_can_only_mean_one_that_is_known(raw, type_, codes):
    chain = parse_chain(f'<event type="{raw}"><decision>d</decision><reasoning>r</reasoning></event>')

    assert [event.type for event in chain.events] == [type_]
    assert [warning.code for warning in chain.warnings] == codes


def test_types_of_ones_own_are_known_when_they_are_named():
    text = '<event type="sketched"><decision>d</decision><reasoning>r</reasoning></event>'

    assert parse_chain(text, types=["sketched"]).warnings == ()


@pytest.mark.parametrize(
    ("inside", "value", "codes"),
    [
        ("", None, []),
        ("<confidence>high</confidence>", None, ["confidence"]),
        ("<confidence>.85</confidence>", 0.85, []),
        ("<confidence>85</confidence>", 0.85, ["confidence"]),
        ("<confidence>90%</confidence>", 0.9, ["confidence"]),
        ("<confidence>-1</confidence>", None, ["confidence"]),
        ("<confidence>0.9/1.0</confidence>", 0.9, []),
        ("<confidence>1e-1</confidence>", 0.1, []),
    ],
)
def test_a_confidence_that_is_not_plain_is_warned_of(inside, value, codes):
    event, found = one(inside)

    assert event.confidence == value
    assert found == codes


@pytest.mark.parametrize(
    "inside",
    [
        "<alternatives>Redis (fast, durable); a disk</alternatives>",
        "<alternatives><item>Redis (fast, durable)</item><alternative>a disk</alternative></alternatives>",
        "<alternatives><ul><li>Redis (fast, durable)</li>\n<li>a disk</li></ul></alternatives>",
        "<alternatives>\n - Redis (fast, durable)\n - a disk\n</alternatives>",
        "<alternative>Redis (fast, durable)</alternative><alternative>a disk</alternative>",
        "<alternatives><![CDATA[Redis (fast, durable), a disk]]></alternatives>",
    ],
)
def test_alternatives_may_be_written_in_many_ways(inside):
    event, codes = one(inside)

    assert event.alternatives == ("Redis (fast, durable)", "a disk")
    assert codes == []


@pytest.mark.parametrize(
    "said", ["None", "n/a", "-", "none considered", "(None.)", "No other options", "<alternative>None</alternative>"]
)
def test_who_writes_that_there_is_no_alternative_names_none(said):
    event, codes = one(f"<alternatives>{said}</alternatives>")
    assert (event.alternatives, codes) == ((), ["says_nothing"])


@pytest.mark.parametrize("said", ["none, some", "Return None", "null", "None of the above"])
def test_an_alternative_that_speaks_of_none_is_one(said):
    event, codes = one(f"<alternatives>{said}</alternatives>")
    assert (", ".join(event.alternatives), codes) == (said, [])


def test_a_reference_to_nothing_is_none_and_what_was_said_stays_in_the_warning():
    text = '<event type="pattern_applied"><decision>none</decision><reasoning>-</reasoning>{}</event>'
    more = "<depends_on>None</depends_on><parent>N/A</parent><code_section>-</code_section><stage>none</stage>"
    chain = parse_chain(text.format(more))
    [event] = chain.events
    assert (event.depends_on, event.parent, event.code_section, event.stage) == ((), None, None, None)
    assert (event.decision, event.reasoning) == ("none", "-")
    assert {w.message.split(" in ")[0] for w in chain.warnings} == {"'None'", "'N/A'", "'-'", "'none'"}


def test_one_alternative_in_its_tag_is_one_whatever_commas_it_has():
    assert one("<alternatives><alternative>slow, but safe</alternative></alternatives>")[0].alternatives == (
        "slow, but safe",
    )


@pytest.mark.parametrize("how", ["tags", "attributes"])
def test_relations_may_be_tags_or_attributes(how):
    said = {
        "id": "x",
        "parent": "p",
        "depends_on": "a, b",
        "stage": "plan",
        "experiment": "e",
        "created_at": "2025-01-02T03:04:05Z",
    }
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in said.items())

    event, codes = one(inside) if how == "tags" else one(**said)

    assert (event.id, event.parent, event.depends_on, event.stage, event.experiment) == (
        "x",
        "p",
        ("a", "b"),
        "plan",
        "e",
    )
    assert event.created_at == dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert codes == []


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ('<metadata>{"tokens": 3, "by": "me"}</metadata>', {"tokens": 3, "by": "me"}),
        ("<metadata><tokens>3</tokens><by>me &amp; you</by></metadata>", {"tokens": "3", "by": "me & you"}),
        ("<metadata>tokens: 3\nby = me</metadata>", {"tokens": "3", "by": "me"}),
        ("<metadata>written late</metadata>", {"text": "written late"}),
        ("<metadata><confidence>no field</confidence></metadata>", {"confidence": "no field"}),
        ("<metadata></metadata>", {}),
    ],
)
def test_metadata_is_json_elements_pairs_or_words(inside, expected):
    event, codes = one(inside)

    assert event.metadata == expected
    assert event.confidence is None
    assert codes == []


def test_attributes_that_are_no_field_are_metadata():
    assert one(note="a &gt; b", metadata="k: v")[0].metadata == {"note": "a > b", "k": "v"}


def test_what_is_not_said_is_none():
    event, _ = one("<code_section> </code_section>")

    assert (event.code_section, event.spec_reference, event.confidence, event.alternatives) == (None, None, None, ())


def test_entities_are_decoded_where_they_are_ones():
    text = "&lt;b&gt; &eacute; &#233; &#xE9; &nosuch; a?x=1&copy=2 &#0; <![CDATA[&lt;]]>"

    assert one(f"<code_section>{text}</code_section>")[0].code_section == "<b> é é é &nosuch; a?x=1&copy=2 &#0; &lt;"


def test_any_script_is_read():
    event, codes = one(
        "<confidence>٪٨٥</confidence><alternatives>甲（一，二）、乙；丙</alternatives><code_section>größe</code_section>"
    )

    assert event.alternatives == ("甲（一，二）", "乙", "丙")
    assert event.code_section == "größe"
    assert codes == ["confidence"]  # a sign before the number is none of a number


@pytest.mark.parametrize(
    ("text", "value"), [("٠٫٨٥", 0.85), ("85％", 0.85), ("0,85", 0.85), ("8 out of 10", 0.8), ("0．9", 0.9)]
)
def test_a_confidence_may_have_the_signs_of_other_languages(text, value):
    assert confidence(text).value == pytest.approx(value)


def test_strict_raises_one_error_that_lists_every_problem_with_its_place():
    text = "<event type='guess'>\n<confidence>high</confidence></event>\n</event>"

    with pytest.raises(Malformed) as raised:
        parse_chain(text, strict=True)

    assert [(line, column) for line, column, _ in raised.value.problems] == [(1, 1)] * 5 + [(3, 1)]
    assert len(parse_chain(text).warnings) == 6
    assert "6 problems" in str(raised.value)
    assert "line 3, column 1: an event is closed that was not opened" in str(raised.value)


def test_strict_takes_what_is_as_asked_for():
    text = '<event type="pattern_applied"><decision>d</decision><reasoning>r</reasoning></event>'

    assert parse_chain(text, strict=True) == parse_chain(text)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('<event type="pattern_applied><decision>d</decision><reasoning>r</reasoning></event>', ["unquoted_value"]),
        ("<event type=pattern_applied><decision>d</decision><reasoning>r</reasoning></event>", ["unquoted_value"]),
        (
            '<event type="pattern_applied" <decision>d</decision><reasoning>r</reasoning></event>',
            ["broken_tag"],
        ),
        ('<event type="pattern_applied"><decision>d</decision <reasoning>r</reasoning </event>', ["broken_tag"] * 2),
        ('<event type="pattern_applied"><decision>d<reasoning>r</reasoning></event>', ["unclosed_field"]),
        (
            '<event type="pattern_applied"><decision>d</decision></reasoning><reasoning>r</reasoning></event>',
            ["stray_close"],
        ),
        ('<event type="pattern_applied"><Decision>d</Decision><reasoning>r</reasoning></event>', ["upper_case"]),
    ],
)
def test_every_repair_is_a_warning(text, codes):
    chain = parse_chain(text)

    assert [warning.code for warning in chain.warnings] == codes
    assert brief(chain) == [("pattern_applied", "d", "r")]


def test_words_of_a_field_are_no_tags_and_no_repairs():
    said = "a <ID> or </stage>, if a <id b, in <Metadata x"

    event, codes = one(f"<code_section>{said}</code_section>")

    assert (event.code_section, event.stage, codes) == (said, None, [])


def test_code_that_swallows_the_end_of_an_event_is_warned_of():
    event = '<event type="pattern_applied"><decision>{}</decision><reasoning>r</reasoning></event>\n'
    opened = parse_chain(event.format("run\n```\nx") + event.format("b") + event.format("y\n```\nz"))
    assert "hidden_event" in [warning.code for warning in opened.warnings]
    sample = parse_chain(event.format("as in\n```\n<event></event>\n```\n"))
    assert (len(sample.events), sample.warnings) == (1, ())


def test_inline_code_may_begin_a_field():
    said = "`</event>` closes it"
    event = f'<event type="pattern_applied"><decision>d</decision><reasoning>{said}</reasoning></event>'
    assert brief(parse_chain(event)) == [("pattern_applied", "d", said)]


def test_tags_that_a_text_speaks_of_are_no_events():
    text = "I wrap each step in `<event>` and `</event>`, as in `<event type='x'><decision>d</decision></event>`.\n"
    good = '<event type="pattern_applied"><decision>use `a`</decision><reasoning>`b`</reasoning></event>'

    chain = parse_chain(text + good)

    assert brief(chain) == [("pattern_applied", "use `a`", "`b`")]
    assert chain.warnings == ()


def test_the_sample_of_the_format_is_read_whole(fixtures):
    found = [
        sample
        for page in sorted((fixtures.parent / "seeds").glob("*.txt"))
        for sample in re.findall(r"^```xml\n(<event.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    ]
    if not found:
        pytest.skip("the page with the sample is not here")
    (sample,) = found

    chain = parse_chain(sample, chain_id="seed")

    assert chain == Chain(
        "seed",
        "chain",
        (
            ReasoningEvent(
                "hypothesis_formed",
                "Use GenServer for state management",
                "GenServer provides good balance of simplicity and features",
                id="seed.1",
                alternatives=("Agent", "ETS table", "Database"),
                confidence=0.85,
                code_section="StateManager",
            ),
        ),
    )
