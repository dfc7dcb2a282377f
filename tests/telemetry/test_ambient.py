"""Ids of the lengths and order that the columns promise."""

from __future__ import annotations

import random
import uuid

from tele.telemetry.ambient import Ambient, ProcessIds

NOW = 1_750_000_000_123_456_789


def test_event_ids_are_uuids_of_version_7_with_their_time():
    found = uuid.UUID(ProcessIds().event(NOW))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == NOW // 1_000_000


def test_event_ids_are_unique_also_where_the_counter_wraps():
    ids = ProcessIds()
    assert len({ids.event(NOW) for _ in range(100_000)}) == 100_000


def test_event_ids_are_ordered_by_time():
    ids = ProcessIds()
    found = [ids.event(NOW + step * 1_000_000) for step in range(1_000)]
    assert found == sorted(found)


def test_traces_begin_with_their_time_and_have_the_lengths_of_w3c():
    ids = ProcessIds()
    trace, span, run = ids.trace(NOW), ids.span(), ids.run(NOW)
    assert (len(trace), len(span), len(run), run[0]) == (32, 16, 21, "r")
    assert int(trace[:12], 16) == int(run[1:13], 16) == NOW // 1_000_000


def test_two_processes_do_not_meet():
    first, second = ProcessIds(), ProcessIds()
    made = [(ids.event(NOW), ids.trace(NOW), ids.span(), ids.run(NOW)) for ids in (first, second)]
    assert all(a != b for a, b in zip(*made, strict=True))


def test_the_users_random_numbers_are_not_touched():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    ids = ProcessIds()
    ids.event(NOW), ids.trace(NOW), ids.span(), ids.run(NOW)
    assert random.random() == expected


def test_the_monotonic_clock_does_not_go_back():
    ambient = Ambient()
    seen = [ambient.monotonic() for _ in range(1_000)]
    assert seen == sorted(seen)
