"""The page as text: whole, escaped, and closed to everything outside."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

from tele.viewer.figures import from_groups
from tele.viewer.model import build
from tele.viewer.page import SCRIPTS, page, render, view

HOSTILE = "</script><script>document.title='PWNED'</script><img src=x onerror=alert(1)>\u2028\x1b[31m\u202e\"'`{{7*7}}"
MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Elements(HTMLParser):
    """Collects elements, and what stands in scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        self.found.append((f"/{tag}", {}))

    def handle_data(self, data):
        if self.found and self.found[-1][0] in ("script", "style"):
            self.inside[-1][2] += data

    def named(self, name):
        return [attrs for tag, attrs in self.found if tag == name]


def hostile_store(memory):
    fields = dict.fromkeys(
        ("name", "run_id", "condition", "item_id", "error_type", "error_message", "operation", "provider", "model"),
        HOSTILE,
    )
    said = {"chain_id": HOSTILE, "name": HOSTILE, "decision": HOSTILE, "type": HOSTILE, "position": 0}
    start = memory.event(
        "tele.experiment.started", None, trace=None, attributes={"hypothesis": HOSTILE}, run_id=HOSTILE
    )
    return memory.Memory(
        [
            start | {"experiment": HOSTILE},
            memory.span(span_id="01", experiment=HOSTILE, status="error", **fields),
            memory.event("causal_trace.event.created", "01", attributes=said, experiment=HOSTILE),
        ]
    )


def test_hostile_text_makes_no_element_and_no_attribute(memory):
    clean = Elements(page(memory.Memory([memory.span("a", "01", run_id="r")]), "prompt-ab"))

    text = page(hostile_store(memory), HOSTILE)

    found = Elements(text)
    assert found.named("img") == []
    assert len(found.named("script")) == len(clean.named("script"))
    assert [attrs for _, attrs in found.found if any(name.startswith("on") for name in attrs)] == []
    assert HOSTILE not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_policy_names_the_hashes_of_the_one_script_and_the_one_style(memory):
    found = Elements(page(memory.Memory([memory.span("a", "01")]), "prompt-ab"))

    run = [(tag, text) for tag, attrs, text in found.inside if attrs.get("type") != "application/json"]
    (_, style), (_, script) = run
    hashed = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    policy = next(attrs["content"] for attrs in found.named("meta") if "http-equiv" in attrs)
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashed[0]}'; style-src 'sha256-{hashed[1]}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_asks_for_nothing_and_sets_no_inline_style(memory):
    found = Elements(page(memory.Memory(memory.experiment(items=2)), "prompt-ab"))

    links = [attrs for _, attrs in found.found if {"src", "href", "style", "action"} & attrs.keys()]
    assert links == [{"class": "skip", "href": "#main"}]


def test_the_script_never_reads_markup_from_data_and_loads_nothing(memory):
    text = page(memory.Memory([memory.span("a", "01")]), "prompt-ab")

    script = text[text.rindex("<script>") :]
    banned = (
        "innerHTML|outerHTML|insertAdjacentHTML|document.write|eval\\(|new Function|fetch\\(|XMLHttpRequest|import\\("
    )
    assert re.findall(banned, script) == []
    assert len(SCRIPTS) == len(set(SCRIPTS))


def test_equal_models_give_equal_pages(memory):
    records = memory.experiment(items=2)

    once, again = (
        render(build(memory.Memory(records), "prompt-ab"), from_groups([], "llm"), store="s", made=MADE)
        for _ in range(2)
    )

    assert once == again


def test_the_foot_says_when_where_from_and_what_is_left_out(memory):
    model = build(memory.Memory([memory.span("a", "01"), memory.event("b", None, trace=None)]), "prompt-ab")

    text = render(model, None, store="/data/.tele", made=MADE)

    foot = re.sub(r"<[^>]+>", "", text[text.index("<footer>") : text.index("</footer>")])
    assert re.match(r"\s*Made 2026-01-02 03:04:05 UTC by tele \S+ from /data/.tele\.", foot)
    assert "1 events and metrics outside any trace are not listed here" in foot


def test_the_figures_stand_in_the_page_without_its_script(memory):
    text = page(memory.Memory(memory.experiment(items=2)), "prompt-ab")

    static = text[: text.index("<main")]
    assert "<noscript>" in static
    assert re.findall(r'<th scope="row"><bdi>([^<]+)', static) == ["baseline", "few-shot"]


def test_the_view_writes_the_page_where_asked_and_makes_the_folder(memory, tmp_path):
    out = tmp_path / "new" / "page.html"

    assert view(memory.Memory([memory.span("é", "01")]), "prompt-ab", out) == out
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
