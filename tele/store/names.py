"""Names of experiments: data, never paths."""

from __future__ import annotations

import hashlib
import unicodedata

__all__ = ["DEFAULT_EXPERIMENT", "experiment_id"]

DEFAULT_EXPERIMENT = "default"
"""Where a record belongs that is made outside any experiment."""


def experiment_id(name: str) -> str:
    """Give the id that stands for `name` in files and folders: `e` and 20 hex digits.

    They are the head of the SHA-256 of the name in Unicode form NFC, so that processes, machines and days that use one
    name meet under one id. Any text will do, lone surrogates included.
    """
    text = unicodedata.normalize("NFC", name)
    return "e" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
