from __future__ import annotations

import pytest

from tele.analysis import analyze
from tele.analysis.detail.reliability import kind_of
from tele.errors import BadInput

SECOND = 1_000_000_000


def chat(**fields):
    return {"name": "chat m", "operation": "chat", "model": "m"} | fields


def section(log, **options):
    [found] = analyze(log, "trial", detail=["reliability"], **options).detail["reliability"]
    return found


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("openai.APITimeoutError", "timeout"),
        ("504", "timeout"),
        ("DEADLINE_EXCEEDED", "timeout"),
        ("RateLimitError", "rate limit"),
        ("429", "rate limit"),
        ("ContextWindowExceededError", "context length"),
        ("ContentFilterFinishReasonError", "content filter"),
        ("AuthenticationError", "authentication"),
        ("asyncio.CancelledError", "cancelled"),
        ("httpx.ConnectError", "connection"),
        ("InternalServerError", "server"),
        ("503", "server"),
        ("BadRequestError", "bad request"),
        ("json.JSONDecodeError", "parsing"),
        ("KeyError", "other"),
    ],
)
def test_errors_have_kinds(error, kind):
    assert kind_of(error) == kind


def test_the_time_between_failures_is_from_one_to_the_next(log):
    fails = {3, 5, 11}
    log.add(
        chat(start_ns=n * SECOND, success=n not in fails, error_type="503" if n in fails else None) for n in range(20)
    )

    found = section(log)

    assert (found.failures, found.mean_time_between_failures_ms) == (3, 4_000.0)
    assert (found.median_time_between_failures_ms, found.longest_time_without_failure_ms) == (4_000.0, 6_000.0)
    assert found.taxonomy == {"server": 3}


def test_retries_say_so_or_follow_a_failure_of_their_name_and_parent(log):
    below = {"trace_id": "t", "parent_id": "p"}
    log.add(
        [
            chat(**below, start_ns=1, success=False, cost_usd=0.5),
            chat(**below, start_ns=2),
            chat(**below, start_ns=3),
            chat(trace_id="u", start_ns=4, attributes={"attempt": 1}),
            chat(trace_id="u", start_ns=5, success=False, attributes={"attempt": 2}),
            chat(trace_id="v", start_ns=6, attributes={"http.request.resend_count": 1}),
            chat(trace_id="w", start_ns=7, success=False),
            chat(trace_id="w", start_ns=8),
        ]
    )

    found = section(log).retries

    assert (found.retries, found.recovered, found.retry_rate, found.failed_usd) == (3, 2, 3 / 8, 0.5)


def test_the_error_budget_is_the_share_that_the_level_leaves(log):
    log.add(chat(start_ns=n * SECOND, success=n % 5 != 0) for n in range(1_000))

    found = section(log, service_level=0.9).error_budget

    assert (found.failed, found.allowed) == (200, pytest.approx(100))
    assert (found.burn_rate, found.remaining) == (pytest.approx(2), pytest.approx(-1))
    assert found.worst_burn_rate >= 2


def test_a_service_level_is_a_share(log):
    log.add([chat()])

    with pytest.raises(BadInput, match="between 0 and 1"):
        analyze(log, "trial", service_level=99.9)
