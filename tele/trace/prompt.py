"""What to tell a model so that it writes its reasoning as events, and what to tell it when it wrote them badly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tele.errors import BadInput
from tele.trace.chain import MORE_TYPES, TYPES, Chain, ParseWarning, ReasoningEvent

__all__ = ["causal_prompt", "repair_prompt"]

MEANINGS = {
    "hypothesis_formed": "you commit to an approach; name what else you considered",
    "alternative_rejected": "you rule something out; name it and say why",
    "constraint_evaluated": "a requirement decides something; say which and how",
    "pattern_applied": "you use a known pattern or rule",
    "ambiguity_flagged": "the task can be read in several ways; say which reading you take",
    "confidence_updated": "something makes you surer or less sure than before",
}
"""What each type is for, in the words of the prompt."""

_FORM = """\
<event type="{type}" id="1">
<decision>what you decide, in one sentence</decision>
<alternatives><alternative>what else was possible; leave out if nothing was</alternative></alternatives>
<reasoning>why, in one to three sentences</reasoning>
<confidence>a number from 0 to 1</confidence>
<code_section>where in the code or answer it shows; leave out if nowhere</code_section>
<spec_reference>the words of the task that it rests on; leave out if none</spec_reference>
</event>"""

_TRACED = (
    "each decision that another author could have made otherwise",
    "the alternatives that you rejected, and why",
    "what in the task is ambiguous, and how you read it",
    "the constraints that decided something",
    "where you are unsure, by the confidence that you state",
)

_RULES = (
    "Give each event an id. An event that rests on earlier ones names them in <depends_on>1, 2</depends_on>. "
    "Close every tag, and write < and & in a text as &lt; and &amp;."
)

_EXAMPLE = (
    ReasoningEvent(
        type="ambiguity_flagged",
        decision="Read 'recent' as the last 24 hours",
        reasoning="The task does not say; the page that it feeds is refreshed daily.",
        id="1",
        alternatives=("the last hour", "since the last visit"),
        confidence=0.6,
        spec_reference="show recent orders",
    ),
    ReasoningEvent(
        type="hypothesis_formed",
        decision="Filter in the query, not in the page",
        reasoning="The table grows without bound; the page needs at most a day of it.",
        id="2",
        alternatives=("load all rows and filter in memory",),
        confidence=0.9,
        code_section="recent_orders",
        depends_on=("1",),
    ),
)


def causal_prompt(
    spec: str,
    *,
    types: Sequence[str] = TYPES,
    examples: int | Iterable[ReasoningEvent] = 1,
    code: bool = True,
) -> str:
    """Return a prompt that asks for `spec` and for the reasoning as events, in the form that `parse_chain` reads.

    `types` are the event types to choose from: some of tele's, or your own. `examples` shows that many of ours (0 to
    2; those of other types are left out), or the events given. With `code` the answer itself is asked for in `<code>`.
    Raises BadInput where the spec is empty or there is no type.
    """
    if not spec.strip():
        raise BadInput("The prompt needs a task: the spec is empty.")
    if not types:
        raise BadInput(f"Name at least one type of event, such as {TYPES[0]}.")
    if odd := [name for name in types if not name.strip() or any(char in "<>&\"'" for char in name)]:
        raise BadInput(f"{odd[0]!r} is no type of event: a model could not write it as an attribute.")
    shown = _examples(types, examples)
    parts = [
        spec.strip(),
        "Write down your reasoning as you decide: one event for each decision, before the answer, in this form:",
        _FORM.format(type=types[0]),
        "Types:\n" + "\n".join(f"- {name}{_meaning(name)}" for name in types),
        "Trace:\n" + "\n".join(f"{n}. {what}" for n, what in enumerate(_TRACED, 1)),
        _RULES,
    ]
    if shown:
        parts.append("For example:\n\n" + "\n".join(map(_written, shown)))
    if code:
        parts.append("After the events give the answer itself between <code> and </code>.")
    return "\n\n".join(parts) + "\n"


def repair_prompt(text: str, problems: Chain | Iterable[ParseWarning | str], *, most: int = 20) -> str:
    """Return a prompt that asks a model to write its events again, with what was wrong about them and where.

    `problems` is the chain that was read of `text`, its warnings, or sentences of your own; the first `most` are told.
    Raises BadInput where there is none: then nothing needs to be repaired.
    """
    found = list(problems.warnings if isinstance(problems, Chain) else problems)
    if isinstance(problems, Chain) and not problems.events:
        found.append('there is no event in it: each has to stand in <event type="..."> and </event>')
    if not found:
        raise BadInput("There is nothing to repair: no warning was given.")
    lines = [
        f"- line {each.line}, column {each.column}: {each.message}" if isinstance(each, ParseWarning) else f"- {each}"
        for each in found[:most]
    ]
    if len(found) > most:
        lines.append(f"- and {len(found) - most} more of the like")
    fence = "`" * max(3, _longest_run(text) + 1)
    return (
        "\n\n".join(
            (
                "The events in your answer are not in the form that was asked for:",
                "\n".join(lines),
                "This is what you wrote:",
                f"{fence}\n{text}\n{fence}",
                "Write all events again in this form, and change nothing of what they say:",
                _FORM.format(type=TYPES[0]),
                f"The type is one of {', '.join(TYPES)}. Write nothing but the events.",
            )
        )
        + "\n"
    )


def _examples(types: Sequence[str], examples: int | Iterable[ReasoningEvent]) -> list[ReasoningEvent]:
    if not isinstance(examples, int):
        return list(examples)
    fitting = [event for event in _EXAMPLE if event.type in types]
    there = {event.id for event in fitting[:examples]}
    return [event for event in fitting[:examples] if there.issuperset(event.depends_on)]


def _meaning(name: str) -> str:
    return f": {MEANINGS[name]}" if name in MEANINGS else ": a program's own" if name in MORE_TYPES else ""


def _written(event: ReasoningEvent) -> str:
    """An event as the model is to write it."""
    lines = [f'<event type="{escape(event.type)}" id="{escape(event.id)}">', _tag("decision", event.decision)]
    if event.alternatives:
        entries = "".join(_tag("alternative", each) for each in event.alternatives)
        lines.append(f"<alternatives>{entries}</alternatives>")
    lines.append(_tag("reasoning", event.reasoning))
    if event.confidence is not None:
        lines.append(_tag("confidence", f"{event.confidence:g}"))
    more = {name: getattr(event, name) for name in ("code_section", "spec_reference", "parent", "stage")}
    lines += [_tag(name, said) for name, said in more.items() if said is not None]
    if event.depends_on:
        lines.append(_tag("depends_on", ", ".join(event.depends_on)))
    return "\n".join([*lines, "</event>"])


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text, quote=False)}</{name}>"


def _longest_run(text: str) -> int:
    import re

    return max((len(run) for run in re.findall(r"`+", text)), default=0)
