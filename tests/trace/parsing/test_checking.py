from __future__ import annotations

from tele.trace import parse_chain
from tele.trace.parsing import extract_metadata, validate_text

GOOD = '<event type="pattern_applied"><decision>d</decision><reasoning>r</reasoning></event>'


def test_a_text_as_asked_for_has_no_problem_and_a_count():
    check = validate_text(GOOD * 3)

    assert (check.ok, check.events, check.opened, check.closed) == (True, 3, 3, 3)


def test_tags_that_do_not_match_are_counted():
    check = validate_text(f"{GOOD}<event type='pattern_applied'/></event></event><event type=\"pattern_applied\">")

    assert (check.events, check.opened, check.closed) == (3, 2, 3)
    assert check.problems[0].message == "2 opening and 3 closing tags of events"
    assert not check.ok


def test_every_problem_is_listed_with_the_type_before_the_confidence_before_what_is_missing():
    text = '\n<event type="guess"><confidence>high</confidence></event>'

    check = validate_text(text)

    assert [problem.code for problem in check.problems] == ["unknown_type", "confidence", "no_decision", "no_reasoning"]
    assert {(problem.line, problem.column) for problem in check.problems} == {(2, 1)}
    assert check.problems == parse_chain(text).warnings


def test_own_types_are_known_when_they_are_named():
    assert validate_text(GOOD.replace("pattern_applied", "sketched"), types={"sketched"}).ok


def test_comments_say_where_a_text_comes_from():
    text = """<!-- model: gpt-4o -->
<!-- no pair --><!--
timestamp: 2025-01-02T03:04:05Z
Model: another
url: https://example.org/a:b -->
<!-- never ends: x"""

    assert extract_metadata(text) == {
        "model": "gpt-4o",
        "timestamp": "2025-01-02T03:04:05Z",
        "url": "https://example.org/a:b",
    }
    assert extract_metadata("model: none") == {}
