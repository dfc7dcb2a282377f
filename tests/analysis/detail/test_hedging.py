from __future__ import annotations

import pytest

from tele.analysis import analyze


def race(number, ms, *, fired, winner="primary", first_ms=None, wasted=None):
    facts = {"hedge_id": str(number), "strategy": "fixed", "delay_ms": 100.0, "fired": fired, "winner": winner}
    yield {"name": "hedge", "trace_id": f"t{number}", "duration_ms": ms, "attributes": facts | {"wasted_usd": wasted}}
    if first_ms is not None:
        said = {"hedge_id": str(number), "attempt": "primary", "outcome": "lost"}
        yield {"name": "hedge.attempt", "trace_id": f"t{number}", "duration_ms": first_ms, "attributes": said}


def test_hedging_says_how_often_it_fired_won_saved_and_wasted(log):
    log.add(
        [
            *(row for n in range(6) for row in race(n, 80.0, fired=False)),
            *race(6, 150.0, fired=True, winner="backup", first_ms=400.0, wasted=0.25),
            *race(7, 200.0, fired=True, winner="backup", first_ms=300.0, wasted=0.5),
            *race(8, 120.0, fired=True, wasted=0.25),
            *race(9, 130.0, fired=True, winner="backup"),
            {"name": "chat", "operation": "chat", "model": "m", "cost_usd": 5.0},
        ]
    )

    [found] = analyze(log, "trial", detail=["hedging"]).detail["hedging"]

    assert (found.requests, found.fired, found.backup_won) == (10, 4, 3)
    assert (found.hedge_rate, found.win_rate) == (0.4, 0.75)
    assert (found.saved, found.latency_saved_ms, found.mean_latency_saved_ms) == (2, 350.0, 175.0)
    assert (found.wasted_usd, found.waste_unknown) == (1.0, 1)
    assert found.cost_overhead == pytest.approx(1.0 / 4.0)
    assert found.mean_delay_ms == 100.0
