"""Instants as text, to the nanosecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ingest.record import RecordError
from tele.telemetry.ingest.times import has_zone, time_ns

NOON = 1_704_110_400_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2024-01-01T12:00:00Z", NOON),
        ("2024-01-01 12:00", NOON),
        ("2024-01-01T12:00:00.1234567Z", NOON + 123_456_700),
        ("2024-01-01T12:00:00,5", NOON + 500_000_000),
        ("2024-01-01T13:30:00.000000001+01:30", NOON + 1),
        ("2024-01-01T04:00:00-0800", NOON),
        (NOON, NOON),
        (str(NOON), NOON),
        (None, None),
        (0, None),
        (-5, -5),
        ("-5", -5),
    ],
)
def test_text_and_numbers_become_nanoseconds(text, ns):
    assert time_ns(text, "time") == ns


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  # the zone is drawn beside it
    st.integers(-14 * 60, 14 * 60),
)
def test_what_python_writes_is_read(local, minutes):
    at = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    exact = (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000

    assert time_ns(at.isoformat(), "time") == exact


@pytest.mark.parametrize(
    "text", ["2024-13-01T00:00:00Z", "2024-01-01", "1-2-3", "now-ish", True, [], "2024-01-01T25:00Z"]
)
def test_what_is_no_time_says_so(text):
    with pytest.raises(RecordError, match="time"):
        time_ns(text, "time")


@pytest.mark.parametrize(
    ("text", "zoned"),
    [("2024-01-01T00:00:00", False), ("2024-01-01T00:00:00Z", True), ("2024-01-01T00:00:00-0100", True), (5, True)],
)
def test_whether_a_time_names_its_zone(text, zoned):
    assert has_zone(text) is zoned
