"""Columns that everything within shares."""

from __future__ import annotations

import json

import pytest

import tele
from tele.telemetry.scope import OUTSIDE, Scope


def held(scope):
    assert scope.encoded.endswith(b",")
    return json.loads(scope.encoded[:-1] + b"}")


def test_a_scope_is_the_beginning_of_a_json_object():
    assert held(Scope({"experiment": 'quo"ted', "seed": 3})) == {"experiment": 'quo"ted', "seed": 3}
    assert Scope({}).encoded == b"{"


def test_columns_above_stand_and_the_first_scope_is_unchanged():
    scope = Scope({"condition": "a", "seed": 1}, 0.5)
    inner = scope.with_columns({"seed": 2})
    assert (held(scope), held(inner)) == ({"condition": "a", "seed": 1}, {"condition": "a", "seed": 2})
    assert inner.sampling_rate == 0.5


def test_secrets_are_out_of_it():
    secret = "gh" + "p_" + "a1B2" * 9
    assert secret not in str(held(Scope({"condition": f"with {secret}"})))


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\0", "😀" * 500, ""])
def test_any_text_can_be_held(name):
    assert isinstance(held(Scope({"experiment": name})), dict)


def test_outside_is_the_experiment_default():
    assert held(OUTSIDE.scope)["experiment"] == "default"


def test_a_long_condition_is_cut_in_each_record_and_still_told_from_another(tele_store):
    long = "x" * 1_000_000
    for condition in (long + "a", long + "b", long + "a"):
        with tele.experiment("e", condition=condition):
            tele.event("inside")
    found = tele_store.rows("SELECT condition FROM events WHERE name = 'inside' ORDER BY 1")
    assert len({condition for (condition,) in found}) == 2
    assert max(len(condition) for (condition,) in found) < 1200
