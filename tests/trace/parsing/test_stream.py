from __future__ import annotations

import pytest

from tele.errors import Malformed
from tele.trace import parse_chain
from tele.trace.parsing import ChainStream, stream_events

EVENT = '<event type="pattern_applied" id="{}"><decision>d</decision><reasoning>r</reasoning></event>'


def arrivals(text, **options):
    """How much of the text has come when each event comes out, one character at a time."""
    stream = ChainStream(**options)
    return {event.id: text[: at + 1] for at, char in enumerate(text) for event in stream.feed(char)}


def test_an_event_comes_out_with_the_character_that_closes_it():
    first, second = EVENT.format("a"), EVENT.format("b")

    assert arrivals(f"so {first} and {second} done") == {"a": f"so {first}", "b": f"so {first} and {second}"}


def test_an_event_inside_of_another_comes_out_with_it_and_names_it():
    inner = EVENT.format("inner")
    outer = f'<event type="pattern_applied" id="outer">{inner}</event>'
    stream = ChainStream()

    assert stream.feed(outer[:-1]) == []
    assert [(event.id, event.parent) for event in stream.feed(">")] == [("outer", None), ("inner", "outer")]


def test_what_is_in_code_does_not_come_out_and_what_was_no_code_comes_out_at_the_end():
    first, second = EVENT.format("a"), EVENT.format("b")

    assert list(arrivals(f"```\n{first}\n```\n{second}")) == ["b"]
    stream = ChainStream()
    assert stream.feed(f"```\n{first}\n{second}") == []
    assert [event.id for event in stream.close().events] == ["a", "b"]


def test_the_chain_at_the_end_is_that_of_the_whole_text_with_its_warnings():
    text = "one\ntwo <event type='guess'>\n<decision>d\n</event> <event>"
    stream = ChainStream("plan", chain_id="c")
    for char in text:
        stream.feed(char)

    assert stream.close() == parse_chain(text, "plan", chain_id="c")
    assert stream.close() is stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.feed("more")


def test_two_streams_are_two_chains():
    chains = [ChainStream().close().id for _ in range(2)]

    assert chains[0][:8] != chains[1][:8]


def test_a_strict_stream_raises_at_its_end():
    stream = ChainStream(strict=True)
    assert stream.feed("<event>") == []

    with pytest.raises(Malformed, match="not closed"):
        stream.close()


def test_events_are_yielded_while_the_pieces_come():
    seen = []

    def pieces():
        for number in range(3):
            seen.append(number)
            yield EVENT.format(number)

    assert next(stream_events(pieces())).id == "0"
    assert seen == [0]


@pytest.mark.parametrize(
    "text",
    [
        EVENT.format("a"),
        "<!-- " + EVENT.format("a"),
        "<event>" + EVENT.format("a"),
        "</event>",
        "<!-- </event> -->",
        "> \n",
    ],
)
def test_single_characters_cost_in_proportion_to_their_number(text, cpu_seconds):
    def fed(characters):
        stream, whole = ChainStream(), text * (characters // len(text))
        for char in whole:
            stream.feed(char)
        stream.close()

    fed(1000)

    # The square would cost 100 times as much.
    assert cpu_seconds(lambda: fed(150_000)) < 40 * cpu_seconds(lambda: fed(15_000)) + 0.3
