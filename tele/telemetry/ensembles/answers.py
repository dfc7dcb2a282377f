"""What a member returned: its answer, how sure it is, and what the call used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tele.telemetry.ensembles.voting import finite
from tele.telemetry.span import Span

if TYPE_CHECKING:
    from tele.telemetry.calls.results import Answer

__all__ = ["Asked", "Said", "note_usage", "said"]

_USAGE = frozenset({"input_tokens", "output_tokens", "cost_usd"})
_PLAIN = (str, bytes, int, float, complex, bool, list, tuple, set, frozenset)


class Asked(Span):
    """The span of one who is asked: what its result used is put on it, unless a call within has counted that."""

    __slots__ = ("counts",)

    def __init__(self, name: str, attributes: Mapping[str, Any]) -> None:
        super().__init__(name, attributes)
        self.counts = True

    def counted_within(self) -> None:
        """Leave the counting to the call within."""
        self.counts = False


@dataclass(frozen=True, slots=True)
class Said:
    """A member's answer and how sure it is."""

    answer: Any
    confidence: float | None = None


def said(
    result: Any,
    text: str | None,
    answer: Callable[[Any], Any] | None = None,
    confidence: Callable[[Any], Any] | None = None,
) -> Said:
    """Read a result: by the functions given, else `answer` and `confidence` of a mapping, else the response's text.

    What is none of these is the answer itself; None is no answer.
    """
    if result is None:
        return Said(None)
    told = isinstance(result, Mapping) and "answer" in result
    found = answer(result) if answer else result["answer"] if told else result if text is None else text
    sure = confidence(result) if confidence else result.get("confidence") if told else None
    return Said(found, finite(sure))


def note_usage(span: Asked, result: Any) -> str | None:
    """Put model and tokens of a provider's response on `span`, where the code within did not; return its text.

    Cost follows from the price table. Never raises.
    """
    if result is None or isinstance(result, _PLAIN):
        return None
    from tele.telemetry.calls.results import read

    found = read(result)
    if span.counts and _USAGE.isdisjoint(span._fields):  # what the code within said stands
        span.set(**_columns(found))
    return found.text


def _columns(found: Answer) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    used = {name: value for name in names if (value := getattr(found, name)) is not None}
    told = {"model": found.model, "provider": found.provider}
    return used | {name: value for name, value in told.items() if value is not None} if used else {}
