"""Laws of the parser: what holds for every text, and for every way in which a good answer is spoiled."""

from __future__ import annotations

import html
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tele.trace import TYPES, parse_chain
from tele.trace.parsing import (
    ChainStream,
    extract_code,
    extract_metadata,
    read_section,
    read_sections,
    split_events_and_code,
    stream_events,
    validate_text,
)
from tele.trace.parsing.reading import FIELDS, Reading
from tele.trace.parsing.settling import Settling
from tele.trace.parsing.wellformed import read_wellformed

ALPHABET = st.characters(
    exclude_categories=["Cs", "Cc", "Co", "Cn"], include_characters="\n\t&<>\"'", exclude_characters="`~\r"
)
WORDS = st.one_of(
    st.text(ALPHABET, min_size=1, max_size=12), st.sampled_from(["a, b; c (d, e)", "0.9", "85 %", "k: v", "{}"])
)
OFTEN = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = [name for name in FIELDS if name != "alternative"]


def written(text: str, how: str) -> str:
    """Text as XML may write it."""
    if how == "numbers":
        return "".join(f"&#{ord(char)};" for char in text)
    return f"<![CDATA[{text}]]>" if how == "cdata" and "]]>" not in text else escape(text)


@st.composite
def fields(draw):
    name = draw(st.sampled_from(NAMES))
    if name == "alternatives" and draw(st.booleans()):
        inner = "".join(
            f"<{tag}>{escape(draw(WORDS))}</{tag}>" for tag in draw(st.lists(st.sampled_from(["alternative", "li"])))
        )
    else:
        inner = written(draw(WORDS), draw(st.sampled_from(["plain", "numbers", "cdata"])))
    language = draw(st.sampled_from(["", ' lang="en"']))
    return f"<{name}{language}>{inner}</{name}>"


def event(inside):
    """An event with attributes and with what stands in it."""
    said = st.dictionaries(st.sampled_from(["id", "parent", "stage", "confidence", "note"]), WORDS, max_size=2)
    parts = st.lists(st.one_of(fields(), WORDS.map(escape), inside), max_size=6).map("".join)
    kinds = st.sampled_from([*TYPES, "Pattern applied", "own"])
    return st.builds(
        lambda kind, more, body: (
            f"<event type={quoteattr(kind)}{''.join(f' {k}={quoteattr(v)}' for k, v in more.items())}>{body}</event>"
        ),
        kinds,
        said,
        parts,
    )


EVENTS = st.recursive(st.just('<event type="pattern_applied"/>'), event, max_leaves=4)
FRAGMENTS = st.lists(st.one_of(EVENTS, EVENTS, WORDS.map(escape)), min_size=1, max_size=4).map("".join)


def tokenized(text):
    reading = Reading(in_code=False)
    reading.read(text, 0, 0, final=True)
    notes = reading.notes
    events = Settling("chain").events(reading.drafts, notes)
    return events, sorted(notes)


@OFTEN
@given(EVENTS, FRAGMENTS, EVENTS)
def test_wellformed_text_gives_the_same_events_from_lxml_and_from_the_tokenizer(first, middle, last):
    text = f"{first}{middle}{last}"
    read = read_wellformed(text)
    assume(read is not None)
    drafts, notes = read

    assert (Settling("chain").events(drafts, notes), sorted(notes)) == tokenized(text)


HIDING = [
    "<code>",
    "</code>",
    "```\n",
    "\n```py\n",
    "\n```\n",
    "\n~~~~\n",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "`",
    "`<event>`",
]
BROKEN = [
    "<event ",
    "<event type='a'>",
    "<EVENT TYPE=x>",
    "</event>",
    "</event >",
    "<event/>",
    "<decision>",
    "</decision>",
    "<id>",
    "</id>",
    "<alternative>",
    "<metadata>",
    "<confidence>7</confidence>",
    "<",
    ">",
    "=",
    '"',
    "'",
    "\n",
    " ",
    "&lt;",
    "\ud800",
    "\0",
    "</eve",
    "nt>",
    '<event a="',
    "\r\n",
    "<decision lang='x'",
]
SOUP = st.lists(st.one_of(st.sampled_from([*HIDING, *BROKEN]), EVENTS), max_size=30).map("".join)


@st.composite
def spoiled(draw):
    """A good answer in which pieces were cut out, doubled, put elsewhere or replaced."""
    text = draw(st.one_of(FRAGMENTS, SOUP))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        what = draw(st.sampled_from(["cut", "double", "put", "case"]))
        piece = text[start:end]
        new = {"cut": "", "double": piece * 2, "case": piece.swapcase(), "put": draw(st.sampled_from(HIDING + BROKEN))}
        text = text[:start] + new[what] + text[end:]
    return text


@OFTEN
@given(spoiled(), st.booleans())
def test_no_text_makes_the_parser_raise_or_invent_an_event(text, in_code):
    chain = parse_chain(text, in_code=in_code)

    assert len(chain.events) <= text.lower().count("<event")
    assert len({event.id for event in chain.events}) == len(chain.events)
    lines = text.split("\n")
    assert all(1 <= w.line <= len(lines) and 1 <= w.column <= len(lines[w.line - 1]) + 1 for w in chain.warnings)
    said = " ".join(html.unescape(text).split())
    for found in chain.events:
        assert found.confidence is None or 0 <= found.confidence <= 1
        if "&" not in text and "CDATA" not in text:
            assert " ".join(found.decision.split()) in said


@OFTEN
@given(spoiled(), st.booleans(), st.data())
def test_a_stream_gives_what_the_whole_text_gives_however_it_is_cut(text, in_code, data):
    size = data.draw(st.sampled_from([1, 2, 7, 1000]))
    stream = ChainStream("name", chain_id="chain", in_code=in_code)
    came = [event for at in range(0, len(text), size) for event in stream.feed(text[at : at + size])]
    whole = parse_chain(text, "name", chain_id="chain", in_code=in_code)

    assert stream.close() == whole
    assert came == list(whole.events[: len(came)])
    assert list(stream_events([text], chain_id="chain", in_code=in_code)) == list(whole.events)


@OFTEN
@given(spoiled())
def test_every_other_reading_takes_any_text(text):
    check = validate_text(text)
    parts = split_events_and_code(text)

    assert check.events == len(parse_chain(text).events)
    assert '<event type="pattern_applied"/>' not in parts.prose or check.events < text.lower().count("<event")
    assert len(extract_code(text)) <= len(text)
    assert isinstance(extract_metadata(text), dict)
    for section in read_sections(text, "event", "decision", "code", in_code=False):
        assert section.text in text
    assert (read_section(text, "decision") is None) == (not any(s.closed for s in read_sections(text, "decision")))


PIECES = [
    *HIDING,
    *BROKEN,
    "<code x ",
    "`",
    "```",
    "~~~",
    "~~~a",
    "`<event",
    "<event a='",
    "<event a=\"'",
    "<event =\" ='",
    "</event",
    "a=",
    "<alternatives>(,",
    "\n ```",
    "</code",
    "<!-- </event> ",
    "\n```\n</event>",
    "<reasoning>",
    "&#",
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("before", ["", "<event><reasoning>"])
def test_the_cost_grows_with_the_length_and_not_with_its_square(piece, before, cpu_seconds):
    def read(characters):
        text = before + piece * (characters // len(piece))
        parse_chain(text)
        split_events_and_code(text)
        read_sections(text, "event", "answer", in_code=False)

    read(1000)

    # The square would cost 100 times as much.
    assert cpu_seconds(lambda: read(40_000)) < 40 * cpu_seconds(lambda: read(4_000)) + 0.3
