"""What was said: message lists that came whole, as JSON text, or flattened into one key for each field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["content", "json_value"]

HIDDEN = "__REDACTED__"
"""OpenInference writes this in place of content that it was told to hide."""

MAX_DEPTH = 12
"""Levels that a flattened key may have; deeper ones stay in the last key."""

_LONGEST_INDEX = 12
_WRAPPERS = frozenset({"message", "tool_call", "message_content", "prompt", "completion", "document", "embedding"})
"""OpenInference puts each item of a list under one such key."""


def content(view: Mapping[str, Any], keys: Iterable[str], otherwise: Iterable[str]) -> Any:
    """Give the first of `keys`, then of `otherwise`, that has a value; a key that ends in a dot is a flattened list.

    None where no key has one. Never raises; all keys of `view` are text.
    """
    for key in (*keys, *otherwise):
        value = _folded(view, key) if key.endswith(".") else json_value(view.get(key))
        if value is not None:
            return value
    return None


def json_value(value: object) -> Any:
    """Give the value, or where it is the text of a JSON object or array, that; None for nothing and for hidden content.

    Text that a length limit cut off is no JSON any more and stays text.
    """
    if value is None or (isinstance(value, str) and value in {"", HIDDEN}):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return _decoded(value)
        except (ValueError, RecursionError):
            return value
    return value


def _refuse(constant: str) -> None:
    """Keep text with NaN in it as text: it is not JSON."""
    raise ValueError(constant)


_decoded = json.JSONDecoder(parse_constant=_refuse).decode


class _Node(dict[str, Any]):
    """A level of the flattened keys, told apart from a mapping that came as a value."""


def _folded(view: Mapping[str, Any], prefix: str) -> Any:
    """Fold `prefix0.role`, `prefix0.content`, `prefix1.role`, ... back into a list."""
    root = _Node()
    for key in sorted(key for key in view if key.startswith(prefix)):
        steps = key[len(prefix) :].split(".", MAX_DEPTH)
        if _is_index(steps[0]) and len(steps) > 1 and view[key] is not None:
            _put(root, steps, view[key])
    return _lists(root) if root else None


def _put(node: _Node, steps: list[str], value: object) -> None:
    for step in steps[:-1]:
        inner = node.setdefault(step, _Node())
        if not isinstance(inner, _Node):  # `a` and `a.b` both stand: the first keeps its place
            return
        node = inner
    node.setdefault(steps[-1], value)


def _lists(node: Any) -> Any:
    """Turn each level whose keys are all numbers into a list in their order: gaps close, a huge index costs nothing."""
    if not isinstance(node, _Node):
        return node
    if all(_is_index(step) for step in node):
        return [_unwrapped(_lists(node[step])) for step in sorted(node, key=lambda step: (int(step), step))]
    return {step: _lists(value) for step, value in node.items()}


def _unwrapped(item: Any) -> Any:
    if isinstance(item, dict) and len(item) == 1:
        ((key, inner),) = item.items()
        return inner if key in _WRAPPERS else item
    return item


def _is_index(step: str) -> bool:
    return len(step) <= _LONGEST_INDEX and step.isascii() and step.isdecimal()
