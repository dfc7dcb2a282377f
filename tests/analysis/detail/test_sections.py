from __future__ import annotations

import json

import pytest

from tele.analysis import analyze
from tele.errors import BadInput


def test_a_section_that_is_none_is_refused_with_those_there_are(log):
    log.add([{"name": "work"}])

    with pytest.raises(BadInput, match="latency, cost, reliability"):
        analyze(log, "trial", detail=["latencies"])


@pytest.mark.parametrize(
    "rows",
    [
        [{"kind": "metric", "name": "loss", "value": 1.0}],
        [{"name": "chat", "operation": "chat"}],
        [{"name": "chat", "operation": "chat", "success": False, "status": "error"}],
        [{"name": "chat", "operation": "chat", "success": None, "status": "open", "start_ns": 5}],
        [{"name": "chat", "operation": "chat", "start_ns": 5, "end_ns": 5, "duration_ms": 0.0, "output_tokens": 0}] * 3,
    ],
    ids=["no request", "nothing known", "failed", "open", "zero"],
)
def test_every_section_has_a_defined_answer_of_poor_data(log, rows):
    log.add(rows)

    told = analyze(log, "trial", detail=["all"], budget_usd=1.0).to_dict()

    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_rows_in_another_order_give_the_same(log):

    numpy = pytest.importorskip("numpy")
    chance = numpy.random.default_rng(1)
    starts = map(int, chance.permutation(60))
    log.add(
        {
            "name": "chat",
            "operation": "chat",
            "condition": "ab"[n % 2],
            "start_ns": start * 10**9,
            "end_ns": start * 10**9 + n * 10**8,
            "duration_ms": n * 100.0,
            "success": n % 7 > 0,
            "cost_usd": n / 8,
            "trace_id": f"t{n % 5}",
            "span_id": f"s{n}",
        }
        for n, start in enumerate(starts)
    )
    before = analyze(log, "trial", detail=["all"]).to_dict()

    log.con.execute("CREATE TABLE other AS FROM events ORDER BY hash(event_id)")
    log.con.execute("DELETE FROM events")
    log.con.execute("INSERT INTO events FROM other")

    after = analyze(log, "trial", detail=["all"]).to_dict()
    assert _rounded(after) == _rounded(before)


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
