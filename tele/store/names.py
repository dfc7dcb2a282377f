"""Names are data, never paths: what stands on disk is a hash of them."""

from __future__ import annotations

import hashlib
import unicodedata

__all__ = ["DEFAULT_EXPERIMENT", "experiment_id"]

DEFAULT_EXPERIMENT = "default"
"""Experiment of what is recorded outside any."""


def experiment_id(name: str) -> str:
    """`e` and 20 hex digits of the SHA-256 of the NFC form of `name`: one id in every process and on every day."""
    normal = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
    return "e" + hashlib.sha256(normal).hexdigest()[:20]
