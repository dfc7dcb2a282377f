"""Dollars are those of the price table, or there are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import genai_prices
import pytest
from genai_prices import data_snapshot

import tele
from tele.telemetry import pricing
from tele.telemetry.pricing import Usage, add_cost, price
from tele.testing import temporary_store

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
USAGES = [
    Usage(1_000, 500),
    Usage(1_000, 500, 400),
    Usage(1_000, 500, 0, 300),
    Usage(300_000, 500, 1_000, 50),
    Usage(0, 7),
    Usage(3, 0),
]


def ns(when):
    return int(when.timestamp()) * 1_000_000_000


def oracle(provider, model, usage, when=NOON):
    """What the publisher of the table computes, or None where it refuses."""
    parts = {f"{name}_tokens": count for name, count in usage._asdict().items() if count}
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**parts), model, provider_id=provider, genai_request_timestamp=when
        )
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(pricing, "_known", {})
    monkeypatch.setattr(pricing, "_litellm", [{}])


@pytest.mark.parametrize("provider", [found.id for found in data_snapshot.get_snapshot().providers])
def test_every_model_costs_what_the_tables_publisher_computes(provider):
    [found] = [one for one in data_snapshot.get_snapshot().providers if one.id == provider]
    wrong = []
    for model in found.models:
        for usage in USAGES:
            expected = oracle(provider, model.id, usage)
            if expected is None:
                continue
            row = price(provider, model.id, ns(NOON))
            got = None if row is None else row.usd(usage)
            if got != pytest.approx(expected, rel=1e-12, abs=1e-15):
                wrong.append((model.id, tuple(usage), expected, got))
    assert wrong == []


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
@pytest.mark.parametrize("hours", [(3, 18), (18, 3)])
def test_a_price_that_depends_on_the_hour_is_that_of_the_hour(model, hours):
    for hour in hours:
        when = NOON.replace(hour=hour)
        expected = oracle("deepseek", model, Usage(1_000, 10), when)
        assert price("deepseek", model, ns(when)).usd(Usage(1_000, 10)) == pytest.approx(expected, rel=1e-12)


class TestRecord:
    def test_a_span_with_tokens_is_priced_at_its_own_time(self):
        with temporary_store(frozen=True) as store:
            store.clock.ns = ns(NOON)
            with tele.span("chat", model="gpt-4o", provider="openai") as span:
                span.usage(input_tokens=1_000, output_tokens=500, cache_read_tokens=200)
            [(cost, ref)] = store.rows("SELECT cost_usd, price_ref FROM events")
        assert cost == pytest.approx(oracle("openai", "gpt-4o", Usage(1_000, 500, 200)), rel=1e-12)
        assert ref == f"genai-prices {genai_prices.__version__} openai/gpt-4o 2026-11-01"

    def test_an_unknown_model_has_no_price(self, tele_store):
        with tele.span("chat", model="model-of-nobody", input_tokens=5, output_tokens=5):
            pass
        with tele.span("chat", input_tokens=5):
            pass
        assert tele_store.rows("SELECT cost_usd, price_ref FROM events") == [(None, None)] * 2

    def test_a_model_without_tokens_has_no_price(self, tele_store):
        with tele.span("chat", model="gpt-4o"):
            pass
        assert tele_store.rows("SELECT cost_usd, price_ref FROM events") == [(None, None)]

    def test_the_model_asked_for_stands_in(self):
        record = {"request_model": "gpt-4o", "input_tokens": 10, "start_ns": ns(NOON)}
        add_cost(record)
        assert record["cost_usd"] == pytest.approx(oracle("openai", "gpt-4o", Usage(10)), rel=1e-12)

    def test_a_stated_cost_stands_and_says_so(self, tele_store):
        with tele.span("usage", model="gpt-4o") as span:
            span.usage(input_tokens=5, cost_usd=0.25)
        with tele.span("keyword", model="gpt-4o", input_tokens=5, cost_usd=0.25):
            pass
        with tele.span("free", model="gpt-4o", input_tokens=5, cost_usd=0.0):
            pass
        with tele.span("named", cost_usd=0.25, price_ref="contract 7"):
            pass
        assert tele_store.rows("SELECT name, cost_usd, price_ref FROM events ORDER BY name") == [
            ("free", 0.0, "source"),
            ("keyword", 0.25, "source"),
            ("named", 0.25, "contract 7"),
            ("usage", 0.25, "source"),
        ]

    def test_tokens_that_make_no_sense_raise_nothing(self, tele_store):
        for model in ("gpt-4o", "gemini-2.5-pro"):
            with tele.span("chat", model=model, input_tokens=5, cache_read_tokens=50, output_tokens=-1):
                pass
        assert tele_store.rows("SELECT count(*) FROM events WHERE cost_usd < 0") == [(0,)]
        assert tele_store.rows("SELECT count(*) FROM events") == [(2,)]


class TestLiteLLM:
    @pytest.fixture
    def package(self, tmp_path, monkeypatch):
        """A package folder as pip lays it out, whose code must not run."""
        folder = tmp_path / "site" / "litellm"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('litellm was imported')\n")
        rows = {
            "model-of-nobody": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            "azure/other": {
                "input_cost_per_token": 1e-6,
                "output_cost_per_token": 4e-6,
                "cache_read_input_token_cost": 1e-7,
                "cache_creation_input_token_cost": 2e-6,
            },
            "free-cache": {"input_cost_per_token": 1e-6, "cache_read_input_token_cost": 0.0},
            "image-only": {"output_cost_per_image": 1.0},
        }
        (folder / "model_prices_and_context_window_backup.json").write_text(json.dumps(rows))
        facts = tmp_path / "site" / "litellm-9.9.9.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 9.9.9\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        monkeypatch.setattr(pricing, "_litellm", [])
        return folder

    def test_its_map_is_read_as_data_and_never_imported(self, package):
        row = price("nobody", "model-of-nobody", ns(NOON))
        assert row.ref == "litellm 9.9.9 model-of-nobody"
        assert row.usd(Usage(100, 10)) == pytest.approx(100e-6 + 20e-6)
        assert price("azure", "other", ns(NOON)).usd(Usage(100, 10, 20, 30)) == pytest.approx(
            50e-6 + 20 * 1e-7 + 30 * 2e-6 + 40e-6
        )
        assert price(None, "image-only", ns(NOON)) is None

    def test_what_costs_nothing_costs_nothing(self, package):
        assert price(None, "free-cache", ns(NOON)).usd(Usage(100, 0, 100)) == 0.0

    def test_the_dated_table_comes_first(self, package):
        assert price("openai", "gpt-4o", ns(NOON)).ref.startswith("genai-prices ")

    @pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"5"])
    def test_a_broken_map_is_no_price(self, package, content):
        (package / "model_prices_and_context_window_backup.json").write_bytes(content)
        assert price(None, "model-of-nobody", ns(NOON)) is None
