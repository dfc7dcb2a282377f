from __future__ import annotations

from tele.trace.parsing import CodeBlock, extract_code, split_events_and_code

EVENT = '<event type="pattern_applied"><decision>d</decision><reasoning>r</reasoning></event>'
ANSWER = f"""Here it is.
{EVENT}
<code lang="python">
def f(a):
    return a < 1  # <event> is a word
</code>
And the other:
<CODE>g()</CODE>
```sql
select '<event type="x">'
```
{EVENT}
Done."""


def test_all_code_is_found_and_the_events_and_the_prose_beside_it():
    parts = split_events_and_code(ANSWER)

    assert parts.events == (EVENT, EVENT)
    assert parts.code == (
        CodeBlock("def f(a):\n    return a < 1  # <event> is a word", "python", fenced=False),
        CodeBlock("g()", None, fenced=False),
        CodeBlock("select '<event type=\"x\">'", "sql", fenced=True),
    )
    assert parts.prose.split() == ["Here", "it", "is.", "And", "the", "other:", "Done."]


def test_code_is_set_free_of_its_tags_and_of_the_events_around_it():
    assert extract_code(ANSWER) == (
        "Here it is.\n\n\ndef f(a):\n    return a < 1  # <event> is a word\n\nAnd the other:\ng()\n"
        "```sql\nselect '<event type=\"x\">'\n```\n\nDone."
    )


def test_code_of_an_event_goes_with_the_event():
    text = "<event type='pattern_applied'><code_section>\n```py\nf()\n```\n</code_section></event> <code>g()</code>"

    parts = split_events_and_code(text)

    assert [block.text for block in parts.code] == ["g()"]
    assert extract_code(text) == "g()"


def test_an_event_that_is_not_closed_ends_behind_its_last_field():
    text = "<event type='pattern_applied'><decision>d</decision> then the code <code>f()</code>"

    assert extract_code(text) == "then the code f()"
    assert split_events_and_code(text).events == ("<event type='pattern_applied'><decision>d</decision>",)


def test_a_text_without_either_is_prose():
    parts = split_events_and_code(" just words ")

    assert (parts.events, parts.code, parts.prose) == ((), (), "just words")
    assert extract_code(" just words ") == "just words"
