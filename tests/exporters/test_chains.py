from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.exporters import CHAIN_FORMATS, export_chain, read_chain
from tele.trace import Chain, ReasoningEvent, parse_chain
from tele.trace.chain import ParseWarning

NOON = dt.datetime(2025, 6, 15, 12, 0, 0, 5, tzinfo=dt.UTC)
NASTY = 'a "b" <c> & [d](e) {f}; g: h # i | j `k` *l* _m_ %% n\n1. o -->\tp; end'
CHAIN = Chain(
    "c1",
    "storage",
    (
        ReasoningEvent("hypothesis_formed", "Use Redis", "It is fast.", "1", ("Postgres", "files"), 0.9, stage="plan"),
        ReasoningEvent(
            "mine", NASTY, NASTY, "2 \"'", (NASTY,), 0.25, NASTY, NASTY, "1", ("1",), NASTY, "e", NOON, {"k": [1]}
        ),
        ReasoningEvent("loss_computed", "", "", "3", depends_on=("1", "9")),
    ),
    metadata={"model": "m"},
    warnings=(ParseWarning("no_decision", "the event has no <decision>", 3, 7),),
    created_at=NOON,
    description="why & how",
    version=2,
    parent_hash="ff",
)

any_text = st.text(st.characters(codec=None), max_size=12)
plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def chains(texts):
    events = st.builds(
        ReasoningEvent,
        type=texts,
        decision=texts,
        reasoning=texts,
        id=texts,
        alternatives=st.lists(texts, max_size=2).map(tuple),
        confidence=st.none() | st.floats(0, 1),
        code_section=st.none() | texts,
        spec_reference=st.none() | texts,
        parent=st.none() | texts,
        depends_on=st.lists(texts, max_size=2).map(tuple),
        stage=st.none() | texts,
        experiment=st.none() | texts,
        created_at=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
    )
    return st.builds(
        Chain, id=texts, name=texts, events=st.lists(events, max_size=3).map(tuple), description=st.none() | texts
    )


def stated(event):
    """An event without texts that are there and empty: JSON leaves out what is not stated."""
    given = {"type": event.type or "t", "id": event.id or "1"}
    return dataclasses.replace(event, **given)


