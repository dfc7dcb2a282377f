"""A chain as Markdown, for people: figures, then one section for each event. What a model wrote stays text."""

from __future__ import annotations

import re

from tele.trace.chain import Chain, ReasoningEvent
from tele.trace.query import statistics

__all__ = ["media_type", "suffix", "write"]

suffix = ".md"
media_type = "text/markdown"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")
_LINE_START = re.compile(r"^(\s*)([-+=:]|\d+(?=[.)]))", re.MULTILINE)


def write(chain: Chain, *, figures: bool = True, warnings: bool = True) -> str:
    """Return the chain as Markdown; `figures` and `warnings` say whether these stand in it."""
    parts = [f"# {_inline(chain.name)}"]
    if chain.description:
        parts.append(_text(chain.description))
    if figures:
        parts.append(_figures(chain))
    parts += [_section(n, event) for n, event in enumerate(chain.events, 1)]
    if not chain.events:
        parts.append("No events.")
    if warnings and chain.warnings:
        listed = [f"- line {w.line}, column {w.column}: {_inline(w.message)}" for w in chain.warnings]
        parts.append("## Warnings of the parser\n\n" + "\n".join(listed))
    return "\n\n".join(parts) + "\n"


def _figures(chain: Chain) -> str:
    found = statistics(chain)
    types = ", ".join(f"{_inline(name)} {count}" for name, count in found.event_types.items())
    lines = [f"- Chain: {_inline(chain.id)}, version {chain.version}", f"- Events: {found.total_events}"]
    lines += [f"- Types: {types}"] if types else []
    if found.mean_confidence is not None:
        spread = f"{found.min_confidence:.2f} to {found.max_confidence:.2f}"
        lines.append(f"- Confidence: mean {found.mean_confidence:.2f}, {spread}")
    lines.append(f"- Decision points: {found.decision_points}")
    if found.duration_seconds is not None:
        lines.append(f"- Duration: {found.duration_seconds:g} s")
    return "\n".join(lines)


def _section(number: int, event: ReasoningEvent) -> str:
    sure = "" if event.confidence is None else f" ({event.confidence:.2f})"
    parts = [f"## {number}. {_inline(event.type)}: {_inline(event.decision) or 'no decision'}{sure}"]
    if event.reasoning:
        parts.append(_text(event.reasoning))
    about = {
        "Code": event.code_section,
        "Specification": event.spec_reference,
        "Id": event.id,
        "Part of": event.parent,
        "Depends on": ", ".join(event.depends_on),
        "Stage": event.stage,
        "Experiment": event.experiment,
        "Time": None if event.created_at is None else event.created_at.isoformat(),
    }
    parts.append("\n".join(f"- {name}: {_inline(said)}" for name, said in about.items() if said))
    if event.alternatives:
        parts.append("Alternatives:\n\n" + "\n".join(f"- {_inline(each)}" for each in event.alternatives))
    return "\n\n".join(parts)


def _inline(text: str) -> str:
    """The text on one line, with nothing in it that Markdown or HTML would read as theirs."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _text(text: str) -> str:
    """The text with its lines, each of them a paragraph's and none a heading, a list, a rule or a code block."""
    lines = [_LINE_START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", line.strip())) for line in text.strip().splitlines()]
    return re.sub(r"\\(\d+)([.)])", r"\1\\\2", "\n".join(lines))
