"""Hostile text in every field: nothing runs, nothing is asked for, and what was hidden shows."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser

PAYLOADS = [
    "</script><script>document.title='PWNED'</script>",
    "<img src=x onerror=\"document.title='PWNED'\">",
    "<svg onload=document.title='PWNED'>",
    "javascript:document.title='PWNED'",
    "<a href=\"javascript:document.title='PWNED'\">x</a><iframe srcdoc='<script>top.document.title=1</script>'>",
    "<style>*{display:none}</style><link rel=stylesheet href=http://example.invalid/x.css>",
    "\u2028\u2029 ]]> --> ${1} {{7*7}} {% raw %}",
    "\x1b[31mred\x1b]8;;http://example.invalid\x07 \u202eexe.gpj\u2069",
    "__proto__",
]
TEXT = " ".join(PAYLOADS)
DEEP = json.loads('{"a":' * 200 + "1" + "}" * 200)


@pytest.fixture
def reader(memory):
    columns = (
        "name",
        "run_id",
        "condition",
        "item_id",
        "error_type",
        "error_message",
        "operation",
        "provider",
        "model",
    )
    columns += ("request_model", "conversation_id", "cluster", "price_ref", "unit")
    attributes = {payload: payload for payload in PAYLOADS} | {"__proto__": {"polluted": TEXT}, "deep": DEEP}
    messages = [
        {"role": TEXT, "content": TEXT, "__proto__": {"x": 1}},
        {"role": "user", "parts": [{"type": TEXT, "x": TEXT}]},
    ]
    messages += [
        {"role": "assistant", "tool_calls": [{"function": {"name": TEXT, "arguments": TEXT}}], "finish_reason": TEXT}
    ]
    said = {
        "chain_id": TEXT,
        "name": TEXT,
        "decision": TEXT,
        "type": TEXT,
        "position": 0,
        "confidence": 0.5,
        "stage": TEXT,
    }
    said |= {"alternatives": PAYLOADS, "reasoning": TEXT, "code_section": TEXT, "spec_reference": TEXT}
    vote = {"ensemble_id": TEXT, "member": TEXT, "answer": TEXT, "weight": 1}
    result = {"ensemble_id": TEXT, "strategy": TEXT, "winner": TEXT, "agreement": 1}
    fields = dict.fromkeys(columns, TEXT) | {"status": "error", "tags": PAYLOADS, "attributes": attributes}
    fields |= {"input": messages, "output": TEXT, "resource": attributes, "links": [attributes]}
    records = [
        memory.span(span_id=TEXT, trace=TEXT, **fields),
        memory.span(span_id="02", trace=TEXT, parent_id=TEXT, start=1, **fields),
        memory.event(TEXT, TEXT, trace=TEXT, attributes=attributes),
        memory.event("causal_trace.event.created", TEXT, trace=TEXT, attributes=said),
        memory.event("ensemble.vote", TEXT, trace=TEXT, attributes=vote),
        memory.event("ensemble.result", TEXT, trace=TEXT, attributes=result),
        memory.event("tele.experiment.started", None, trace=None, run_id=TEXT, attributes={"hypothesis": TEXT}),
    ]
    return memory.Memory([record | {"experiment": TEXT} for record in records])


def test_nothing_in_any_field_runs_in_any_view(opened, reader):
    shown = opened(reader, TEXT)
    title = shown.page.title()

    for tab in ("traces", "chains", "ensembles"):
        shown.page.evaluate(f"location.hash = 'tab={tab}'")
        shown.wait("document.querySelector('.spacer .row')")
        shown.page.locator(".spacer .row").first.click()
        shown.wait("document.querySelector('.detail h3, .timeline')")
        shown.page.keyboard.press("r")
        for folded in shown.page.locator("details").all():
            folded.evaluate("each => each.open = true")
    shown.page.wait_for_timeout(200)

    foreign = "main img, main iframe, main script, main style, main link, main a, [onerror], [onload], [srcdoc]"
    assert "PWNED" not in shown.page.title().replace(title, "")
    assert shown.page.title() == title
    assert shown.page.locator(foreign).count() == 0
    assert shown.page.evaluate("({}).polluted === undefined && ({}).x === undefined")
    assert (shown.said, shown.violations) == ([], [])


def test_hidden_characters_show_as_marks(opened, reader):
    shown = opened(reader, TEXT)

    text = shown.page.evaluate("document.body.innerText")
    assert "\u241b[31mred" in text
    assert "U+202E" in text
    assert not {"\x1b", "\u202e", "\u2028", "\u2029"} & set(text)


def test_the_policy_blocks_what_is_put_in_by_hand(opened, reader):
    shown = opened(reader, TEXT)
    title = shown.page.title()

    shown.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'PWNED'";
            document.body.append(script);
            const image = "<img src='http://example.invalid/x.png' onerror='document.title=1'>";
            document.body.insertAdjacentHTML("beforeend", image);
            document.body.insertAdjacentHTML("beforeend", "<p style='position:fixed'>x</p>");
            return fetch("http://example.invalid/").catch(() => null);
        }"""
    )
    shown.page.wait_for_timeout(200)

    assert shown.page.title() == title
    assert set(shown.violations) == {"script-src-elem", "img-src", "script-src-attr", "style-src-attr", "connect-src"}
