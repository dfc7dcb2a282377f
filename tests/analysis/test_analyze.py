from __future__ import annotations

import json
import math
import statistics

import pytest

from tele.analysis import analyze
from tele.errors import BadInput, UnknownExperiment


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def lifecycle(what, run, **attributes):
    return {
        "kind": "event",
        "name": f"tele.experiment.{what}",
        "run_id": run,
        "status": "unset",
        "success": None,
        "attributes": attributes,
    }


def test_the_golden_latencies_have_the_golden_percentiles(log):
    log.add(chat(duration_ms=float(ms)) for ms in range(100, 1001, 100))

    latency = analyze(log, "trial").groups[0].latency

    assert (latency.p50, latency.p90, latency.p95, latency.p99) == pytest.approx((550, 910, 955, 991), abs=1e-9)
    assert (latency.count, latency.mean, latency.median, latency.min, latency.max) == (10, 550, 550, 100, 1000)
    assert latency.std_dev == pytest.approx(statistics.stdev(range(100, 1001, 100)))
    assert latency.intervals["p50"] == (200.0, 900.0)  # the sign test's ranks for n = 10 are 2 and 9
    assert latency.intervals["p99"] == (900.0, None)


def test_percentiles_are_numpys(log):
    numpy = pytest.importorskip("numpy")
    values = numpy.random.default_rng(7).lognormal(6, 1, 357)
    log.add(chat(duration_ms=float(value)) for value in values)

    latency = analyze(log, "trial").groups[0].latency

    expected = numpy.percentile(values, [50, 90, 95, 99])
    assert [latency.p50, latency.p90, latency.p95, latency.p99] == pytest.approx(list(expected), rel=1e-12)
    assert latency.std_dev == pytest.approx(numpy.std(values, ddof=1), rel=1e-12)


def test_each_of_many_groups_has_its_own_percentiles(log):
    numpy = pytest.importorskip("numpy")
    chance = numpy.random.default_rng(3)
    samples = {f"item {n:02}": chance.exponential(100, n) for n in [*range(1, 40), 20, 30]}
    log.add(chat(item_id=item, duration_ms=float(ms)) for item, sample in samples.items() for ms in sample)

    groups = analyze(log, "trial", by=["item_id"]).groups

    found = {group.key["item_id"]: [group.latency.count, group.latency.p50, group.latency.p99] for group in groups}
    assert list(found) == sorted(samples)
    for item, sample in samples.items():
        assert found[item] == pytest.approx([len(sample), *numpy.percentile(sample, [50, 99])], rel=1e-12)
    assert groups[0].latency.std_dev is None  # one value has no sample deviation


def test_order_statistic_intervals_are_values_of_the_sample(log):
    values = [float(value * value) for value in range(1, 401)]
    log.add(chat(duration_ms=value) for value in reversed(values))

    intervals = analyze(log, "trial").groups[0].latency.intervals

    binom = pytest.importorskip("scipy.stats").binom
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        low = max(rank for rank in range(1, 401) if binom.cdf(rank - 1, 400, q) <= 0.025)
        high = min(rank for rank in range(1, 401) if binom.cdf(rank - 1, 400, q) >= 0.975)
        assert intervals[name] == (values[low - 1], values[high - 1])


def test_failed_open_and_untimed_requests_stay_out_of_latency_and_are_counted(log):
    log.add(
        [
            chat(duration_ms=100.0),
            chat(duration_ms=200.0, success=None, status="unset"),
            chat(duration_ms=0.0, success=False, status="error", error_type="429"),
            chat(success=False, status="error"),
            chat(success=None, status="open"),
            chat(duration_ms=None),
        ]
    )

    group = analyze(log, "trial").groups[0].latency, analyze(log, "trial").groups[0].reliability

    latency, reliability = group
    assert (latency.count, latency.mean) == (2, 150.0)
    assert (latency.excluded.failed, latency.excluded.open, latency.excluded.no_duration) == (2, 1, 1)
    assert reliability.total_requests == 6
    assert (reliability.successful, reliability.failed, reliability.unknown, reliability.open) == (2, 2, 1, 1)
    assert (reliability.success_rate, reliability.failure_rate) == (0.5, 0.5)
    assert reliability.errors == {"429": 1, "unknown": 1}


