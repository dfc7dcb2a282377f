"""What is too large for a line goes to a blob, what is too large for a blob is cut; both are said in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

__all__ = ["BODY_BYTES", "CUT_BYTES", "LINE_BYTES", "cap"]

BODY_BYTES = 32 * 1024
"""A string above this, or an input or output, is kept as a blob."""
LINE_BYTES = 1024 * 1024
"""Attributes above this are kept as one blob."""
CUT_BYTES = 64 * 1024 * 1024
"""A string above this is cut, on a character's boundary; its length and keyed hash are kept."""


def cap(record: dict[str, Any], put: Callable[[bytes], str], key: bytes) -> dict[str, Any]:
    """Move large bodies of a plain, redacted record out of its line.

    `put` keeps bytes as a blob and returns their SHA-256; it may raise OSError. `key` keys the hash of what is cut.
    """
    capped = {name: _strings(value, put, key) for name, value in record.items() if name not in ("input", "output")}
    for name in ("input", "output"):
        if name in record:
            body = _cut_strings(record[name], key)
            if len(text := orjson.dumps(body)) <= BODY_BYTES:
                capped[name] = body
            else:
                capped.setdefault("blobs", {})[name] = put(text)
    if "attributes" in capped and len(text := orjson.dumps(capped["attributes"])) > LINE_BYTES:
        capped["attributes"] = {"$blob": put(text), "length": len(text)}
    return capped


def _strings(value: Any, put: Callable[[bytes], str], key: bytes) -> Any:
    if isinstance(value, str):
        if len(value) * 4 <= BODY_BYTES:
            return value
        encoded = value.encode()
        if len(encoded) <= BODY_BYTES:
            return value
        whole = _cut(encoded, key)
        kept = whole["text"].encode() if isinstance(whole, dict) else encoded
        mark = {"$blob": put(kept), "length": len(encoded)}
        return mark if not isinstance(whole, dict) else mark | {"$cut": whole["$cut"]}
    if isinstance(value, dict):
        return {name: _strings(item, put, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_strings(item, put, key) for item in value]
    return value


def _cut_strings(value: Any, key: bytes) -> Any:
    if isinstance(value, str):
        return value if len(value) * 4 <= CUT_BYTES else _cut(value.encode(), key)
    if isinstance(value, dict):
        return {name: _cut_strings(item, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut_strings(item, key) for item in value]
    return value


def _cut(encoded: bytes, key: bytes) -> Any:
    if len(encoded) <= CUT_BYTES:
        return encoded.decode()
    digest = hashlib.blake2b(encoded, key=key, digest_size=16).hexdigest()
    text = encoded[:CUT_BYTES].decode("utf-8", "ignore")
    return {"$cut": {"length": len(encoded), "hash": digest}, "text": text}
