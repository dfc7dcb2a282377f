from __future__ import annotations

import math

import pytest

from tele.analysis import analyze
from tele.errors import BadInput

NOW = 1_760_000_000_000_000_000


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m", "start_ns": NOW, "trace_id": "t"} | fields


def section(log, **options):
    [found] = analyze(log, "trial", detail=["cost"], **options).detail["cost"]
    return found


@pytest.fixture
def prices(tmp_path):
    """A table in which a model costs a dollar for a million tokens read, cached ones a tenth, two for written ones."""
    path = tmp_path / "prices.toml"
    row = 'model = "m"\ninput = 1.0\ncache_read = 0.1\ncache_write = 1.25\noutput = 2.0\n'
    path.write_text(f'version = "mine"\n\n[[price]]\n{row}')
    return path


def test_another_table_prices_what_it_knows_and_counts_the_rest(log, prices):
    log.add(
        [
            chat(cost_usd=0.5, input_tokens=1_000_000, output_tokens=500_000),
            chat(cost_usd=0.25, input_tokens=1_000_000, cache_read_tokens=400_000),
            chat(model="unknown to all", cost_usd=0.1, input_tokens=10),
        ]
    )

    found = section(log, prices=str(prices)).what_if

    assert (found.priced, found.unpriced) == (2, 1)
    assert found.recorded_usd == pytest.approx(0.85)
    assert found.usd == pytest.approx(1.0 + 1.0 + 0.6 + 0.04)


def test_savings_are_net_of_what_writing_into_the_cache_costs(log, prices, monkeypatch):
    monkeypatch.setenv("TELE_PRICES", str(prices))
    log.add(
        [
            chat(input_tokens=1_000_000, cache_read_tokens=400_000),
            chat(input_tokens=1_000_000, cache_write_tokens=200_000),
            chat(input_tokens=1_000_000),
        ]
    )

    found = section(log).cached_savings

    assert found.requests == 2
    assert found.uncached_usd == pytest.approx(2.0)
    assert found.saved_usd == pytest.approx(0.4 * 0.9 - 0.2 * 0.25)


def test_projections_cover_the_sum_of_what_comes(log):
    numpy = pytest.importorskip("numpy")
    chance = numpy.random.default_rng(4)
    costs = chance.gamma(4, 0.001, 200)
    log.add(chat(cost_usd=float(cost)) for cost in costs)

    found = section(log, budget_usd=4.0)

    thousand = found.projections[0]
    assert thousand.usd == pytest.approx(1_000 * costs.mean())
    half = 1.959964 * costs.std(ddof=1) * math.sqrt(1_000 + 1_000_000 / 200)
    assert thousand.interval == pytest.approx((thousand.usd - half, thousand.usd + half), rel=1e-6)
    hits = 0
    for _ in range(300):
        seen, later = chance.gamma(4, 0.001, 200), chance.gamma(4, 0.001, 1_000).sum()
        hits += abs(later - 1_000 * seen.mean()) <= 1.959964 * seen.std(ddof=1) * math.sqrt(1_000 + 5_000)
    assert hits / 300 > 0.91
    low, high = found.affordable.interval
    assert low < found.affordable.requests == int(4 / costs.mean()) < high


def test_a_budget_is_an_amount(log):
    log.add([chat(cost_usd=0.1)])

    with pytest.raises(BadInput, match="above 0"):
        section(log, budget_usd=-1.0)
