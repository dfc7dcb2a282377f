from __future__ import annotations

from tele.analysis.charts import bar, span, spark


def test_the_tallest_block_is_the_largest_value_and_little_is_not_nothing():
    assert spark([0, 1, 500, 1000]) == " ▁▄█"
    assert spark([None, 2.0]) == "·█"
    assert spark([]) == ""


def test_a_bar_has_its_share_to_an_eighth():
    assert bar(0.5, 4) == "██  "
    assert bar(5 / 16, 2) == "▋ "
    assert bar(2.0, 3) == "███"


def test_a_span_stands_where_its_values_do():
    assert span(0, 5, 10, 10, 11) == "├────┼────┤"
    assert span(4, 4, 4, 8, 5) == "  ┼  "
