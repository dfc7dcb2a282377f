"""What of a call's input and output is kept: all of it, nothing, or a hash by which equal ones are known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, get_args

import orjson

from tele.errors import BadInput
from tele.telemetry.calls.results import Answer
from tele.telemetry.plain import plain
from tele.telemetry.process import process
from tele.telemetry.settings import Capture

__all__ = ["Capture", "call_arguments", "captured", "chosen", "messages", "named_argument"]


def chosen(value: object, older: object = None) -> Capture | None:
    """The choice that `value` names, or the older spelling (`log_input=True`); None where neither does. BadInput."""
    value = older if value is None else value
    if value is None or value in get_args(Capture):
        return value  # type: ignore[return-value]  # just looked
    if isinstance(value, bool):
        return "on" if value else "off"
    raise BadInput(f"Capture is 'on', 'off' or 'hashed', not {value!r}.")


def captured(value: object, how: Capture) -> Any:
    """`value` as it is kept, as plain values at this moment; None where it is not. Never raises an Exception."""
    if value is None or how == "off":
        return None
    try:
        kept = value if type(value) is str else plain(value)
        return kept if how == "on" else _hashed(kept)
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error, 0)
        return None


def _hashed(value: Any) -> dict[str, Any]:
    """Its hash, keyed by the store, so that nobody finds the text by guessing; and its length in bytes of JSON."""
    encoded = orjson.dumps(value if type(value) is not str else plain(value), option=orjson.OPT_SORT_KEYS)
    key = process.layout.hash_key
    return {"$hash": hashlib.blake2b(encoded, key=key, digest_size=16).hexdigest(), "length": len(encoded)}


def call_arguments(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The input of a call: its single positional argument, else the tuple of them.

    Else the keyword `prompt`, `input` or `messages`, else all keywords. `self` and `cls` of a method are none of them.
    """
    args = args[1:] if args and is_method(function) else args
    if len(args) == 1:
        return args[0]
    if args:
        return args
    return next((kwargs[key] for key in ("prompt", "input", "messages") if key in kwargs), kwargs or None)


def is_method(function: Callable[..., Any]) -> bool:
    """Whether its first parameter is `self` or `cls`: a decorator sees a function before its class is made."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_argcount > 0 and code.co_varnames[0] in ("self", "cls")


def named_argument(function: Callable[..., Any], name: str) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """A function of a call's arguments that gives the one called `name`: as it was passed, else its default."""
    try:
        parameters = signature(function).parameters
    except (TypeError, ValueError):  # some builtins have none
        parameters = {}  # type: ignore[assignment]  # an empty mapping of the same sort
    found = parameters.get(name)
    if found is None or found.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        return lambda _args, kwargs: kwargs.get(name)
    position = list(parameters).index(name) if found.kind is not Parameter.KEYWORD_ONLY else None
    default = None if found.default is Parameter.empty else found.default

    def argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if position is not None and position < len(args):
            return args[position]
        return kwargs.get(name, default)

    return argument


def messages(answer: Answer, result: object) -> Any:
    """What is kept of an answer: its text, or messages in the conventions' form where it is more than one text.

    What was not understood is kept as it is; of embeddings nothing is: their vectors say nothing to a reader.
    """
    if answer.operation == "embeddings":
        return None
    if not answer.tool_calls and not answer.texts:
        return result if answer.text is None else answer.text
    said = answer.texts or ((answer.text,) if answer.text is not None else ())
    spoken = [{"role": "assistant", "parts": [{"type": "text", "content": one}]} for one in said]
    called: list[Any] = [{"type": "tool_call", **call} for call in answer.tool_calls]
    if len(spoken) > 1:
        return [*spoken, *([{"role": "assistant", "parts": called}] if called else [])]
    return [{"role": "assistant", "parts": [*(spoken[0]["parts"] if spoken else []), *called]}]
