"""A chain as a Mermaid diagram: `flowchart` in order, `sequence` by type, `timeline` by stage, `graph` of its links.

Mermaid has no escape character: in a quoted label the characters that it reads as its own stand as entity codes
(`#34;`, `#35;`), and so do those that its Markdown would read. Node names are ours, never an event's id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from tele.errors import BadInput
from tele.trace.chain import MORE_TYPES, TYPES, Chain, ReasoningEvent

__all__ = ["media_type", "suffix", "write"]

suffix = ".mmd"
media_type = "text/vnd.mermaid"
COLOURS = dict(zip(TYPES, ("#cfe2ff", "#f8d7da", "#fff3cd", "#d1e7dd", "#ffe5d0", "#e2d9f3"), strict=True))
"""Fill of each type; a program's own types are grey-blue, others grey."""
_OWN, _OTHER = "#d7e3ea", "#e9ecef"
_ITS_OWN = re.compile(r"[^a-zA-Z0-9 .,?!()/+=%'-]")
_LIST = re.compile(r"^(\s*\d+)\.|^(\s*)([-+])")
_DIRECTIONS = ("TD", "TB", "BT", "LR", "RL")


def write(
    chain: Chain,
    *,
    kind: Literal["flowchart", "sequence", "timeline", "graph"] = "flowchart",
    direction: str = "TD",
    max_label: int = 60,
    confidence: bool = True,
    colours: bool = True,
    alternatives: bool = False,
) -> str:
    """Return the diagram as text.

    `max_label` cuts decisions, in characters; `confidence`, `colours` (by type) and `alternatives` say whether these
    are shown. A `graph` has parents as solid arrows and dependencies as dotted ones; a `sequence` has a lane for each
    type, and an arrow leads to an event from the one before it. Raises BadInput.
    """
    if kind not in _KINDS:
        raise BadInput(f"A diagram is one of {', '.join(_KINDS)}, not {kind!r}.")
    if direction not in _DIRECTIONS:
        raise BadInput(f"A diagram's direction is {', '.join(_DIRECTIONS)}, not {direction!r}.")
    if max_label < 1:
        raise BadInput("max_label is at least 1.")
    if kind == "timeline":
        return _timeline(chain, max_label, confidence)
    if kind == "sequence":
        return _sequence(chain, max_label, confidence, alternatives)
    lines = [f"flowchart {direction}"]
    lines += [f'  n{n}["{_label(event, max_label, confidence)}"]' for n, event in enumerate(chain.events)]
    if not chain.events:
        lines.append('  n0["No events"]')
    lines += _KINDS[kind](chain)
    if alternatives:
        lines += _alternatives(chain, max_label)
    if colours:
        lines += _colours(chain)
    return "\n".join(lines) + "\n"


def _in_order(chain: Chain) -> list[str]:
    return [f"  n{n} --> n{n + 1}" for n in range(len(chain.events) - 1)]


def _by_links(chain: Chain) -> list[str]:
    names: dict[str, str] = {}
    for n, event in enumerate(chain.events):
        names.setdefault(event.id, f"n{n}")
    lines = []
    for n, event in enumerate(chain.events):
        if event.parent in names:
            lines.append(f"  {names[event.parent]} --> n{n}")
        lines += [f"  {names[each]} -.-> n{n}" for each in dict.fromkeys(event.depends_on) if each in names]
    return lines


_KINDS: dict[str, Callable[[Chain], list[str]]] = {
    "flowchart": _in_order,
    "sequence": _in_order,
    "timeline": _in_order,
    "graph": _by_links,
}


def _alternatives(chain: Chain, most: int) -> list[str]:
    lines = []
    for n, event in enumerate(chain.events):
        for m, each in enumerate(event.alternatives):
            if said := _escaped(_cut(each, most)):  # Mermaid refuses an empty label
                lines += [f'  n{n}a{m}(["{said}"])', f"  n{n} -.- n{n}a{m}"]
    return lines


