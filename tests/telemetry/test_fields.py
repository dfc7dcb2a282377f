"""Keywords go into the columns that bear their names; nothing is lost on the way."""

from __future__ import annotations

import math

import pytest

from tele.store.columns import BY_NAME, USER_COLUMNS
from tele.telemetry.fields import fill, fit, spoken_of


class TestFill:
    def test_columns_attributes_and_reserved_names_are_told_apart(self):
        record = {"name": "s"}
        fill(record, {"model": "m", "input": [1], "mine": 2, "seq": 3, "unit": None}, {"a.b": 4})
        assert record == {
            "name": "s",
            "model": "m",
            "input": [1],
            "attributes": {"a.b": 4, "mine": 2, "user.seq": 3},
        }

    def test_the_users_own_dictionaries_are_not_changed(self):
        fields, attributes = {"mine": 1, "model": "m"}, {"a": 1}
        fill({}, fields, attributes)
        assert (fields, attributes) == ({"mine": 1, "model": "m"}, {"a": 1})

    def test_genai_attributes_fill_columns_that_no_keyword_filled(self):
        record = {}
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "asked",
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.conversation.id": "c",
        }
        fill(record, {"input_tokens": 7}, attributes)
        returned = spoken_of(record)
        assert (record["operation"], record["request_model"], record["input_tokens"]) == ("chat", "asked", 7)
        assert returned == {"conversation_id": "c"}
        assert record["attributes"] == attributes

    @pytest.mark.parametrize(
        ("attributes", "flat"),
        [
            ({}, True),
            ({"a": 1, "b": "x", "c": 0.5, "d": True}, True),
            ({"a": [1]}, False),
            ({"a": {"password": "x"}}, False),
            ({"a": ({"password": "x"},)}, False),
            ({"password": "x"}, False),
            ({1: "x"}, False),
        ],
    )
    def test_only_scalars_under_clean_keys_are_said_to_be_flat(self, attributes, flat):
        assert fill({}, {}, dict(attributes)) is flat
        if all(isinstance(key, str) for key in attributes):
            assert fill({}, dict(attributes), None) is flat

    @pytest.mark.parametrize("name", sorted(set(BY_NAME) - USER_COLUMNS))
    def test_no_keyword_fills_a_column_of_ours(self, name):
        record = {}
        fill(record, {name: "mine"}, None)
        assert record == {"attributes": {f"user.{name}": "mine"}}


class TestFit:
    @pytest.mark.parametrize(
        ("column", "value", "expected"),
        [
            ("seed", 3.0, 3),
            ("seed", 3.5, None),
            ("seed", "3", None),
            ("seed", 2**63 - 1, 2**63 - 1),
            ("seed", 2**63, None),
            ("seed", math.nan, None),
            ("seed", [1], None),
            ("cost_usd", 2, 2.0),
            ("cost_usd", "2", None),
            ("success", 1, True),
            ("success", 0, False),
            ("success", 2, None),
            ("success", "True", None),
            ("item_id", 7, "7"),
            ("tags", "one", ["one"]),
            ("tags", ("a", 1), ["a", "1"]),
            ("tags", 5, None),
        ],
    )
    def test_only_what_loses_nothing_fits(self, column, value, expected):
        assert fit(column, value) == expected
        assert type(fit(column, value)) is type(expected)
