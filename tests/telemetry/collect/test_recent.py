"""What is remembered, and for how long."""

from __future__ import annotations

from tele.telemetry.collect.recent import Recent


def keys(*numbers):
    return [number.to_bytes(16, "big") for number in numbers]


def test_the_latest_are_remembered_and_the_memory_stays_bounded():
    recent = Recent(kept=100)
    for number in range(1000):
        recent.add(keys(number))
    known = [number for number in range(1000) if keys(number)[0] in recent]
    assert set(range(900, 1000)) <= set(known)
    assert len(known) <= 200
