"""Which traces are kept when the sampling rate is below one."""

from __future__ import annotations

import hashlib

__all__ = ["keeps"]


def keeps(trace_id: str, rate: float) -> bool:
    """Whether the trace is kept at `rate` (0 to 1): decided by a hash of its id, so alike in every process."""
    if rate >= 1.0:
        return True
    drawn = int.from_bytes(hashlib.blake2b(trace_id.encode(), digest_size=8).digest(), "big")
    return drawn < rate * 2.0**64
