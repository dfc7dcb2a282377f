"""What it costs to read the reasoning out of answers, beside a regular expression that finds the same tags.

The expression is the plain one of the same tags, attributes and case as they come, and it is given each tag with its
place: the least from which anything could be made. Ours makes events of them, with ids, values and warnings. The
answers are prose and events as a model is asked for them; `spoiled` ones have a field in upper case with an attribute,
single quotes, and every tenth event unclosed, so that nothing of them goes the short way.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Ratio, Row, Settings, cpu, race, row
from benchmarks.workload import text as words
from tele.trace import TYPES, parse_chain
from tele.trace.parsing import stream_events

__all__ = ["answers", "rows"]

LARGEST = 10_000_000
_TAGS = re.compile(
    r"</?(?:event|decision|alternatives|reasoning|confidence|code_section|spec_reference|id|parent|depends_on|stage)\b[^>]*>",
    re.IGNORECASE,
)


def answers(size: int) -> str:
    """Return about `size` characters of answers in which a model reasons as it is asked to."""
    draw = random.Random(5)
    parts: list[str] = []
    length = 0
    while length < size:
        number = len(parts)
        part = f"""{words(draw, 200)}

<event type="{draw.choice(TYPES)}" id="e{number}">
  <decision>{words(draw, 80)}</decision>
  <alternatives>{words(draw, 20)}, {words(draw, 12)} ({words(draw, 15)}), {words(draw, 20)}</alternatives>
  <reasoning>{words(draw, 320)}</reasoning>
  <confidence>0.{draw.randrange(10, 100)}</confidence>
  <code_section>{words(draw, 10).split()[0]}.py</code_section>
  <spec_reference>{number % 9}.{number % 7}</spec_reference>
</event>
"""
        parts.append(part)
        length += len(part)
    return "".join(parts)


def rows(settings: Settings) -> list[Row]:
    """Measure answers, whole, spoiled and as they come, against the expression; and ten megabytes, against reading."""
    size = settings.spans * 100
    good = answers(size)
    spoiled = _spoiled(good)
    megabytes = len(good) / 1e6
    sides: dict[str, Callable[[], float]] = {
        "parse_chain": lambda: cpu(lambda: parse_chain(good)),
        "parse_chain, spoiled": lambda: cpu(lambda: parse_chain(spoiled)),
        "stream of 80 characters": lambda: cpu(lambda: sum(1 for _ in stream_events(_pieces(good)))),
        "regex": lambda: cpu(lambda: _found(good)),
        "regex, spoiled": lambda: cpu(lambda: _found(spoiled)),
    }
    took = race(sides, settings.rounds)
    ours, plain = (megabytes / took.spread(side).median for side in ("parse_chain", "regex"))
    note = f"{ours:.0f} MB/s against {plain:.0f}"
    what = "reasoning read, per MB"
    return [
        row("parsing", what, took, "parse_chain", "regex", 6.0, per=megabytes, note=note),
        row("parsing-spoiled", f"{what}, spoiled", took, "parse_chain, spoiled", "regex, spoiled", None, per=megabytes),
        row("parsing-stream", f"{what}, as it comes", took, "stream of 80 characters", "regex", None, per=megabytes),
        *_large(settings),
    ]


def _large(settings: Settings) -> list[Row]:
    whole = answers(LARGEST)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.txt"
        path.write_text(whole, encoding="utf-8")
        sides: dict[str, Callable[[], float]] = {
            "parse_chain": lambda: cpu(lambda: parse_chain(path.read_text(encoding="utf-8"))),
            "reading the file": lambda: cpu(lambda: path.read_text(encoding="utf-8")),
        }
        took = race(sides, min(settings.rounds, 3))
    seconds = took.spread("parse_chain")
    return [
        row("parsing-large", "10 MB of answers", took, "parse_chain", "reading the file", None, per=1),
        Row("parsing-seconds", "10 MB of answers, one core", "parse_chain", "1 s", Ratio(*seconds), 1.0, unit="s"),
    ]


def _found(text: str) -> int:
    return len([(match.start(), match.group()) for match in _TAGS.finditer(text)])


def _pieces(text: str) -> list[str]:
    return [text[at : at + 80] for at in range(0, len(text), 80)]


def _spoiled(text: str) -> str:
    text = text.replace('"', "'").replace("<decision>", "<Decision lang='en'>").replace("</decision>", "</Decision>")
    events = text.split("</event>")
    return "".join(event + ("" if number % 10 == 9 else "</event>") for number, event in enumerate(events))