class TestRoundTrips:
    @pytest.mark.parametrize("format_", ["json", "xml"])
    def test_what_is_written_is_read_back(self, format_):
        assert read_chain(export_chain(CHAIN, format_), format_) == CHAIN
        assert read_chain(export_chain(Chain("", ""), format_), format_).events == ()

    @given(chains(any_text))
    @example(Chain("\ud800", "\x00", (ReasoningEvent("\ufffe", "\ud800<", "]]>\r\n ", "\x1b"),)))
    def test_any_text_goes_through_xml_and_comes_back(self, chain):
        text = export_chain(chain, "xml")
        ET.fromstring(text)  # ours; an independent reader finds it well-formed
        assert read_chain(text, "xml") == chain

    @given(chains(plain_text))
    def test_any_text_of_unicode_goes_through_json_and_comes_back(self, chain):
        named = dataclasses.replace(chain, name=chain.name or "chain", events=tuple(map(stated, chain.events)))
        assert read_chain(export_chain(named, "json"), "json") == dataclasses.replace(
            named, description=named.description or None
        )

    def test_the_parser_of_answers_reads_the_events_of_our_xml(self):
        tidy = [
            dataclasses.replace(e, metadata={}, experiment=None, created_at=None, stage="s") for e in CHAIN.events[:1]
        ]
        read = parse_chain(export_chain(dataclasses.replace(CHAIN, events=tuple(tidy)), "xml"))
        assert read.events == tuple(tidy)

    @given(st.lists(any_text | st.sampled_from(["a\n```\nb", "~~~\n", "\x01", "\ud800 "]), min_size=1, max_size=4))
    def test_the_parser_of_answers_reads_every_text_of_our_xml(self, texts):
        events = tuple(
            ReasoningEvent("mine", text, "r", f"{n}\x1b", (f"\x02{n}",), depends_on=("0\x1b",), metadata={"k": text})
            for n, text in enumerate(texts)
        )
        read = parse_chain(export_chain(Chain("c", "n", events), "xml"), types=["mine"])
        assert len(read.events) == len(events)
        for found, event in zip(read.events, events, strict=True):
            assert (found.id, found.alternatives) == (event.id, event.alternatives)
            assert found.depends_on == event.depends_on
            exact = re.search("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", event.decision)
            assert found.decision == (event.decision if exact else event.decision.strip())

    def test_a_file_of_crucibles_traces_is_read(self):
        old = {
            "id": "ab",
            "name": "n",
            "metadata": {},
            "created_at": "2025-06-15T12:00:00Z",
            "events": [
                {
                    "id": "e1",
                    "timestamp": "2025-06-15T12:00:00Z",
                    "type": "hypothesis_formed",
                    "decision": "d",
                    "alternatives": [],
                    "reasoning": "r",
                    "confidence": 1.0,
                    "code_section": None,
                    "spec_reference": None,
                    "metadata": {},
                    "parent_id": "e0",
                    "stage_id": "s",
                }
            ],
        }
        [event] = read_chain(json.dumps(old), "json").events
        assert (event.parent, event.stage, event.created_at) == ("e0", "s", dt.datetime(2025, 6, 15, 12, tzinfo=dt.UTC))

    def test_a_long_chain_is_written_whole(self):
        long = Chain("c", "n", tuple(ReasoningEvent("t", "d", "r", str(n)) for n in range(10_500)))
        assert all(read_chain(export_chain(long, name), name) == long for name in ("json", "xml"))

    @pytest.mark.parametrize(
        ("text", "format_", "why"),
        [
            ("{", "json", "no JSON of a chain"),
            ("[]", "json", "no chain"),
            ('{"events": [1]}', "json", "Event 0"),
            ('{"events": [{"confidence": "high"}]}', "json", "no number"),
            ('{"events": [], "created_at": 3}', "json", "no time"),
            ('{"events": [{"alternatives": "a"}]}', "json", "no list"),
            ('{"events": [{"decision": ["a"]}]}', "json", "text was expected"),
            ('{"events": [{"metadata": 3}]}', "json", "no JSON object"),
            ('{"events": [], "warnings": 3}', "json", "are a list"),
            ("<chain id='x' name='n' json='id'/>", "xml", "text was expected"),
            ("<chain id='x' name='n' metadata='3'/>", "xml", "JSON object"),
            ("<chain", "xml", "no well-formed XML"),
            ("<other/>", "xml", "root"),
            ("<chain id='1'/>", "xml", "'name'"),
            ("<chain id='1' name='n' version='x'/>", "xml", "cannot be read"),
            ("<!DOCTYPE chain [<!ENTITY a 'b'>]><chain id='1' name='&a;'/>", "xml", "document type"),
            ("<a>" * 50 + "</a>" * 50, "xml", "too deep"),
            ("x", "csv", "read back from json or xml"),
        ],
    )
    def test_what_is_no_chain_is_refused_in_a_sentence(self, text, format_, why):
        with pytest.raises(BadInput, match=why):
            read_chain(text, format_)


class TestCsv:
    def test_a_reader_of_csv_gets_the_columns_that_crucible_has_and_what_was_said(self):
        rows = list(csv.DictReader(io.StringIO(export_chain(CHAIN, "csv"))))
        known = "id timestamp type decision alternatives reasoning confidence code_section spec_reference"
        assert " ".join(list(rows[0])[:9]) == known
        assert [row["decision"] for row in rows] == ["Use Redis", NASTY, ""]
        assert rows[0]["alternatives"] == "Postgres; files"
        assert (rows[1]["timestamp"], rows[1]["metadata"], rows[2]["confidence"]) == (NOON.isoformat(), '{"k":[1]}', "")

    def test_a_lone_carriage_return_breaks_no_row(self):
        chain = Chain("c", "n", (ReasoningEvent("t", "10 %\r20 %", "r\r", "1"), ReasoningEvent("t", "d", "r", "2")))
        rows = list(csv.DictReader(io.StringIO(export_chain(chain, "csv"), newline="")))
        assert [(row["decision"], row["reasoning"]) for row in rows] == [("10 %\r20 %", "r\r"), ("d", "r")]

    def test_a_spreadsheet_gets_no_formula(self):
        chain = Chain("c", "n", (ReasoningEvent("t", "=cmd|' /C calc'!A0", "-1", "1"),))
        [row] = csv.DictReader(io.StringIO(export_chain(chain, "csv", for_spreadsheets=True)))
        assert (row["decision"], row["reasoning"]) == ("'=cmd|' /C calc'!A0", "'-1")


