from __future__ import annotations

import pytest

from tele.analysis.units import NOTHING, duration, money, number, share


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, NOTHING),
        (0, "0.00 ms"),
        (0.0005, "0.50 µs"),
        (-0.0123, "-12.3 µs"),
        (0.09994, "99.9 µs"),
        (0.09996, "0.10 ms"),
        (0.4189, "0.42 ms"),
        (12.34, "12.3 ms"),
        (812.4, "812 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1_416, "1.42 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 00 s"),
        (125_000, "2 min 05 s"),
        (3_599_600, "1 h 00 min"),
        (3_780_000, "1 h 03 min"),
        (172_740_000, "47 h 59 min"),
        (172_799_000, "2 d"),
        (273_600_000, "3 d 04 h"),
        (-42_226_680_000, "-488 d 18 h"),
        (-1_416, "-1.42 s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(ms, text):
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, NOTHING),
        (0, "$0.00"),
        (1234.567, "$1,234.57"),
        (0.0123, "$0.0123"),
        (0.00001234, "$0.0000123"),
        (-0.5, "-$0.5000"),
    ],
)
def test_a_cost_keeps_the_digits_that_matter(usd, text):
    assert money(usd) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (1.0, "100.0 %"),
        (0.0, "0.0 %"),
        (0.985, "98.5 %"),
        (0.9996, "99.96 %"),
        (0.9999999, "> 99.999 %"),
        (1e-7, "< 0.001 %"),
    ],
)
def test_what_is_not_all_never_reads_as_all(part, text):
    assert share(part) == text


def test_thousands_are_set_apart():
    assert [number(1234567), number(None)] == ["1,234,567", NOTHING]
