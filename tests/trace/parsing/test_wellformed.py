"""XML from anyone: nothing is loaded, nothing grows, and what is refused as XML is still read as text."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tele.errors import BadInput
from tele.trace import parse_chain
from tele.trace.parsing import parse_xml
from tele.trace.parsing.wellformed import read_wellformed

GOOD = '<event type="pattern_applied"><decision>d</decision><reasoning>{}</reasoning></event>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

ATTACKS = {
    "a file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]><r>' + GOOD.format("&x;") + "</r>",
    "a file by a parameter": '<!DOCTYPE r [<!ENTITY % p SYSTEM "file://{secret}"> %p;]><r>' + GOOD.format("r") + "</r>",
    "a document type elsewhere": '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r>' + GOOD.format("r") + "</r>",
    "an included file": '<r xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{secret}" parse="text"/></r>',
    "a billion laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><r>' + GOOD.format("&l9;") + "</r>",
    "one long entity, often": f'<!DOCTYPE r [<!ENTITY a "{"a" * 50_000}">]><r>' + GOOD.format("&a;" * 50_000) + "</r>",
}
REFUSED = {"an included file": False}  # it is read, and nothing is included


@pytest.mark.parametrize("name", ATTACKS)
def test_a_document_that_reaches_out_or_grows_is_refused_and_as_text_gives_only_what_stands_in_it(name, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    text = ATTACKS[name].replace("{secret}", str(secret))

    if REFUSED.get(name, True):
        with pytest.raises(BadInput, match=r"document type|not well-formed"):
            parse_xml(text)
    else:
        assert "the secret" not in "".join(parse_xml(text).itertext())
    chain = parse_chain(text)

    assert len(chain.events) == text.count("<event")
    assert all(len(event.reasoning) <= len(text) and "the secret" not in event.reasoning for event in chain.events)


def test_a_document_may_name_its_encoding():
    assert parse_xml('\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<chain>é</chain>').text == "é"


def test_documents_are_refused_in_a_sentence():
    with pytest.raises(BadInput, match="not well-formed"):
        parse_xml("<a><b></a>")
    with pytest.raises(BadInput, match="at most"):
        parse_xml(" " * (2**24 + 1))
    with pytest.raises(BadInput, match="attributes"):
        parse_xml("<a " + " ".join(f"b{n}='c'" for n in range(300)) + "/>")
    with pytest.raises(BadInput, match="not well-formed"):
        parse_xml("<a>" * 300 + "</a>" * 300)


def test_a_fragment_of_markup_is_read_by_lxml_and_what_only_the_tokenizer_knows_is_not():
    assert read_wellformed(GOOD.format("r")) is not None
    for text in ("prose " + GOOD.format("r"), GOOD.format("`r`"), GOOD.format("<b>r</b>"), GOOD.format("a < b"), ""):
        assert read_wellformed(text) is None


@pytest.mark.parametrize(
    ("attributes", "decision"),
    [(' json = "true"', "d"), (" a='>' json='true'", "d"), (" note=' json=\"true\"'", '"d"'), (' json="yes"', '"d"')],
)
def test_both_readers_agree_on_what_stands_as_json(attributes, decision):
    event = GOOD.format("r").replace("<decision>d<", f'<decision{attributes}>"d"<')
    assert read_wellformed(event) is not None
    for text in (event, f"prose {event}"):
        assert [each.decision for each in parse_chain(text).events] == [decision]


def test_the_events_are_the_same_where_lxml_is_not_installed():
    text = GOOD.format("a &lt; b") * 2
    script = "import sys; sys.modules['lxml'] = None; import tele; print(tele.parse_chain(sys.argv[1]).events)"

    done = subprocess.run([sys.executable, "-c", script, text], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == repr(parse_chain(text).events)


LARGE = """
import json, resource, sys, time
import tele
from tele.trace.parsing import stream_events
unit = 1 if sys.platform == "darwin" else 1024
event = '<event type="pattern_applied"><decision>d</decision><reasoning>r</reasoning>'
texts = {
    "deep": (event * 20_000 + "</event>" * 20_000, 20_000),
    "deeper than libxml2 goes": ("<a>" * 500_000 + event + "</event>" + "</a>" * 500_000, 1),
    "a long text": (event.replace("<reasoning>r", "<reasoning>" + "long " * 2_000_000) + "</event>", 1),
    "a long attribute": (event.replace(">", ' note="' + "x" * 10_000_000 + '">', 1) + "</event>", 1),
    "many attributes": (event.replace(">", "".join(f' a{n}="1"' for n in range(100_000)) + ">", 1) + "</event>", 1),
    "many entities": (event.replace("<reasoning>r", "<reasoning>" + "&amp;" * 1_000_000) + "</event>", 1),
}
before, found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, {}
for name, (text, count) in texts.items():
    start = time.process_time()
    assert len(tele.parse_chain(text).events) == count, name
    found[name] = time.process_time() - start
    assert sum(1 for _ in stream_events([text])) == count, name
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": found, "mib": (peak - before) * unit / 2**20}))
"""


def test_what_is_deep_or_long_takes_little_time_and_little_memory():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    took = json.loads(done.stdout)

    assert max(took["seconds"].values()) < 5, took
    assert took["mib"] < 600, took
