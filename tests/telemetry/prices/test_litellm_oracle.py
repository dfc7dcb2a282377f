"""LiteLLM's own calculator against its map as it is read here: for every row, tier and hour the same dollars."""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime

import pytest

from tele.telemetry.prices.litellm_map import LiteLLMMap, _read
from tele.telemetry.prices.names import Asked
from tele.telemetry.prices.usage import Usage

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
USAGES = [
    Usage(1_000, 500),
    Usage(1_000, 500, 100, 300, 200, 100),
    Usage(128_000, 500),
    Usage(200_001, 500, 150_000),
    Usage(272_001, 500, 1_000, 50, 10, 20),
    Usage(3, 0),
]


@pytest.fixture(scope="module")
def theirs():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("litellm")


def billed(counts):
    from litellm.types.utils import (
        CacheCreationTokenDetails,
        CompletionTokensDetailsWrapper,
        PromptTokensDetailsWrapper,
        Usage,
    )

    written = CacheCreationTokenDetails(
        ephemeral_5m_input_tokens=counts.cache_write - counts.cache_write_1h,
        ephemeral_1h_input_tokens=counts.cache_write_1h,
    )
    return Usage(
        prompt_tokens=counts.input,
        completion_tokens=counts.output,
        total_tokens=counts.input + counts.output,
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=counts.cache_read,
            cache_creation_tokens=counts.cache_write,
            cache_creation_token_details=written if counts.cache_write_1h else None,
        ),
        completion_tokens_details=CompletionTokensDetailsWrapper(reasoning_tokens=counts.reasoning),
    )


def rows():
    """Rows that price tokens alone; who sells by the picture or the request is another matter."""
    for name, row in sorted(_read().items()):
        modes = ("chat", "completion", "responses", "embedding")
        if (
            row.get("mode") in modes
            and "input_cost_per_request" not in row
            and "output_cost_per_image_token" not in row
        ):
            yield name, row


@pytest.mark.parametrize("tier", [None, "flex", "priority"])
def test_every_row_costs_what_litellm_computes(theirs, tier):
    from litellm.litellm_core_utils.llm_cost_calc.utils import generic_cost_per_token

    table, wrong, seen = LiteLLMMap(), [], 0
    asked = [(counts, billed(counts)) for counts in USAGES]
    for name, row in rows():
        _, price = table.find(Asked(None, name.lower(), ""), NOON, tier)
        if price is None or price.row != name:
            continue
        for counts, usage in asked:
            got = price.usd(counts)
            if got is None:
                continue
            expected = sum(
                generic_cost_per_token(name, usage, row["litellm_provider"], tier, model_info=row, current_time=NOON)
            )
            seen += 1
            if got != pytest.approx(expected, rel=1e-9, abs=1e-15):
                wrong.append((name, tuple(counts), expected, got))
    assert wrong == []
    assert seen > (10_000 if tier is None else 1_000)


def test_every_stated_batch_rate_costs_what_litellm_computes(theirs):
    from litellm.cost_calculator import batch_cost_calculator

    table, wrong, seen = LiteLLMMap(), [], 0
    for name, row in rows():
        _, price = table.find(Asked(None, name.lower(), ""), NOON, "batch")
        if price is None or price.row != name or row["litellm_provider"] == "bedrock_converse":
            continue
        for counts in USAGES:
            plain = counts._replace(cache_write_1h=0)
            expected = sum(batch_cost_calculator(billed(plain), name, "openai", model_info=row))
            if row["litellm_provider"] == "xai" or (got := price.usd(plain)) is None:
                continue
            seen += 1
            if got != pytest.approx(expected, rel=1e-9, abs=1e-15):
                wrong.append((name, tuple(plain), expected, got))
    assert wrong == []
    assert seen > 500


def test_off_peak_hours_are_those_of_litellm(theirs):
    from litellm.litellm_core_utils.llm_cost_calc.utils import generic_cost_per_token

    table = LiteLLMMap()
    timed = [(name, row) for name, row in rows() if "off_peak_pricing" in row]
    assert timed
    figures = set()
    for name, row in timed:
        for day in (2, 7):  # a Monday and a Saturday
            for hour, minute in ((0, 0), (0, 59), (1, 0), (3, 59), (5, 0), (6, 0), (9, 59), (10, 0), (23, 59)):
                when = NOON.replace(day=day, hour=hour, minute=minute)
                price = table.find(Asked(None, name.lower(), ""), when, None)[1]
                expected = sum(
                    generic_cost_per_token(
                        name, billed(USAGES[1]), row["litellm_provider"], model_info=row, current_time=when
                    )
                )
                figures.add(expected)
                assert price.usd(USAGES[1]) == pytest.approx(expected, rel=1e-9), (name, when)
    assert len(figures) > 1
