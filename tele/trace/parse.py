"""Text of a model to a chain of reasoning: total, linear in the length of the text, and open about what it mended.

The format is `<event type="...">` around `<decision>`, `<alternatives>`, `<reasoning>`, `<confidence>`,
`<code_section>`, `<spec_reference>`, and, as tags or attributes, `id`, `parent`, `depends_on`, `stage`, `metadata` and
more. Tags may be upper-case, quotes single, events nested (the outer one is the parent) or never closed. Events inside
code and comments are examples, not reasoning, and do not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from tele.errors import Malformed
from tele.trace.chain import Chain
from tele.trace.parsing.reading import Draft, Note, Reading
from tele.trace.parsing.settling import Settling, located
from tele.trace.parsing.wellformed import read_wellformed

__all__ = ["parse_chain"]


def parse_chain(
    text: str,
    name: str = "chain",
    *,
    chain_id: str | None = None,
    in_code: bool = False,
    strict: bool = False,
    types: Collection[str] = (),
) -> Chain:
    """Return the chain of reasoning in `text`; without `strict` it never raises, whatever the text is.

    What is not as asked for (an unknown type, a missing decision, an event that is not closed) is kept as far as it can
    be read and said in `Chain.warnings`; with `strict`, Malformed is raised, which lists all of it. `chain_id` defaults
    to a hash of name and text, so that the same text read twice is the same chain. With `in_code`, events inside fences
    and `<code>` count too. `types` are further types that are known.
    """
    id_ = chain_id or hashlib.sha256(f"{name}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    drafts, notes = read_wellformed(text) or _read(text, in_code=in_code)
    events = Settling(id_, types).events(drafts, notes)
    warnings = located(notes, lambda: [match.start() for match in re.finditer("\n", text)])
    if strict and warnings:
        raise Malformed([(w.line, w.column, w.message) for w in warnings])
    return Chain(id=id_, name=name, events=tuple(events), warnings=warnings)


def _read(text: str, *, in_code: bool) -> tuple[list[Draft], list[Note]]:
    reading = Reading(in_code=in_code)
    reading.read(text, 0, 0, final=True)
    return reading.drafts, reading.notes
