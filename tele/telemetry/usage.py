"""Token counts as a source gives them, made ours: input includes cached tokens, output includes reasoning."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Usage", "settled"]


class Usage(NamedTuple):
    """Counts under the source's own convention; None where it says nothing."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    total: int | None = None


def settled(usage: Usage, *, outside: bool = False) -> dict[str, int]:
    """Give the token columns.

    Whether a source counts its parts within input and output or beside them, its total says: that reading is taken
    which adds up to it. Where none does, or there is no total, parts are beside if `outside` says so or if they are
    more than what should hold them.
    """
    counts = Usage(*(None if n is None or n < 0 or n >= 1 << 63 else n for n in usage))
    cached = (counts.cache_read or 0) + (counts.cache_write or 0)
    thought = counts.reasoning or 0
    whole = (counts.input or 0) + (counts.output or 0)
    beside = (outside or cached > (counts.input or 0), outside or thought > (counts.output or 0))
    if counts.total is not None:
        # what exceeds the count that should hold it was surely not within it
        needed = (cached > (counts.input or 0), thought > (counts.output or 0))
        for reading in ((False, False), (True, False), (False, True), (True, True)):
            fits = all(took or not must for must, took in zip(needed, reading, strict=True))
            if fits and whole + reading[0] * cached + reading[1] * thought == counts.total:
                beside = reading
                break
    columns = {
        "input_tokens": None if counts.input is None else max(counts.input + beside[0] * cached, cached),
        "output_tokens": None if counts.output is None else max(counts.output + beside[1] * thought, thought),
        "cache_read_tokens": counts.cache_read,
        "cache_write_tokens": counts.cache_write,
        "reasoning_tokens": counts.reasoning,
    }
    return {name: min(count, (1 << 63) - 1) for name, count in columns.items() if count is not None}