def test_a_cost_nobody_states_is_counted_and_not_zero(log):
    log.add(
        [
            chat(cost_usd=0.25, model="a", input_tokens=10, output_tokens=5, cache_read_tokens=4),
            chat(cost_usd=0.5, model="b", input_tokens=20),
            chat(model="b", output_tokens=7),
            chat(model="c"),
        ]
    )

    group = analyze(log, "trial").groups[0]

    cost = group.cost
    assert (cost.total, cost.count, cost.unpriced, cost.mean_per_request) == (0.75, 2, 2, 0.375)
    assert (cost.cost_per_1k_requests, cost.cost_per_1m_requests) == (375.0, 375_000.0)
    assert {name: (m.total, m.count, m.unpriced) for name, m in cost.by_model.items()} == {
        "a": (0.25, 1, 0),
        "b": (0.5, 1, 1),
        "c": (None, 0, 1),
    }
    tokens = group.tokens
    assert (tokens.count, tokens.total_prompt, tokens.total_completion, tokens.total) == (3, 30, 12, 42)
    assert (tokens.mean_total, tokens.cache_read, tokens.cache_write, tokens.reasoning) == (14.0, 4, None, None)


@pytest.mark.parametrize(
    ("failed", "of", "expected"), [(1, 100, (True, False)), (2, 100, (False, False)), (1, 1000, (True, True))]
)
def test_service_levels_are_reached_at_exactly_their_share(log, failed, of, expected):
    log.add(chat(success=number >= failed) for number in range(of))

    reliability = analyze(log, "trial").groups[0].reliability

    assert (reliability.sla_99, reliability.sla_999) == expected


@pytest.mark.parametrize(
    ("failed", "of", "expected"),
    [
        (0, 100, ("undecided", "undecided", "undecided")),
        (0, 400, ("met", "undecided", "undecided")),
        (10, 100, ("missed", "missed", "missed")),
        (0, 40_000, ("met", "met", "met")),
        (20, 2_000, ("undecided", "missed", "missed")),
    ],
)
def test_a_service_level_is_met_or_missed_where_the_exact_bounds_say_so(log, failed, of, expected):
    stats = pytest.importorskip("scipy.stats")
    log.con.execute(
        """INSERT INTO events BY NAME SELECT 'span' AS kind, 'trial' AS experiment, 'chat' AS name,
        'chat' AS operation, i >= ? AS success FROM range(?) AS t(i)""",
        [failed, of],
    )

    reliability = analyze(log, "trial").groups[0].reliability

    assert tuple(reliability.service_levels.values()) == expected
    theirs = stats.binomtest(of - failed, of).proportion_ci(method="exact")
    assert reliability.success_rate_bounds == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_cost_is_told_by_provider_and_operation_and_per_success(log):
    log.add(
        [
            chat(provider="a", cost_usd=0.25),
            chat(provider="a", cost_usd=0.25, success=False, status="error"),
            chat(provider="b", operation="embeddings", cost_usd=0.5),
        ]
    )

    cost = analyze(log, "trial").groups[0].cost

    assert cost.cost_per_success == 0.5
    assert {name: one.total for name, one in cost.by_provider.items()} == {"a": 0.5, "b": 0.5}
    assert {name: one.count for name, one in cost.by_operation.items()} == {"chat": 2, "embeddings": 1}


def test_groups_are_the_conditions_unless_by_says_otherwise(log):
    log.add(
        [
            chat(condition="b", model="x", duration_ms=1.0, attributes={"app.tier": "gold"}),
            chat(condition="a", model="x", duration_ms=2.0, attributes={"app.tier": "free"}),
            chat(condition="a", model="y", duration_ms=3.0),
        ]
    )

    def counts(**options):
        return [(dict(group.key), group.latency.count) for group in analyze(log, "trial", **options).groups]

    assert counts() == [({"condition": "a"}, 2), ({"condition": "b"}, 1)]
    assert counts(by=["model", "condition"]) == [
        ({"model": "x", "condition": "a"}, 1),
        ({"model": "x", "condition": "b"}, 1),
        ({"model": "y", "condition": "a"}, 1),
    ]
    assert counts(by=["app.tier"]) == [({"app.tier": "free"}, 1), ({"app.tier": "gold"}, 1), ({"app.tier": None}, 1)]


def test_without_conditions_there_is_one_group_with_an_empty_key(log):
    log.add([chat(duration_ms=1.0)])

    assert [group.key for group in analyze(log, "trial").groups] == [{}]
    assert [group.key for group in analyze(log, "trial", by=["condition"]).groups] == [{"condition": None}]


@pytest.mark.parametrize("key", ["it's", 'say "x"', "a/b~c", "a.b", "$", "*", "ключ"])
def test_any_attribute_key_can_group(log, key):
    log.add([chat(attributes={key: "v"}), chat(attributes={key: "w"}), chat(attributes={"other": 1})])

    keys = [group.key[key] for group in analyze(log, "trial", by=[key]).groups]

    assert keys == ["v", "w", None]


