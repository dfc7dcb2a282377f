"""What a call costs here is what the publisher of each table computes, over every row that it has."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from tele.telemetry.prices.names import Asked, Provider
from tele.telemetry.prices.published import Published
from tele.telemetry.prices.rates import ALL, Price, Rates, Step
from tele.telemetry.prices.usage import Usage

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATES = [NOON, datetime(2024, 3, 1, 2, tzinfo=UTC), datetime(2025, 8, 1, 17, 30, tzinfo=UTC)]
TIERS = (None, "batch", "flex", "priority", "fast")
USAGES = [
    Usage(1_000, 500, 100, 300, 200, 100),
    Usage(200_000, 500),
    Usage(272_001, 500, 1_000, 50, 10, 20),
    Usage(0, 7),
    Usage(3, 0),
]
PUBLISHED = Published()
SNAPSHOT = data_snapshot.get_snapshot()
MODELS = [(provider, model) for provider in SNAPSHOT.providers for model in provider.models]


def published_usage(usage):
    counts = usage._asdict()
    counts["output_reasoning"] = counts.pop("reasoning")
    return genai_prices.Usage(**{f"{name}_tokens": count for name, count in counts.items() if count})


def unpriced(prices, usage):
    """Whether the row states no rate for some of the tokens: the publisher counts those as nothing."""
    stated = {key for key, value in vars(prices).items() if value is not None}
    cached = {"cache_read_mtok": usage.cache_read, "cache_write_mtok": usage.cache_write}
    if not any(key.endswith("_mtok") for key in stated):
        return True
    whole = usage.input - sum(count for key, count in cached.items() if key in stated)
    answer = usage.output - (usage.reasoning if "output_reasoning_mtok" in stated else 0)
    return (whole > 0 and "input_mtok" not in stated) or (answer > 0 and "output_mtok" not in stated)


def compared(provider, model, usage, when, tier):
    """Our figure and the publisher's for one row; None and None where there is none."""
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier, "speed": tier} if tier else None
    prices = model.get_prices(when, context)
    known, ours = PUBLISHED.find(Asked(Provider(provider.id, ()), model.id, ""), when, tier)
    if not known:
        return None, None  # its own id is no name that a program uses
    if ours is not None and ours.row != f"{provider.id}/{model.id}":
        return None, None  # the publisher's own matching leads to another row of the same provider first
    try:
        theirs = float(
            model.calc_price(
                published_usage(usage), provider, genai_request_timestamp=when, price_context=context
            ).total_price
        )
    except ValueError:
        return None, None
    stated = tier is None or any(
        (v.constraint is None or v.constraint.active(when)) and v.when.items() <= context.items()
        for v in model.price_variants or ()
    )
    if not stated or unpriced(prices, usage):
        theirs = None
    return (None if ours is None else ours.usd(usage)), theirs


@pytest.mark.parametrize("tier", TIERS)
def test_every_row_of_genai_prices_costs_what_its_publisher_computes(tier):
    wrong, seen = [], 0
    for provider, model in MODELS:
        for usage in USAGES if tier is None else USAGES[:3]:
            got, expected = compared(provider, model, usage, NOON, tier)
            seen += expected is not None
            if (got is None) is not (expected is None) or (
                got is not None and got != pytest.approx(expected, rel=1e-12)
            ):
                wrong.append((provider.id, model.id, tuple(usage), expected, got))
    assert wrong == []
    assert seen > (5_000 if tier is None else 50)


@st.composite
def usages(draw):
    prompt, answer = draw(st.integers(0, 400_000)), draw(st.integers(0, 50_000))
    read = draw(st.integers(0, prompt))
    write = draw(st.integers(0, prompt - read))
    return Usage(prompt, answer, read, write, draw(st.integers(0, answer)), draw(st.integers(0, write)))


@given(
    st.sampled_from(MODELS),
    usages(),
    st.integers(1_672_531_200, 1_798_675_200).map(lambda s: datetime.fromtimestamp(s // 60 * 60, UTC)),
    st.sampled_from(TIERS),
)
@settings(max_examples=300, deadline=None)
def test_any_usage_at_any_time_costs_what_the_publisher_computes(which, usage, when, tier):
    got, expected = compared(*which, usage, when, tier)
    assert (got is None) is (expected is None)
    if got is not None:
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-15)


@given(usages(), st.sampled_from(MODELS))
@settings(max_examples=200, deadline=None)
def test_the_parts_are_the_billed_tokens_and_each_is_paid_once(usage, which):
    """With one rate for everything the cost is that rate times the tokens billed, however they were cached."""
    one = Price("t", "v", "r", None, "", "", (Step(ALL, Rates(*(2.0,) * 6), ""),))
    assert one.usd(usage) == pytest.approx(2.0 * (usage.input + usage.output) / 1e6, rel=1e-12, abs=1e-15)
    _, price = PUBLISHED.find(Asked(Provider(which[0].id, ()), which[1].id, ""), NOON, None)
    if price and (cost := price.usd(usage)) is not None:
        dearest = max(rate for step in price.steps for rate in step.rates[:6] if rate is not None)
        assert (
            0
            <= cost - price.steps[0].rates.request
            <= dearest * (usage.input + usage.output) / 1e6 * (1 + 1e-9) + 1e-15
        )


def test_the_publishers_own_figures_of_an_earlier_table_hold(fixtures):
    """The table that genai-prices published as JSON: for rows that did not change since, the same dollars."""
    table = json.loads((fixtures / "prices" / "genai-prices_data_slim.json").read_text())
    checked = 0
    for provider in table:
        for model in provider["models"]:
            prices = model["prices"]
            known, ours = PUBLISHED.find(Asked(Provider(provider["id"], ()), model["id"], ""), NOON, None)
            if not isinstance(prices, dict) or not known or ours is None or len(ours.steps) > 1:
                continue
            then = {key: Decimal(str(value)) for key, value in prices.items() if isinstance(value, (int, float))}
            rates = ours.steps[0].rates
            if then.keys() != prices.keys() or float(then.get("input_mtok", -1)) != rates.input:
                continue  # a tiered row, or one whose price has changed
            if "output_mtok" not in then or float(then["output_mtok"]) != rates.output:
                continue
            expected = (Decimal(1_000) * then["input_mtok"] + Decimal(500) * then["output_mtok"]) / 1_000_000
            expected += then.get("requests_kcount", Decimal(0)) / 1_000
            assert ours.usd(Usage(1_000, 500)) == pytest.approx(float(expected), rel=1e-12), model["id"]
            checked += 1
    assert checked > 300
