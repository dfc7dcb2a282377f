"""Which way a record takes, and what its columns hold at the end."""

from __future__ import annotations

import json

import pytest

import tele
from tele.telemetry import encode as module
from tele.telemetry.encode import encode
from tele.telemetry.limits import BODY_BYTES


def refuse(body):
    raise OSError(28, "No space left on device")


class TestShortWay:
    def test_a_plain_record_takes_it(self, monkeypatch):
        monkeypatch.setattr(module, "_long_way", lambda *_: pytest.fail("the long way"))
        record = {"name": "s", "start_ns": 1, "attributes": {"a": [1, 2.5, True, "é"], "b": {"c": "d"}}}
        assert json.loads(encode(record, refuse, b"k")) == record

    @pytest.mark.parametrize(
        "attributes",
        [{"a": float("nan")}, {"password": "x"}, {"a": {1: 2}}, {"a": object()}, {"a": "x" * BODY_BYTES}, {"a": b"x"}],
    )
    def test_all_else_does_not(self, monkeypatch, attributes):
        monkeypatch.setattr(module, "_long_way", lambda *_: b"long")
        assert encode({"name": "s", "attributes": attributes}, refuse, b"k") == b"long"


class TestColumns:
    def test_columns_of_text_hold_text(self):
        record = {"name": 5, "model": ["a"], "error_message": {"a": float("nan")}, "unit": "\ud800"}
        found = json.loads(encode(record, refuse, b"k"))
        assert found | {"name": "5"} == {
            "name": "5",
            "model": '["a"]',
            "error_message": '{"a":{"$float":"nan"}}',
            "unit": '{"$text":"\\\\ud800"}',
        }

    def test_a_column_that_is_none_is_left_out(self):
        assert "model" not in json.loads(encode({"name": "s", "model": None, "unit": float("nan")}, refuse, b"k"))

    def test_only_what_put_raises_comes_out(self):
        with pytest.raises(OSError, match="No space left"):
            encode({"output": "x" * BODY_BYTES}, refuse, b"k")


def test_what_the_user_changes_later_does_not_change_the_record(tele_store):
    shared = {"a": [1]}
    tele.event("e", {"shared": shared})
    shared["a"].append(2)
    assert tele_store.rows("SELECT attributes FROM events") == [('{"shared":{"a":[1]}}',)]