def test_requests_are_model_calls_where_there_are_any_else_roots(log):
    log.add(
        [
            {"name": "run", "trace_id": "t", "span_id": "1"},
            chat(trace_id="t", span_id="2", parent_id="1", experiment="called"),
            {"name": "run", "trace_id": "t", "span_id": "1", "experiment": "called"},
            {"name": "step", "trace_id": "t", "span_id": "3", "parent_id": "1"},
        ]
    )

    def requests(experiment, on=None):
        found = analyze(log, experiment, on=on)
        return found.on, sum(group.reliability.total_requests for group in found.groups)

    assert requests("called") == ("llm", 1)
    assert requests("trial") == ("root", 1)
    assert requests("trial", "all") == ("all", 2)
    assert requests("trial", "step") == ("step", 1)
    assert requests("trial", "llm") == ("llm", 0)


def test_a_wrapper_and_its_call_are_one_request(log):
    ids = [{"trace_id": "t", "span_id": str(n), "parent_id": str(n - 1) if n else None} for n in range(4)]
    log.add(
        [
            {**ids[0], "name": "agent", "operation": "invoke_agent", "model": "m", "input_tokens": 10},
            {**ids[1], "name": "call_llm", "operation": "call_llm", "model": "m", "input_tokens": 10},
            chat(**ids[2], input_tokens=10, output_tokens=1),
            {**ids[3], "name": "http"},
        ]
    )

    group = analyze(log, "trial", on="llm").groups[0]

    assert (group.reliability.total_requests, group.tokens.total_prompt) == (1, 10)


def test_archived_and_superseded_runs_are_left_out_and_counted(log):
    log.add(
        [
            *(lifecycle("started", run) for run in "abc"),
            *(chat(run_id=run, duration_ms=float(ord(run))) for run in "abc"),
            lifecycle("archived", "a"),
            lifecycle("superseded", "b"),
            chat(duration_ms=1.0),
        ]
    )

    found = analyze(log, "trial")

    assert (found.runs.used, found.runs.archived, found.runs.superseded) == (1, 1, 1)
    assert found.groups[0].latency.count == 2
    assert (found.summary.total_events, found.summary.event_types["chat m"]) == (3, 2)


def test_the_summary_spans_from_first_start_to_last_end_and_counts_what_has_no_time(log):
    second = 1_000_000_000
    log.add(
        [
            chat(start_ns=1_700_000_000 * second, end_ns=1_700_000_004 * second),
            chat(start_ns=1_700_000_001 * second, end_ns=1_700_000_002 * second + 500_000_000),
            {"kind": "metric", "name": "loss", "value": 1.0},
        ]
    )

    assert analyze(log, "trial").to_dict()["summary"] == {
        "total_events": 3,
        "time_range": {"start": "2023-11-14T22:13:20.000000Z", "end": "2023-11-14T22:13:24.000000Z"},
        "duration_seconds": 4.0,
        "event_types": {"chat m": 2, "loss": 1},
        "untimed": 1,
    }


def test_sampling_ensembles_and_reasoning_are_said_where_there_are_any(log):
    event = {"kind": "event", "status": "unset", "success": None, "run_id": "a"}
    thought = {"name": "causal_trace.event.created", **event}
    log.add([chat(run_id="a")])
    assert not {"sampling_rate", "ensembles", "reasoning"} & set(analyze(log, "trial").to_dict())

    log.add(
        [
            lifecycle("sampled", "a", sampling_rate=0.25),
            {**event, "name": "ensemble.result", "attributes": {"ensemble_id": "1", "winner": "x", "agreement": 0.5}},
            {**event, "name": "ensemble.result", "attributes": {"ensemble_id": "2", "winner": "y", "agreement": 1.0}},
            {**thought, "attributes": {"chain_id": "c", "confidence": 0.5}},
            {**thought, "attributes": {"chain_id": "c"}},
        ]
    )

    told = analyze(log, "trial").to_dict()

    assert told["sampling_rate"] == 0.25
    assert told["ensembles"] == {"count": 2, "mean_agreement": 0.75}
    assert told["reasoning"] == {"chains": 1, "events": 2, "mean_confidence": 0.5}


