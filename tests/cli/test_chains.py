"""`tele chain`, as a user types it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import tele
from tele.cli.app import app
from tele.errors import BadInput, UnknownTarget
from tele.trace import Chain, ReasoningEvent
from tele.trace.edit import add
from tele.trace.storage import save

TEXT = """So:
<event type="hypothesis_formed" id="1"><decision>Use [Redis]</decision><alternatives>Postgres</alternatives>
<reasoning>fast</reasoning><confidence>0.9</confidence></event>
<event type='ambiguity_flagged' id='2'><decision>Read recent as a day</decision><reasoning>unsaid</reasoning>
<confidence>0.4</confidence></event>"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer.txt").write_text(TEXT)

    def call(*arguments, rc=0, stdin=None):
        done = CliRunner().invoke(app, ["chain", *map(str, arguments)], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == rc, done.output
        return done

    return call


@pytest.fixture
def stored(tele_store, run, monkeypatch):
    monkeypatch.setenv("TELE_STORE", str(tele_store.path))
    chain = tele.parse_chain(TEXT, "storage", chain_id="abc1" * 8)
    with tele.experiment("e", condition="a"):
        save(chain)
        save(add(chain, ReasoningEvent("pattern_applied", "cache it", "r", "3")), parent=chain)
        save(Chain("abd2" * 8, "other", chain.events[:1]))
    tele.flush()
    return run


def test_parse_shows_a_file_and_says_what_had_to_be_mended(run):
    done = run("parse", "answer.txt")
    assert "2 events, mean confidence 0.65" in done.stdout
    assert "   not: Postgres" in done.stdout
    assert "answer.txt:4:1" in done.stderr
    assert run("parse", "-", "--name", "piped", stdin=TEXT).stdout.startswith("piped  ")
    run("parse", "answer.txt", "--strict", rc=1)
    run("parse", "-", "--strict", stdin="nothing", rc=1)


@pytest.mark.parametrize(
    ("format_", "holds"),
    [
        ("json", '"decision": "Use [Redis]"'),
        ("markdown", r"Use \[Redis\]"),
        ("csv", "Use [Redis]"),
        ("xml", "<decision>"),
        ("mermaid", "Use #91;Redis#93;"),
    ],
)
def test_parse_writes_every_format_to_a_file_as_to_the_screen(run, tmp_path, format_, holds):
    shown = run("parse", "answer.txt", "--format", format_).stdout
    run("parse", "answer.txt", "--format", format_, "-o", "out")
    assert holds in shown
    assert (tmp_path / "out").read_text() == shown


def test_the_text_shows_what_an_event_says_and_the_id_that_others_name(run):
    event = '<event type="pattern_applied" id="{}" {}><decision>d</decision><reasoning>r</reasoning></event>'
    first = event.format("a1", 'experiment="ab" created_at="2025-06-15T12:00:00Z" model="gpt"')
    shown = run("parse", "-", stdin=first + event.format("b1", 'depends_on="a1"')).stdout.split("\n\n")
    assert shown[1].splitlines()[3:] == [
        "   id: a1",
        "   experiment: ab",
        "   at: 2025-06-15T12:00:00+00:00",
        "   model: gpt",
    ]
    assert shown[2].splitlines()[3:] == ["   depends on: a1"]


def test_a_bad_regular_expression_is_one_clear_sentence_and_nothing_else(stored):
    with pytest.raises(BadInput, match=r"^'\(' is no regular expression in RE2's syntax: missing \): \(\.$"):
        stored("search", "--regex", "(")


def test_what_was_parsed_can_be_kept(run, tele_store, monkeypatch):
    monkeypatch.setenv("TELE_STORE", str(tele_store.path))
    run("parse", "answer.txt", "--save", "--store", tele_store.path)
    assert json.loads(run("list", "--format", "json").stdout)[0]["name"] == "answer"


def test_show_takes_a_unique_beginning_a_version_and_a_diagram(stored):
    assert "version 2" in stored("show", "abc").stdout
    assert "2 events" in stored("show", "abc", "--version", 1).stdout
    assert "timeline" in stored("show", "abc", "--format", "mermaid", "--diagram", "timeline").stdout
    assert "->>" in stored("show", "abc", "--format", "mermaid", "--diagram", "sequence").stdout
    lines = stored("show", "abc", "--history").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["1", "2"]
    assert all("as recorded" in line for line in lines)
    assert lines[1].endswith(f"from {lines[0].split()[2]}")
    with pytest.raises(BadInput, match="begins several chains"):
        stored("show", "ab")
    with pytest.raises(UnknownTarget):
        stored("show", "zz")


def test_a_history_that_does_not_hold_says_so_with_its_exit_code(stored, tele_store):
    [(event_id,)] = tele_store.rows("SELECT event_id FROM reasoning WHERE id = '3'")
    tele.score(event_id, "decision", "forged")
    tele.flush()
    assert "NOT AS RECORDED" in stored("show", "abc", "--history", rc=1).stdout


def test_list_is_narrowed(stored):
    def names(*more):
        return [each["name"] for each in json.loads(stored("list", "--format", "json", *more).stdout)]

    assert names() == ["other", "storage"]
    assert names("e", "--min-events", 2) == ["storage"]
    assert names("--name", "OTH") == ["other"]
    assert names("--archived") == []
    assert names("--since", "2100-01-01") == []
    assert "abc1" * 8 in stored("list").stdout
    with pytest.raises(BadInput, match="--since is a time"):
        stored("list", "--since", "yesterday")


def test_search_finds_words_expressions_and_filters(stored):
    def found(*more, rc=0):
        return [hit["event"]["id"] for hit in json.loads(stored("search", "--format", "json", *more, rc=rc).stdout)]

    assert found("recent day") == ["2"]
    assert found("--regex", r"\[Redis\]$") == ["1", "1"]
    assert found("--below", 0.5) == ["2"]
    assert found("--at-least", 0.5, "--decisions", "--type", "hypothesis_formed", "-n", 1) == ["1"]
    assert found("postgres", "--everywhere", "--condition", "a", "--experiment", "e") == ["1", "1"]
    assert found("--where", '{"or": [{"id": "3"}, {"confidence": {"lt": 0.5}}]}') == ["2", "3"]
    assert found("nowhere", rc=1) == []
    assert "Read recent as a day" in stored("search", "recent").stdout
    with pytest.raises(BadInput, match="--where is a filter as JSON"):
        stored("search", "--where", "{")


def test_diff_takes_versions_and_files_and_its_exit_code_says_whether_they_differ(stored):
    assert "1 added, 0 removed, 0 modified" in stored("diff", "abc@1", "abc@2", rc=1).stdout
    assert "0 added" in stored("diff", "abc@1", "answer.txt").stdout
    assert "<ins>" in stored("diff", "abc@1", "abc@2", "--format", "html", rc=1).stdout
    told = json.loads(stored("diff", "abc@2", "abc@1", "--format", "json", rc=1).stdout)
    assert (told["summary"], [each["id"] for each in told["removed"]]) == ("0 added, 1 removed, 0 modified", ["3"])


def test_diff_of_two_conditions_goes_item_by_item(tele_store, run, monkeypatch):
    monkeypatch.setenv("TELE_STORE", str(tele_store.path))
    for condition, sure in (("a", "0.9"), ("b", "0.4")):
        with tele.experiment("e", condition=condition):
            for item in ("x", "y"):
                with tele.span("chat m", item_id=item):
                    tele.record_chain(tele.parse_chain(TEXT.replace("0.9", sure) if item == "x" else TEXT, "said"))
    tele.flush()

    lines = run("diff", "a", "b", rc=1).stdout.splitlines()
    assert lines[0] == "a → b: 2 chains of the same items, 1 changed"
    assert lines[2].startswith("  x: 0 added, 0 removed, 1 modified; similarity 0.9")
    assert "    confidence: 0.9 → 0.4" in run("diff", "a", "b", "--item", "x", rc=1).stdout
    assert "0 changed" in run("diff", "a", "b", "--item", "y").stdout
    told = json.loads(run("diff", "a", "b", "--format", "json", rc=1).stdout)
    assert (told["pairs"], [each["item_id"] for each in told["items"]]) == (2, ["x"])
    assert "<h3>x</h3>" in run("diff", "a", "b", "--format", "html", rc=1).stdout
    for wrong, why in (
        (("a", "nope"), "name two of one sort"),
        (("a", "b", "--item", "q"), "item 'q'"),
        (("answer.txt", "answer.txt", "-n", 1), "two runs or conditions"),
        (("-", "-"), "read once"),
    ):
        with pytest.raises(BadInput, match=why):
            run("diff", *wrong)


def test_what_cannot_be_meant_is_refused_and_not_passed_over(run):
    with pytest.raises(BadInput, match="no file, and there is no store"):
        run("diff", "answer.txt", "absent.txt")
    with pytest.raises(BadInput, match="is for --format mermaid"):
        run("parse", "answer.txt", "--diagram", "graph")
    with pytest.raises(BadInput, match="no type of event"):
        run("prompt", "Write it", "--type", "")
    assert "less than or equal to 1" in run("search", "--below", "nan", rc=2).stderr


def test_a_text_without_events_and_one_that_is_no_utf_8_are_told_of(run, tmp_path):
    assert "no <event> stands in it" in run("parse", "-", stdin="nothing").stderr
    (tmp_path / "odd.txt").write_bytes(TEXT.encode() + b"\xff")
    assert "not all of it is UTF-8" in run("parse", "odd.txt").stderr
    (tmp_path / "wide.txt").write_text(TEXT, encoding="utf-16")
    assert "2 events" in run("parse", "wide.txt").stdout


def test_prompt_prints_a_prompt_or_one_that_mends(run):
    assert run("prompt", "Write it", "--type", "musing").stdout.startswith("Write it\n")
    mended = run("prompt", "-", "--repair", "answer.txt", stdin="Write it").stdout
    assert mended.startswith("Write it\n")
    assert "- line 4, column 1" in mended


@pytest.mark.parametrize("command", ["parse", "show", "list", "search", "diff", "prompt"])
def test_every_command_has_help_with_an_example(run, command):
    assert f"Example: tele chain {command}" in run(command, "--help").stdout
