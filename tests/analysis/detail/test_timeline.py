from __future__ import annotations

from tele.analysis import analyze

SECOND = 1_000_000_000


def test_windows_stand_side_by_side_and_hold_each_request_once(log):
    log.add(
        {
            "name": "chat",
            "operation": "chat",
            "start_ns": n * SECOND,
            "duration_ms": float(n),
            "success": n % 10 > 0,
            "cost_usd": 0.5,
        }
        for n in range(100)
    )

    [found] = analyze(log, "trial", detail=["timeline"]).detail["timeline"]

    assert found.window_seconds == 5
    assert [one.count for one in found.windows] == [5] * 20
    assert sum(one.failed for one in found.windows) == 10
    assert found.windows[1].start == "1970-01-01T00:00:05Z"
    assert (found.windows[1].p50_ms, found.windows[1].mean_ms, found.windows[1].cost_usd) == (7.0, 7.0, 2.5)
    assert found.windows[0].requests_per_second == 1.0
