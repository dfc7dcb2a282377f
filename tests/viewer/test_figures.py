"""Figures as text and as places on shared scales."""

from __future__ import annotations

from tele.viewer.figures import figures, from_groups
from tele.viewer.target import resolve


def group(condition, *, p50, p99, rate, per_1k):
    return {
        "key": {"condition": condition},
        "latency": {"p50": p50, "p95": p50 * 2, "p99": p99},
        "cost": {"total": per_1k / 10, "cost_per_1k_requests": per_1k, "unpriced": 3},
        "reliability": {
            "total_requests": 100,
            "failed": 4,
            "open": 1,
            "unknown": 0,
            "success_rate": rate,
            "success_rate_interval": [rate - 0.05, rate + 0.02],
        },
        "tokens": {"total_prompt": 3000, "total_completion": 1000, "total": 4000},
    }


def test_marks_stand_on_one_scale_for_all_groups():
    shown = from_groups(
        [group("a", p50=200, p99=1000, rate=0.95, per_1k=4.0), group("b", p50=500, p99=2000, rate=0.85, per_1k=1.0)],
        "llm",
    )

    a, b = shown.lines
    assert (a.at_p50, a.at_p99, b.at_p50, b.at_p99) == (10.0, 50.0, 25.0, 100.0)
    assert (a.at_cost, b.at_cost) == (100.0, 25.0)
    assert (shown.success_scale, a.at_success, b.at_success_low) == ("80 %", 75.0, 0.0)
    assert (a.at_tokens_in, a.at_tokens) == (75.0, 100.0)


def test_numbers_are_said_with_what_is_behind_them():
    line = from_groups([group("a", p50=200, p99=1000, rate=0.95, per_1k=4.0)], "llm").lines[0]

    assert (line.label, line.requests, line.beside) == ("a", "100", "4 failed, 1 open")
    assert (line.p50, line.p99, line.success, line.unpriced) == ("200 ms", "1.00 s", "95.0 %", "3 unpriced")


def test_what_nobody_stated_is_a_dash_and_has_no_mark():
    bare = group(None, p50=0, p99=0, rate=0, per_1k=0)
    bare["latency"] = dict.fromkeys(("p50", "p95", "p99"))
    bare["cost"] = {"total": None, "cost_per_1k_requests": None, "unpriced": 0}
    bare["reliability"] |= {"success_rate": None, "success_rate_interval": None}
    bare["tokens"] = dict.fromkeys(("total_prompt", "total_completion", "total"))

    line = from_groups([bare], "root").lines[0]

    assert (line.label, line.p50, line.success, line.cost, line.tokens_in) == ("(none)", *"----")
    assert (line.at_p50, line.at_success, line.at_cost, line.at_tokens) == (None,) * 4


def test_an_experiment_has_its_conditions_a_run_its_own_and_a_trace_none(memory):
    reader = memory.Memory(memory.experiment(items=4))
    calls = reader.rows("SELECT count(*) FROM llm_calls WHERE run_id = 'run-few-shot'")[0][0]

    whole, run = figures(reader, resolve(reader, "prompt-ab")), figures(reader, resolve(reader, "run-few-shot"))

    assert [line.label for line in whole.lines] == ["baseline", "few-shot"]
    assert [(line.label, line.requests) for line in run.lines] == [("few-shot", str(calls))]
    trace = reader.rows("SELECT max(trace_id) FROM spans")[0][0]
    assert figures(reader, resolve(reader, trace)) is None
