"""Names lead to rows by rule; what no rule leads to is unknown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tele.telemetry.prices.names import candidates, provider_named
from tele.telemetry.prices.tables import Tables

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def tables():
    """genai-prices alone: the rows that are expected below are its rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tele.telemetry.prices.litellm_map._read", dict)
        found = Tables()
        _ = found.litellm
        yield found


# Provider, model as programs write it, and the row that the publisher's own page names for it
SAME = [
    (None, "gpt-4o", "openai/gpt-4o"),
    ("openai", "gpt-4o-2024-08-06", "openai/gpt-4o"),
    ("openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
    ("openai", "GPT-4o", "openai/gpt-4o"),
    (None, "openai/gpt-4o", "openai/gpt-4o"),
    ("openai", "openai/gpt-4o", "openai/gpt-4o"),
    ("litellm", "openai/gpt-4o", "openai/gpt-4o"),
    (None, "litellm_proxy/openai/gpt-4o", "openai/gpt-4o"),
    ("openrouter", "openai/gpt-4o", "openrouter/openai/gpt-4o"),
    (None, "openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o"),
    # genai-prices serves Azure from OpenAI's rows where it has none of Azure's own
    ("azure.ai.openai", "gpt-4o", "openai/gpt-4o"),
    (None, "azure/gpt-4o", "openai/gpt-4o"),
    (None, "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ("gcp.gemini", "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ("gcp.gen_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
    (None, "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ("gcp.vertex_ai", "claude-3-5-sonnet@20240620", "google/claude-3-5-sonnet"),
    (None, "vertex_ai/claude-3-5-sonnet@20240620", "google/claude-3-5-sonnet"),
    ("x_ai", "grok-3", "x-ai/grok-3"),
    ("mistral_ai", "mistral-large-2411", "mistral/mistral-large"),
    (None, "groq/llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
    ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
    (None, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    (
        "aws.bedrock",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        None,
        "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        None,
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    ("openai", "ft:gpt-4o-2024-08-06:org::id", "openai/ft:gpt-4o"),
    (None, "ft:gpt-4o:org::id", "openai/ft:gpt-4o"),
    # a snapshot that no table has a row for is priced as the model that it is a snapshot of
    ("openai", "gpt-4.1-2099-01-01", "openai/gpt-4.1"),
]


@pytest.mark.parametrize(("provider", "model", "row"), SAME)
def test_a_name_leads_to_its_row(tables, provider, model, row):
    assert tables.find(provider, model, NOON).row == row


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        (None, "gpt-5o"),
        ("openai", "gpt-4o-mine"),
        ("ollama", "deepseek-r1"),  # at home: DeepSeek's own price is not its price
        ("my-proxy", "gpt-4o"),
        ("anthropic", "gpt-4o"),
        ("anthropic", "openai/gpt-4o"),
        (None, "somebody/gpt-4o"),
        ("openai", "ft:gpt-9:org::id"),  # never the base's price
        (None, "ft:"),
        (None, ""),
        (None, "/"),
        (None, "openai/"),
        ("openai", "2024-08-06"),
    ],
)
def test_what_no_rule_leads_to_is_unknown(tables, provider, model):
    assert tables.find(provider, model, NOON) is None


def test_a_dated_name_has_its_own_price_or_none_in_a_tier(tables):
    # gpt-4o-2024-05-13 costs twice what gpt-4o costs: where it has no flex row, gpt-4o's would be wrong
    assert tables.find("openai", "gpt-4o-2024-05-13", NOON, "flex") is None


@given(st.text(max_size=40), st.none() | st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_name_is_read_without_an_error(tables, model, provider):
    tables.find(provider, model, NOON)
    same, looser = candidates(provider, model)
    assert same[0].name == model.strip().lower()
    assert len(same) + len(looser) < 12


@given(st.from_regex(r"\A(?:[a-z_]{1,8}[/.@:-]){0,12}[a-z0-9-]{0,12}\Z"))
def test_rules_only_take_away(model):
    for asked in (*candidates(None, model)[0], *candidates(None, model)[1]):
        assert len(asked.name) <= len(model)


def test_a_provider_is_the_same_by_each_of_its_names():
    for names in (
        ("azure.ai.openai", "azure"),
        ("aws.bedrock", "bedrock"),
        ("xai", "x_ai", "x-ai"),
        ("gemini", "google"),
    ):
        assert len({provider_named(name) for name in names}) == 1
    assert provider_named("  ") is None
    assert provider_named("LiteLLM") is None
