"""Dollars are those of the price table, or there are none."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime

import genai_prices
import pytest

import tele
from tele.errors import BadInput
from tele.telemetry import pricing
from tele.telemetry.prices.litellm_map import LiteLLMMap
from tele.telemetry.prices.usage import Usage
from tele.telemetry.pricing import add_cost, price
from tele.testing import temporary_store

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def ns(when):
    return int(when.timestamp()) * 1_000_000_000


def oracle(provider, model, usage, when=NOON, tier=None):
    """What the publisher of the table computes, or None where it refuses."""
    names = {"reasoning": "output_reasoning"}
    parts = {f"{names.get(name, name)}_tokens": count for name, count in usage._asdict().items() if count}
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier, "speed": tier} if tier else None
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**parts),
            model,
            provider_id=provider,
            genai_request_timestamp=when,
            price_context=context,
        )
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch):
    """Prices of genai-prices alone: what litellm is installed is another test's matter."""
    monkeypatch.delenv("TELE_PRICES", raising=False)
    monkeypatch.setattr(pricing.process, "settings", replace(pricing.process.settings, prices=None))
    monkeypatch.setattr("tele.telemetry.prices.litellm_map._read", dict)
    pricing.forget()
    yield
    pricing.forget()


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
@pytest.mark.parametrize("times", [((16, 20), (16, 40)), ((16, 40), (16, 20)), ((0, 29), (0, 31)), ((3, 0), (18, 0))])
def test_a_price_that_depends_on_the_hour_is_that_of_the_minute(model, times):
    for hour, minute in times:
        when = NOON.replace(month=3, year=2025, hour=hour, minute=minute)
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
        with tele.span("chat", model="gpt-4o", input_tokens=0, output_tokens=0):
            pass
        assert tele_store.rows("SELECT cost_usd, price_ref FROM events") == [(None, None)] * 2

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

    @pytest.mark.parametrize(
        "counts",
        [
            {"input_tokens": 5, "cache_read_tokens": 50, "output_tokens": 1},
            {"input_tokens": 5, "output_tokens": -1},
            {"input_tokens": 5, "output_tokens": 3, "reasoning_tokens": 4},
            {"input_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 3},
        ],
    )
    def test_counts_that_contradict_each_other_have_no_price(self, tele_store, counts):
        for model in ("gpt-4o", "gemini-2.5-pro"):
            with tele.span("chat", model=model, **counts):
                pass
        assert tele_store.rows("SELECT cost_usd, price_ref FROM events") == [(None, None)] * 2

    def test_tokens_of_a_sort_that_the_row_does_not_price_are_no_zero(self):
        # whisper-1 is priced by the hour of audio: its row says nothing of tokens
        record = {"model": "whisper-1", "provider": "openai", "input_tokens": 1_000, "start_ns": ns(NOON)}
        add_cost(record)
        assert "cost_usd" not in record


def test_no_call_waits_for_the_tables_that_the_experiment_read_when_it_began(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(LiteLLMMap, "__init__", lambda self: (read.append(1), setattr(self, "_rows", {}))[0])
    with temporary_store(tmp_path / ".tele"), tele.experiment("e"):
        assert read == [1]
        with tele.span("chat", model="gpt-4o", provider="openai") as span:
            span.usage(input_tokens=10, output_tokens=1)
    assert read == [1]


class TestTier:
    @pytest.mark.parametrize(
        ("attributes", "tier"),
        [
            ({"openai.response.service_tier": "flex"}, "flex"),
            ({"gen_ai.openai.response.service_tier": "priority"}, "priority"),
            ({"openai.request.service_tier": "flex"}, "flex"),
            ({"service_tier": "batch"}, "batch"),
            ({"gen_ai.request.batch": True}, "batch"),
            ({"model_parameters": {"service_tier": "flex"}}, "flex"),
            ({"cost_breakdown": {"service_tier": "priority"}}, "priority"),
            # asked for, and not served: the answer's tier is billed
            ({"openai.request.service_tier": "priority", "openai.response.service_tier": "default"}, None),
            ({"openai.request.service_tier": "auto"}, None),
            ({"openai.response.service_tier": ["flex"], "openai.request.service_tier": {}}, None),
        ],
    )
    def test_the_tier_that_served_is_the_one_that_is_paid(self, attributes, tier):
        record = {"model": "gpt-5", "provider": "openai", "input_tokens": 2_000, "output_tokens": 100}
        record |= {"attributes": attributes, "start_ns": ns(NOON)}
        add_cost(record)
        assert record["cost_usd"] == pytest.approx(oracle("openai", "gpt-5", Usage(2_000, 100), tier=tier), rel=1e-12)
        assert (f" {tier} " in record["price_ref"]) is (tier is not None)

    def test_the_tiers_do_differ(self):
        costs = {
            tier: price("openai", "gpt-5", ns(NOON), tier).usd(Usage(2_000, 100)) for tier in (None, "flex", "batch")
        }
        assert costs["flex"] < costs[None]
        assert costs["batch"] < costs[None]

    def test_a_tier_that_no_row_prices_has_no_price(self):
        for tier in ("scale", "flex"):
            record = {"model": "gpt-3.5-turbo", "provider": "openai", "input_tokens": 10, "start_ns": ns(NOON)}
            add_cost(record | {"attributes": {"service_tier": tier}})
            assert price("openai", "gpt-3.5-turbo", ns(NOON), tier) is None

    def test_tiers_of_one_provider_are_not_anothers(self):
        # genai-prices serves Azure from OpenAI's rows, and holds that their tiers are OpenAI's alone
        assert price("openai", "gpt-5", ns(NOON), "flex") is not None
        assert price("azure.ai.openai", "gpt-5", ns(NOON), "flex") is None
        assert price("azure.ai.openai", "gpt-5", ns(NOON)) is not None


class TestClientCache:
    @pytest.mark.parametrize(
        "attributes", [{"cache_hit": True}, {"gen_ai.cache.hit": "true"}, {"cache_hit": True, "service_tier": "batch"}]
    )
    def test_a_hit_costs_nothing_and_says_so(self, tele_store, attributes):
        with tele.span("chat", attributes=attributes, model="gpt-4o", input_tokens=1_000, output_tokens=10):
            pass
        with tele.span("chat", attributes=attributes, model="model-of-nobody", input_tokens=1_000):
            pass
        with tele.span("chat", attributes=attributes, model="gpt-4o"):  # DSPy counts no tokens of a hit
            pass
        assert tele_store.rows("SELECT cost_usd, price_ref FROM events") == [(0.0, "client-cache")] * 3

    @pytest.mark.parametrize("hit", [False, None, "false", 0, "no"])
    def test_what_is_no_hit_is_paid(self, hit):
        record = {"model": "gpt-4o", "input_tokens": 1_000, "start_ns": ns(NOON), "attributes": {"cache_hit": hit}}
        add_cost(record)
        assert record["cost_usd"] > 0

    def test_a_source_that_says_both_nothing_and_why_is_marked(self):
        record = {"cost_usd": 0.0, "price_ref": "source", "input_tokens": 5, "attributes": {"cache_hit": True}}
        add_cost(record)
        assert record["price_ref"] == "client-cache"

    def test_a_cost_that_the_source_states_all_the_same_stands(self):
        record = {"cost_usd": 0.5, "price_ref": "source", "attributes": {"cache_hit": True}}
        add_cost(record)
        assert (record["cost_usd"], record["price_ref"]) == (0.5, "source")


class TestCachedTokensAreCountedOnce:
    """The mistake of others: cached tokens added to the input, or paid in full beside their own price."""

    def test_the_figure_that_langfuse_users_reported(self):
        # 17,903 tokens of input of which 17,817 were cached; 35,720 were shown and paid
        usage = Usage(17_903, 0, 17_817)
        found = price("openai", "gpt-4o", ns(NOON)).usd(usage)
        assert found == pytest.approx((86 * 2.50 + 17_817 * 1.25) / 1e6, rel=1e-12)
        assert found < price("openai", "gpt-4o", ns(NOON)).usd(Usage(17_903))

    def test_an_anthropic_call_by_the_published_price(self):
        # claude-sonnet-4-5: 3 in, 0.30 read, 3.75 written for 5 minutes, 6 for an hour, 15 out
        usage = Usage(10_000, 500, 6_000, 3_000, 0, 1_000)
        expected = (1_000 * 3 + 6_000 * 0.30 + 2_000 * 3.75 + 1_000 * 6 + 500 * 15) / 1e6
        assert price("anthropic", "claude-sonnet-4-5", ns(NOON)).usd(usage) == pytest.approx(expected, rel=1e-12)

    def test_the_hour_of_a_write_comes_from_the_attributes(self):
        record = {"model": "claude-sonnet-4-5", "provider": "anthropic", "start_ns": ns(NOON)}
        record |= {"input_tokens": 1_000, "cache_write_tokens": 1_000, "attributes": {"cache_write_1h_tokens": 1_000}}
        add_cost(record)
        assert record["cost_usd"] == pytest.approx(1_000 * 6 / 1e6, rel=1e-12)


class TestOwnTable:
    TABLE = '[[price]]\nmodel = "gpt-4o"\ninput = 1\noutput = 2\n'

    @staticmethod
    def recorded(store):
        with tele.span("chat", model="gpt-4o", provider="openai", input_tokens=1_000_000):
            pass
        return store.rows("SELECT cost_usd, price_ref FROM events ORDER BY event_id DESC LIMIT 1")[0]

    def test_it_stands_over_the_others_wherever_it_is_named(self, tele_store, tmp_path, monkeypatch):
        tele_store.path.mkdir(parents=True, exist_ok=True)
        for where, cost in (("store", 3), ("environment", 4), ("configure", 5)):
            path = tele_store.path / "prices.toml" if where == "store" else tmp_path / f"{where}.toml"
            path.write_text(self.TABLE.replace("input = 1", f"input = {cost}"))
            if where == "environment":
                monkeypatch.setenv("TELE_PRICES", str(path))
            tele.configure(prices=path if where == "configure" else None)
            found, ref = self.recorded(tele_store)
            assert found == pytest.approx(cost)
            assert ref.startswith(f"own {path.name} ")

    def test_a_mistake_in_it_is_told_and_costs_no_record(self, tele_store, caplog):
        tele_store.path.mkdir(parents=True, exist_ok=True)
        (tele_store.path / "prices.toml").write_text(self.TABLE.replace("input = 1", "input = -1"))
        tele.configure()
        with tele.experiment("e"):
            for _ in range(3):
                with tele.span("chat", model="gpt-4o", provider="openai", input_tokens=1):
                    pass
        rows = tele_store.rows("SELECT cost_usd, price_ref FROM spans")
        assert rows == [(None, None)] * 3
        assert tele.dropped() == {}
        said = [record.getMessage() for record in caplog.records if "prices.toml, line 3" in record.getMessage()]
        assert len(said) == 1

    def test_configure_refuses_one_that_is_not_sound(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text("[[price]]\n")
        with pytest.raises(BadInput, match=r"mine\.toml, line 1"):
            tele.configure(prices=path)
        with pytest.raises(BadInput, match="cannot be read"):
            tele.configure(prices=tmp_path / "absent.toml")
        assert pricing.process.settings.prices is None


class TestLiteLLMsFile:
    @pytest.fixture
    def package(self, tmp_path, monkeypatch):
        """A package folder as pip lays it out, whose code must not run."""
        monkeypatch.undo()
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
            "all-zeros": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "litellm_provider": "gigachat"},
            "ollama/at-home": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "litellm_provider": "ollama"},
        }
        (folder / "model_prices_and_context_window_backup.json").write_text(json.dumps(rows))
        facts = tmp_path / "site" / "litellm-9.9.9.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 9.9.9\n")
        monkeypatch.delitem(sys.modules, "litellm", raising=False)  # another test may have imported the real one
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        pricing.forget()
        return folder

    def test_it_is_read_as_data_and_litellm_never_imported(self, package):
        row = price("nobody", "model-of-nobody", ns(NOON))
        assert row.ref == "litellm 9.9.9 model-of-nobody 2026-11-01"
        assert row.usd(Usage(100, 10)) == pytest.approx(100e-6 + 20e-6)
        assert price("azure", "other", ns(NOON)).usd(Usage(100, 10, 20, 30)) == pytest.approx(
            50e-6 + 20 * 1e-7 + 30 * 2e-6 + 40e-6
        )
        assert price(None, "image-only", ns(NOON)) is None

    def test_what_costs_nothing_costs_nothing(self, package):
        assert price(None, "free-cache", ns(NOON)).usd(Usage(100, 0, 100)) == 0.0
        assert price("ollama", "at-home", ns(NOON)).usd(Usage(100, 5)) == 0.0

    def test_a_row_of_zeros_is_no_price_where_somebody_sells(self, package):
        assert price("gigachat", "all-zeros", ns(NOON)) is None

    def test_the_dated_table_comes_first(self, package):
        assert price("openai", "gpt-4o", ns(NOON)).ref.startswith("genai-prices ")

    @pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"5", b'{"model-of-nobody": 5}'])
    def test_a_broken_map_is_no_price(self, package, content):
        (package / "model_prices_and_context_window_backup.json").write_bytes(content)
        assert price(None, "model-of-nobody", ns(NOON)) is None
        assert list(LiteLLMMap().names()) in ([], ["model-of-nobody"])
