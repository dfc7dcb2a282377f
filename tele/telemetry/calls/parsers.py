"""What is read out of a model's answer beside its text, under the span of the call: `parse="causal"`.

The rooms that know what is in a text stand above this one, so a parser is named here and imported where it is used.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import Any

from tele.errors import BadInput
from tele.telemetry.process import process
from tele.telemetry.span import Span

__all__ = ["PARSERS", "Parse", "checked", "record_parsed"]

PARSERS = {"causal": ("tele.trace.record", "record_answer")}
"""Name of a parser, and the function that takes a span, a text and a name, and records what is in the text."""

Parse = str | Callable[[str], Any]
"""A parser of this table, or a function of the text that returns a chain."""


def checked(parse: Parse | None) -> Parse | None:
    """Return `parse`, which names a parser or is one; raises BadInput where it is neither."""
    if parse is None or callable(parse) or parse in PARSERS:
        return parse
    near = difflib.get_close_matches(str(parse), PARSERS, 1, 0) or list(PARSERS)
    raise BadInput(f"parse is {near[0]!r} or a function that takes the text, not {parse!r}.")


def record_parsed(parse: Parse | None, span: Span, text: str | None) -> None:
    """Record under `span` what `parse` finds in the text of an answer. Never raises an Exception."""
    if parse is None or text is None or not span.sampled:
        return
    try:
        module, function = PARSERS["causal" if callable(parse) else parse]
        record = getattr(importlib.import_module(module), function)
        record(span, text, span.name, parse if callable(parse) else None)
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error)
