"""When two answers are one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.telemetry.ensembles.normalise import NORMALISATIONS, key_of, normaliser


@pytest.mark.parametrize(
    ("how", "same"),
    [
        ("lowercase_trim", ["Paris", " paris\n", "PARIS"]),
        ("lowercase_trim", ["New  York", "new york"]),
        ("numeric", ["1,234.50", "1234.5", 1234.5, Decimal("1234.50"), "+1234.5", "1.2345e3"]),
        ("numeric", ["42", 42, 42.0, "42.0", "42."]),
        ("numeric", ["None of these", "none of these "]),
        ("boolean", ["Yes", "y", "TRUE.", True, 1, "1"]),
        ("boolean", ["no", "False", "incorrect", 0, False]),
        ("json", ['{"a": 1, "b": [2]}', {"b": [2], "a": 1}, '{"b":[2],"a":1}']),
    ],
)
def test_spellings_of_one_answer_are_one(how, same):
    assert len({key_of(normaliser(how)(answer)) for answer in same}) == 1


@pytest.mark.parametrize(
    ("how", "different"),
    [
        (None, ["a", "A"]),
        ("lowercase_trim", ["a", "b", 1]),
        ("numeric", ["1,2", "12", "1.2", "-12", "NaN", "inf", True, None]),
        ("boolean", ["yes", "no", "maybe"]),
        ("json", ["[1, 2]", "[2, 1]", "no json"]),
    ],
)
def test_different_answers_stay_different(how, different):
    assert len({key_of(normaliser(how)(answer)) for answer in different}) == len(different)


def test_a_function_of_ones_own_is_taken_and_an_unknown_name_refused():
    assert normaliser(str.upper)("a") == "A"
    with pytest.raises(BadInput, match="lowercase_trim, numeric, boolean, json, not 'upper'"):
        normaliser("upper")


@given(
    st.sampled_from(sorted(NORMALISATIONS)),
    st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text()), st.binary()),
)
def test_normalising_is_total_and_once_is_enough(how, answer):
    once = NORMALISATIONS[how](answer)
    if how != "json" or not isinstance(once, str):  # JSON text in JSON text is unpacked once for each time
        assert key_of(NORMALISATIONS[how](once)) == key_of(once)
