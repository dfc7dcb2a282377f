from __future__ import annotations

import pytest

from tele.analysis import analyze


def thought(chain, confidence, position=1, **fields):
    facts = {"chain_id": chain, "confidence": confidence, "position": position}
    event = {"kind": "event", "name": "causal_trace.event.created", "status": "unset", "success": None}
    return event | {"run_id": "r", "trace_id": chain, "attributes": facts} | fields


def metric(value, **fields):
    return {"kind": "metric", "name": "correct", "value": value, "run_id": "r", "success": None} | fields


def section(log, **options):
    return analyze(log, "trial", detail=["reasoning"], **options).detail["reasoning"]


def test_the_last_confidence_of_a_chain_stands_against_what_the_metric_says(log):
    log.add(
        [
            thought("a", 0.2, 1, condition="x"),
            thought("a", 0.9, 2, condition="x"),
            thought("b", 0.6, condition="x"),
            thought("c", 0.7, condition="y", item_id="i"),
            thought("d", 0.5, condition="y"),
            metric(1.0, trace_id="a"),
            metric(0.0, trace_id="b"),
            metric(1.0, item_id="i"),
        ]
    )

    x, y = section(log)

    assert (x.key, x.chains, x.events, x.judged) == ({"condition": "x"}, 2, 3, 2)
    assert x.calibration.brier == pytest.approx((0.1**2 + 0.6**2) / 2)
    assert (y.chains, y.judged, y.calibration.accuracy) == (2, 1, 1.0)


def test_without_the_metric_it_says_why_there_is_no_calibration(log):
    log.add([thought("a", 0.5), metric(1.0, trace_id="a")])

    [found] = section(log, outcome="score")

    assert (found.calibration, found.judged) == (None, 0)
    assert "'score'" in found.note
