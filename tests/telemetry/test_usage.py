"""Tokens under every convention come out under ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.usage import Usage, settled

COUNTS = st.none() | st.integers(-1, 10_000)


@given(st.builds(Usage, *[COUNTS] * 6), st.booleans())
def test_totals_hold_their_parts_and_doing_it_again_changes_nothing(usage, outside):
    found = settled(usage, outside=outside)

    cached = found.get("cache_read_tokens", 0) + found.get("cache_write_tokens", 0)
    assert found.get("input_tokens", cached) >= cached
    assert found.get("output_tokens", 1 << 63) >= found.get("reasoning_tokens", 0)
    again = Usage(**{name.removesuffix("_tokens"): count for name, count in found.items()})
    assert settled(again) == found


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_one_call_told_by_two_conventions_is_one_call(fresh, read, written, answer, thought):
    """A provider that counts parts beside, with its total, and one that counts them within."""
    whole = fresh + read + written + answer + thought
    beside = Usage(fresh, answer, read, written, thought, whole)
    within = Usage(fresh + read + written, answer + thought, read, written, thought, whole)

    assert settled(within)["input_tokens"] == fresh + read + written
    assert settled(beside)["input_tokens"] + settled(beside)["output_tokens"] == whole


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        # Anthropic: the input leaves the cache out
        (Usage(5, 7, 100, 20), (125, 7)),
        # OpenAI: it is within
        (Usage(125, 7, 100, 20, 3, 132), (125, 7)),
        # Gemini: thoughts are beside the answer, the cache within the input
        (Usage(50, 10, 20, None, 40, 100), (50, 50)),
    ],
)
def test_providers_conventions(usage, tokens):
    found = settled(usage)

    assert (found["input_tokens"], found["output_tokens"]) == tokens