class TestMarkdown:
    def test_an_empty_chain_has_a_page(self):
        assert "No events." in export_chain(Chain("c", "n"), "markdown")

    def test_what_a_model_wrote_stays_text(self):
        text = export_chain(CHAIN, "markdown")
        assert r'a "b" \<c\> \& \[d\](e) \{f\}; g: h \# i \| j \`k\` \*l\* \_m\_ %% n' in text
        assert text.count("\n## ") == 4  # three events and the warnings
        assert "\n1\\. o --\\>\tp; end" in text
        assert "- line 3, column 7: the event has no \\<decision\\>" in text

    @given(st.sampled_from(["# h", "- l", "1. l", "> q", "```", "===", "+ l", "    code", "* * *", "<b>"]))
    def test_no_line_of_it_becomes_a_heading_a_list_or_a_rule(self, line):
        chain = Chain("c", "n", (ReasoningEvent("t", "d", f"x\n{line}\ny", "1"),))
        said = export_chain(chain, "markdown", figures=False).split("\n\n")[2]
        middle = said.splitlines()[1]
        assert not re.match(r"\s{4}|\s*([#>+*=<`-]|\d+[.)])", middle), middle


# ── Mermaid: its grammar, as far as we write it ──────────────────────────────────────────────────────────────────────

TEXT = r"(?:[^\"#;\n<>`\[\]{}|\\_*]|#\d+;|<br/>)*"
FLOWCHART = [
    r"flowchart (TD|TB|BT|LR|RL)",
    rf'  n\d+\["{TEXT}"\]',
    rf'  n\d+a\d+\(\["{TEXT}"\]\)',
    r"  n\d+ (-->|-\.->) n\d+",
    r"  n\d+ -\.- n\d+a\d+",
    r"  classDef c\d+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}",
    r"  class n\d+(,n\d+)* c\d+",
]
PART = r"(?:[^:#;\n%]|#\d+;)+"
TIMELINE = [r"timeline", rf"  title {PART}", rf"  section {PART}", rf"  \d+ : {PART}( : {PART})*"]

SEQUENCE = [
    r"sequenceDiagram",
    rf"  title {PART}",
    rf"  participant p\d+ as {PART}",
    rf"  Note over p\d+(,p\d+)?: {PART}",
    rf"  p\d+->>p\d+: {PART}",
]


def unescaped(text):
    """What Mermaid shows for the entity codes."""
    return re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text)


def follows(text, grammar):
    return [line for line in text.rstrip("\n").split("\n") if not any(re.fullmatch(rule, line) for rule in grammar)]