def _colours(chain: Chain) -> list[str]:
    by_colour: dict[str, list[str]] = {}
    for n, event in enumerate(chain.events):
        colour = COLOURS.get(event.type) or (_OWN if event.type in MORE_TYPES else _OTHER)
        by_colour.setdefault(colour, []).append(f"n{n}")
    lines = []
    for number, (colour, nodes) in enumerate(by_colour.items()):
        lines.append(f"  classDef c{number} fill:{colour},stroke:#495057,color:#212529")
        lines.append(f"  class {','.join(nodes)} c{number}")
    return lines


def _timeline(chain: Chain, most: int, confidence: bool) -> str:
    """One period for each event, in sections by stage."""
    lines = ["timeline", f"  title {_escaped(_cut(chain.name, most), bare=True) or 'chain'}"]
    stage: str | None = None
    for n, event in enumerate(chain.events, 1):
        if event.stage is not None and event.stage != stage:
            stage = event.stage
            lines.append(f"  section {_escaped(_cut(stage, most), bare=True) or 'stage'}")
        said = [_escaped(_words(event.type), bare=True) or "event", _escaped(_cut(event.decision, most), bare=True)]
        if confidence and event.confidence is not None:
            said.append(f"confidence {event.confidence:.2f}")
        lines.append(f"  {n} : {' : '.join(part for part in said if part)}")
    return "\n".join(lines) + "\n"


def _sequence(chain: Chain, most: int, confidence: bool, alternatives: bool) -> str:
    """One lane for each type, in the order of their first events; a note over all of them where a stage begins."""
    lanes = {type_: f"p{n}" for n, type_ in enumerate(dict.fromkeys(event.type for event in chain.events))}
    lines = ["sequenceDiagram", f"  title {_escaped(_cut(chain.name, most), bare=True) or 'chain'}"]
    lines += [f"  participant {p} as {_escaped(_words(type_), bare=True) or 'event'}" for type_, p in lanes.items()]
    if not lanes:
        lines.append("  participant p0 as No events")
    last = f"p{len(lanes) - 1}"
    everywhere = "p0" if last == "p0" else f"p0,{last}"
    stage: str | None = None
    before = "p0"
    for event in chain.events:
        if event.stage is not None and event.stage != stage:
            stage = event.stage
            lines.append(f"  Note over {everywhere}: {_escaped(_cut(stage, most), bare=True) or 'stage'}")
        lane = lanes[event.type]
        sure = f" (confidence {event.confidence:.2f})" if confidence and event.confidence is not None else ""
        lines.append(f"  {before}->>{lane}: {_escaped(_cut(event.decision, most), bare=True) or 'no decision'}{sure}")
        if alternatives:
            said = (_escaped(_cut(each, most), bare=True) for each in event.alternatives)
            lines += [f"  Note over {lane}: not {each}" for each in said if each]
        before = lane
    return "\n".join(lines) + "\n"


def _label(event: ReasoningEvent, most: int, confidence: bool) -> str:
    sure = f"<br/>confidence {event.confidence:.2f}" if confidence and event.confidence is not None else ""
    decision = _escaped(_cut(event.decision, most)) or "no decision"
    return f"{_escaped(_words(event.type)) or 'event'}<br/>{decision}{sure}"


def _words(text: str) -> str:
    return _cut(text.replace("_", " "), 60)


def _cut(text: str, most: int) -> str:
    """The text on one line, at most so long, with an ellipsis where something was cut off."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _escaped(text: str, *, bare: bool = False) -> str:
    """The text with entity codes in place of what is neither a letter, a digit nor harmless between quotes."""
    found = "".join(
        char if char.isalnum() or char == "…" or not _ITS_OWN.match(char) else f"#{ord(char)};"
        for char in text
        if char.isprintable()
    )
    if bare:
        return found.replace("%", "#37;")
    return _LIST.sub(lambda m: f"{m[1]}#46;" if m[1] else f"{m[2]}#{ord(m[3])};", found)
