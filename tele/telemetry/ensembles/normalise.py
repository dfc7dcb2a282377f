"""When two answers are the same answer: forms that are compared instead of what was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from tele.errors import BadInput
from tele.telemetry.plain import plain

__all__ = ["NORMALISATIONS", "key_of", "normaliser"]

_TRUE = frozenset({"true", "yes", "y", "1", "t", "correct"})
_FALSE = frozenset({"false", "no", "n", "0", "f", "incorrect"})
_SPACES = re.compile(r"\s+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")


def _lowercase_trim(answer: Any) -> Any:
    return _SPACES.sub(" ", answer).strip().casefold() if isinstance(answer, str) else answer


def _numeric(answer: Any) -> Any:
    """A number whatever its spelling: `1,234.50` and `1234.5` are one answer; what is no number stays as text."""
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float, Decimal)):
        return answer
    try:
        number = Decimal(_THOUSANDS.sub("", answer.strip()) if isinstance(answer, str) else str(answer))
    except InvalidOperation:
        return _lowercase_trim(answer)
    if not number.is_finite() or abs(number.adjusted()) > 400:  # noqa: PLR2004  # beyond any float
        return _lowercase_trim(answer)
    return int(number) if number == number.to_integral_value() else float(number)


def _boolean(answer: Any) -> Any:
    if isinstance(answer, bool):
        return answer
    text = _lowercase_trim(str(answer) if isinstance(answer, int) else answer)
    word = text.rstrip(".!") if isinstance(text, str) else None
    return True if word in _TRUE else False if word in _FALSE else text


def _json(answer: Any) -> Any:
    try:
        return orjson.loads(answer) if isinstance(answer, (str, bytes)) else answer
    except orjson.JSONDecodeError:
        return answer.strip() if isinstance(answer, str) else answer


NORMALISATIONS: dict[str, Callable[[Any], Any]] = {
    "lowercase_trim": _lowercase_trim,
    "numeric": _numeric,
    "boolean": _boolean,
    "json": _json,
}
"""By name: text without its case and outer spaces; a number however it is written; yes and no; JSON by content.

What does not fit (no number, no yes or no, no JSON) is compared as text.
"""


def normaliser(given: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """The function that `given` names, or that it is; raises BadInput."""
    if given is None:
        return lambda answer: answer
    if callable(given):
        return given
    if given not in NORMALISATIONS:
        raise BadInput(f"normalise is a function or one of {', '.join(NORMALISATIONS)}, not {given!r}.")
    return NORMALISATIONS[given]


def key_of(answer: Any) -> bytes:
    """What two equal answers share: their JSON with sorted keys, so that lists and objects can be counted too."""
    return orjson.dumps(plain(answer), option=orjson.OPT_SORT_KEYS)