class TestMermaid:
    @given(chains(any_text), st.booleans())
    def test_every_line_is_of_mermaids_grammar_whatever_the_texts_are(self, chain, more):
        for kind in ("flowchart", "graph"):
            assert follows(export_chain(chain, "mermaid", kind=kind, alternatives=more, colours=more), FLOWCHART) == []
        assert follows(export_chain(chain, "mermaid", kind="timeline", confidence=more), TIMELINE) == []
        assert follows(export_chain(chain, "mermaid", kind="sequence", alternatives=more), SEQUENCE) == []

    @given(plain_text)
    def test_a_label_shows_what_the_decision_says(self, text):
        said = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
        chain = Chain("c", "n", (ReasoningEvent("t", text, "r", "1"),))
        line = export_chain(chain, "mermaid", confidence=False, colours=False).splitlines()[1]
        shown = unescaped(line.removeprefix('  n0["t<br/>').removesuffix('"]'))
        assert " ".join(shown.split()) == (said or "no decision")

    def test_a_graph_has_parents_and_dependencies_and_leaves_out_what_is_not_there(self):
        lines = export_chain(CHAIN, "mermaid", kind="graph", colours=False).splitlines()
        assert [line.strip() for line in lines if re.search("-->|-\\.->", line)] == [
            "n0 --> n1",
            "n0 -.-> n1",
            "n0 -.-> n2",
        ]

    def test_a_flowchart_goes_in_order_and_cuts_and_colours(self):
        lines = export_chain(CHAIN, "mermaid", max_label=6, direction="LR", alternatives=True).splitlines()
        assert lines[0] == "flowchart LR"
        assert '  n0["hypothesis formed<br/>Use R…<br/>confidence 0.90"]' in lines
        assert '  n0a0(["Postg…"])' in lines
        assert ("  n0 --> n1" in lines, "  n1 --> n2" in lines) == (True, True)
        assert len([line for line in lines if line.startswith("  classDef")]) == 3

    def test_an_alternative_that_says_nothing_has_no_node(self):
        chain = Chain("c", "n", (ReasoningEvent("t", "d", "r", "1", (" ", "x")),))
        drawn = export_chain(chain, "mermaid", alternatives=True)
        assert 'n0a1(["x"])' in drawn
        assert "n0a0" not in drawn  # Mermaid refuses a label without a character

    def test_a_timeline_has_a_section_for_each_stage(self):
        chain = Chain("c", "plan: a", (CHAIN.events[0], dataclasses.replace(CHAIN.events[0], stage="b")))
        assert export_chain(chain, "mermaid", kind="timeline").splitlines() == [
            "timeline",
            "  title plan#58; a",
            "  section plan",
            "  1 : hypothesis formed : Use Redis : confidence 0.90",
            "  section b",
            "  2 : hypothesis formed : Use Redis : confidence 0.90",
        ]

    def test_a_sequence_has_a_lane_for_each_type_and_says_where_a_stage_begins(self):
        first = CHAIN.events[0]
        chain = Chain("c", "plan; a", (first, dataclasses.replace(first, type="pattern_applied", stage="b"), first))
        assert export_chain(chain, "mermaid", kind="sequence", alternatives=True, max_label=7).splitlines() == [
            "sequenceDiagram",
            "  title plan#59; a",
            "  participant p0 as hypothesis formed",
            "  participant p1 as pattern applied",
            "  Note over p0,p1: plan",
            "  p0->>p0: Use Re… (confidence 0.90)",
            "  Note over p0: not Postgr…",
            "  Note over p0: not files",
            "  Note over p0,p1: b",
            "  p0->>p1: Use Re… (confidence 0.90)",
            "  Note over p1: not Postgr…",
            "  Note over p1: not files",
            "  Note over p0,p1: plan",
            "  p1->>p0: Use Re… (confidence 0.90)",
            "  Note over p0: not Postgr…",
            "  Note over p0: not files",
        ]

    @pytest.mark.parametrize("wrong", [{"kind": "pie"}, {"direction": "XY"}, {"max_label": 0}])
    def test_what_it_cannot_draw_is_refused(self, wrong):
        with pytest.raises(BadInput):
            export_chain(CHAIN, "mermaid", **wrong)


def test_every_format_is_of_one_shape_and_a_file_holds_what_is_returned(tmp_path):
    import importlib

    for name in CHAIN_FORMATS:
        module = importlib.import_module(f"tele.exporters.chain_{name}")
        text = export_chain(CHAIN, name, tmp_path / f"chain{module.suffix}")
        assert (tmp_path / f"chain{module.suffix}").read_bytes().decode() == text == module.write(CHAIN)
        assert "/" in module.media_type
        assert text.endswith("\n")
    with pytest.raises(BadInput, match="Nearest: markdown"):
        export_chain(CHAIN, "markdwn")
    with pytest.raises(BadInput, match="csv takes for_spreadsheets"):
        export_chain(CHAIN, "csv", colour=1)