def test_the_json_has_the_names_of_the_contract(log):
    log.add([chat(duration_ms=1.0, condition="a")])

    told = analyze(log, "trial").to_dict()

    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert set(told) == {"experiment", "on", "summary", "runs", "groups", "comparisons"}
    assert told["comparisons"] == []
    [group] = told["groups"]
    assert group["key"] == {"condition": "a"}
    assert {name: list(part) for name, part in group.items() if name != "key"} == {
        "latency": [
            "count",
            "mean",
            "median",
            "std_dev",
            "min",
            "max",
            "p50",
            "p90",
            "p95",
            "p99",
            "intervals",
            "excluded",
        ],
        "cost": [
            "total",
            "count",
            "unpriced",
            "mean_per_request",
            "cost_per_1k_requests",
            "cost_per_1m_requests",
            "by_model",
            "cost_per_success",
            "by_provider",
            "by_operation",
        ],
        "reliability": [
            "total_requests",
            "successful",
            "failed",
            "unknown",
            "open",
            "success_rate",
            "success_rate_interval",
            "failure_rate",
            "sla_99",
            "sla_999",
            "sla_9999",
            "errors",
            "success_rate_bounds",
            "service_levels",
        ],
        "tokens": [
            "count",
            "total_prompt",
            "total_completion",
            "total",
            "mean_total",
            "cache_read",
            "cache_write",
            "reasoning",
        ],
    }


def test_an_experiment_is_found_by_its_id_and_missed_with_the_nearest_names(log):
    log.add([chat(experiment="prompt-ab", experiment_id="e" + "0" * 20), chat(experiment="other")])

    assert analyze(log, "e" + "0" * 20).experiment == "prompt-ab"
    with pytest.raises(UnknownExperiment) as raised:
        analyze(log, "promt-ab")
    assert raised.value.near == ("prompt-ab",)


def test_what_by_and_on_do_not_find_is_refused_with_the_nearest(log):
    log.add([chat()])

    with pytest.raises(BadInput, match="Nearest: condition"):
        analyze(log, "trial", by=["conditon"])
    with pytest.raises(BadInput, match="Nearest: chat m"):
        analyze(log, "trial", on="chat n")


def test_an_experiment_of_metrics_alone_has_no_groups(log):
    log.add([{"kind": "metric", "name": "loss", "value": 0.5, "status": "unset", "success": None}])

    found = analyze(log, "trial")

    assert (found.on, found.groups, found.summary.total_events) == ("root", (), 1)


def _certified(path):
    """Mean and standard deviation that NIST certifies, and the data."""
    head, data = {}, []
    for line in path.read_text().splitlines():
        words = line.split()
        if ("Sample Mean" in line and ":" in line) or line.startswith("mean "):
            head["mean"] = next(float(word) for word in words if word.lstrip("-")[:1].isdigit())
        elif "Sample Standard Deviation" in line or line.startswith("standardDeviation "):
            head["std_dev"] = next(float(word) for word in words if word.lstrip("-")[:1].isdigit())
        elif len(words) == 1 and words[0].lstrip("-").replace(".", "", 1).isdigit():
            data.append(float(words[0]))
    return head, data


@pytest.mark.parametrize("name", ["NumAcc1", "NumAcc3", "Lottery", "Lew"])
def test_mean_and_deviation_are_those_that_nist_certifies(log, fixtures, name):
    certified, data = _certified(fixtures / "nist_univariate" / f"{name}.txt")
    log.add(chat(duration_ms=value) for value in data)

    latency = analyze(log, "trial").groups[0].latency

    assert latency.mean == pytest.approx(certified["mean"], rel=1e-13)
    assert latency.std_dev == pytest.approx(certified["std_dev"], rel=1e-8)


@pytest.mark.parametrize(
    "provider", ["anyscale_70b", "bedrock_70b", "groq_70b", "lepton_7b", "perplexity_70b", "replicate_70b"]
)
def test_percentiles_are_those_that_the_publisher_of_llmperf_states(log, fixtures, provider):
    calls = json.loads((fixtures / "llmperf" / "individual" / f"{provider}.json").read_text())
    summary = json.loads((fixtures / "llmperf" / "summary" / f"{provider}.json").read_text())
    log.add(
        chat(
            duration_ms=call["end_to_end_latency_s"] * 1e3,
            success=call["error_code"] is None,
            error_type=None if call["error_code"] is None else str(call["error_code"]),
            input_tokens=call["number_input_tokens"],
            output_tokens=call["number_output_tokens"],
        )
        for call in calls
    )

    group = analyze(log, "trial").groups[0]

    stated = "results_end_to_end_latency_s_"
    for name in ("p50", "p90", "p95", "p99"):
        assert math.isclose(getattr(group.latency, name) / 1e3, summary[f"{stated}quantiles_{name}"], rel_tol=1e-9)
    for ours, theirs in (("mean", "mean"), ("min", "min"), ("max", "max"), ("std_dev", "stddev")):
        assert math.isclose(getattr(group.latency, ours) / 1e3, summary[stated + theirs], rel_tol=1e-9)
    assert group.latency.excluded.failed == summary["results_number_errors"]
    assert group.latency.count == summary["results_num_completed_requests"]
