"""What was recorded is priced again by amendments: appended, counted, and none the second time."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tele
from tele.store.layout import open_layout
from tele.telemetry import pricing
from tele.telemetry.prices.amending import amend
from tele.telemetry.prices.reprice import Plan
from tele.telemetry.prices.tables import Tables
from tele.telemetry.prices.usage import Usage
from tele.testing import temporary_store

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROW = '[[price]]\nmodel = "{}"\ninput = {}\noutput = {}\n'


@pytest.fixture(autouse=True)
def only_the_dated_table(monkeypatch):
    monkeypatch.delenv("TELE_PRICES", raising=False)
    monkeypatch.setattr("tele.telemetry.prices.litellm_map._read", dict)
    pricing.forget()
    yield
    pricing.forget()


def repriced(store, own=None, *, dry_run=False, seal=False, **how):
    if seal:
        store.seal()
    with store.open() as reader:
        plan = Plan(reader, Tables(own), "e", **how)
        figures = plan.figures()
        return figures, 0 if dry_run else amend(open_layout(store.path), plan)


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(ROW.format("mine", 1, 2) + ROW.format("gpt-4o", 4, 8))
    return path


def record(*calls):
    with tele.experiment("e"):
        for attributes, fields in calls:
            with tele.span("chat", attributes=attributes, operation="chat", **fields):
                pass


CALLS = (
    ({}, {"model": "gpt-4o", "provider": "openai", "input_tokens": 1_000_000}),
    ({}, {"model": "mine", "input_tokens": 1_000_000, "output_tokens": 1_000_000}),
    ({}, {"model": "gpt-4o", "input_tokens": 5, "cost_usd": 7.0}),
    ({}, {"model": "nobody", "input_tokens": 5}),
    ({"cache_hit": True}, {"model": "gpt-4o", "input_tokens": 5}),
)


@pytest.mark.parametrize("seal", [False, True])
def test_costs_follow_the_tables_of_today_and_what_was_recorded_stays(tele_store, own, seal):
    record(*CALLS)
    before = tele_store.rows("SELECT event_id, cost_usd, price_ref FROM events_raw WHERE kind = 'span' ORDER BY 1")
    figures, events = repriced(tele_store, own, seal=seal)
    assert (figures.calls, figures.changed, figures.stated, events) == (5, 2, 1, 4)
    assert (figures.old_usd, figures.new_usd) == (pytest.approx(2.5 + 7), pytest.approx(4 + 3 + 7))
    assert [(one.model, one.calls, one.why) for one in figures.unpriced] == [("nobody", 1, "no table knows it")]
    now = tele_store.rows("SELECT model, cost_usd, split(price_ref, ' ')[1] FROM spans ORDER BY cost_usd, model")
    assert now == [
        ("gpt-4o", 0.0, "client-cache"),
        ("mine", 3.0, "own"),
        ("gpt-4o", 4.0, "own"),
        ("gpt-4o", 7.0, "source"),
        ("nobody", None, None),
    ]
    raw = "SELECT event_id, cost_usd, price_ref FROM events_raw WHERE kind = 'span' ORDER BY 1"
    assert tele_store.rows(raw) == before


def test_the_second_time_appends_nothing(tele_store, own):
    record(*CALLS)
    assert repriced(tele_store, own)[1] == 4
    figures, events = repriced(tele_store, own)
    assert (figures.changed, events) == (0, 0)
    assert figures.old_usd == figures.new_usd == pytest.approx(4 + 3 + 7)


def test_trying_it_appends_nothing(tele_store, own):
    record(*CALLS)
    figures, events = repriced(tele_store, own, dry_run=True)
    assert (figures.changed, events) == (2, 0)
    assert tele_store.rows("SELECT count(*) FROM events WHERE name = 'tele.amended'") == [(0,)]


def test_what_the_source_stated_is_priced_only_when_asked(tele_store, own):
    record(*CALLS)
    figures, _ = repriced(tele_store, own, everything=True)
    assert (figures.changed, figures.stated) == (3, 0)
    assert tele_store.rows("SELECT count(*) FROM spans WHERE price_ref = 'source'") == [(0,)]
    assert repriced(tele_store, own, everything=True)[1] == 0


def test_one_day_prices_all_calls(tele_store, tmp_path):
    path = tmp_path / "dated.toml"
    path.write_text('[[price]]\nmodel = "mine"\ninput = 1\n[[price]]\nmodel = "mine"\nfrom = 2026-06-01\ninput = 2\n')
    record(({}, {"model": "mine", "input_tokens": 1_000_000}))
    for day, cost in ((datetime(2026, 5, 31, tzinfo=UTC), 1.0), (datetime(2026, 6, 1, tzinfo=UTC), 2.0)):
        assert repriced(tele_store, path, at=day)[0].changed == 1
        [(found, ref)] = tele_store.rows("SELECT cost_usd, price_ref FROM spans")
        assert found == cost
        assert ref.endswith(f" {day:%Y-%m-%d}")


def test_a_call_that_has_lost_its_price_keeps_its_cost_and_is_listed(tele_store, own):
    record(*CALLS)
    repriced(tele_store, own)
    figures, events = repriced(tele_store)
    mine = next(one for one in figures.unpriced if one.model == "mine")
    assert (mine.calls, mine.kept) == (1, 1)
    assert events == 2  # gpt-4o goes back to its list price
    assert tele_store.rows("SELECT cost_usd FROM spans WHERE model = 'mine'") == [(3.0,)]


def test_a_wrapper_is_amended_and_counted_once(tele_store, own):
    call = {"operation": "chat", "model": "mine", "input_tokens": 1_000_000}
    with tele.experiment("e"), tele.span("agent", **call), tele.span("call", **call):
        pass
    figures, events = repriced(tele_store, own)
    assert (figures.changed, events, figures.new_usd) == (2, 4, 1.0)


def test_nothing_of_another_experiment_is_touched(tele_store, own):
    with tele.experiment("other"), tele.span("chat", model="mine", input_tokens=5):
        pass
    figures, events = repriced(tele_store, own)
    assert (figures.calls, figures.old_usd, events) == (0, None, 0)


def test_why_a_call_has_no_price_is_said(tele_store):
    record(
        ({}, {"model": "gpt-4o", "provider": "openai", "input_tokens": 5, "cache_read_tokens": 6}),
        ({"service_tier": "scale"}, {"model": "gpt-4o", "provider": "openai", "input_tokens": 5}),
        ({}, {"input_tokens": 5}),
        ({}, {"model": "text-embedding-3-small", "provider": "openai", "input_tokens": 5, "output_tokens": 5}),
    )
    figures, _ = repriced(tele_store)
    assert {(one.model, one.tier): one.why for one in figures.unpriced} == {
        ("gpt-4o", None): "its token counts contradict each other",
        ("gpt-4o", "scale"): "no table has a rate for this service tier",
        (None, None): "it names no model",
        ("text-embedding-3-small", None): "its row has no rate for tokens of this sort",
    }


MODELS = [("openai", "gpt-4o"), ("openai", "gpt-5"), ("google", "gemini-2.5-pro"), ("anthropic", "claude-sonnet-4-5")]
COUNT = st.integers(0, 300_000)


@st.composite
def sound(draw):
    """Counts that do not contradict each other."""
    prompt, answer = draw(COUNT), draw(COUNT)
    read = draw(st.integers(0, prompt))
    write = draw(st.integers(0, prompt - read))
    return (prompt, answer, read, write, draw(st.integers(0, answer)), draw(st.integers(0, write)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(MODELS),
            sound() | sound() | st.tuples(COUNT, COUNT, COUNT, COUNT, COUNT, COUNT),
            st.sampled_from([{}, {"service_tier": "flex"}, {"openai.response.service_tier": "priority"}, {"a": 1}]),
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_recording_and_pricing_again_agree_on_every_call(calls):
    """What add_cost computes in Python is what DuckDB computes over the store: nothing changes, nothing is unlike."""
    with temporary_store(frozen=True) as store:
        store.clock.ns = int(NOON.timestamp()) * 1_000_000_000
        with tele.experiment("e"):
            for (provider, model), counts, attributes in calls:
                usage = Usage(*counts)
                fields = {
                    f"{name}_tokens": count for name, count in usage._asdict().items() if name != "cache_write_1h"
                }
                said = attributes | {"cache_write_1h_tokens": usage.cache_write_1h}
                with tele.span("chat", attributes=said, operation="chat", provider=provider, model=model, **fields):
                    pass
        figures, _ = repriced(store, dry_run=True)
        known = [cost for (cost,) in store.rows("SELECT cost_usd FROM spans") if cost is not None]
        assert figures.changed == 0
        assert figures.new_usd == (pytest.approx(math.fsum(known)) if known else None)
        unpriced = store.rows("SELECT 1 FROM spans WHERE cost_usd IS NULL AND input_tokens + output_tokens > 0")
        assert sum(one.calls for one in figures.unpriced) == len(unpriced)
