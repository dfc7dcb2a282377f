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


class TestWhatTheShortWayMayNotTake:
    @pytest.mark.parametrize(
        "output",
        [
            ["see sk-an", "t-api03-" + "Zx9" * 15],
            [{"text": "x" * 500 + " sk-"}, {"text": "ant-"}, {"text": "Zx9" * 15 + " y" * 500}],
            [{"role": "assistant", "content": "AK"}, {"role": "assistant", "content": "IA" + "Q2W3E4R5T6Y7U2I3"}],
        ],
    )
    def test_a_secret_that_came_in_chunks_is_taken_out_of_them(self, output):
        found = encode({"name": "s", "output": output}, refuse, b"k")
        assert b"[REDACTED:" in found
        assert b"Zx9Zx9" not in found
        assert b"Q2W3" not in found

    def test_messages_beside_each_other_stay(self, monkeypatch):
        monkeypatch.setattr(module, "_long_way", lambda *_: pytest.fail("the long way"))
        messages = [{"role": "system", "content": "be kind " * 50}, {"role": "user", "content": "who are you?"}]
        assert json.loads(encode({"name": "s", "input": messages}, refuse, b"k"))["input"] == messages

    @pytest.mark.parametrize(
        "held",
        [
            {"headers": [{"name": "x-api-key", "value": "hunter2-keyed"}]},
            {"exemplars": [{"filteredAttributes": [{"key": "password", "value": {"stringValue": "hunter2-keyed"}}]}]},
            {"key": "client_secret", "value": "hunter2-keyed"},
            {"text": 'sent [{"key": "password", "value": {"stringValue": "hunter2-keyed"}}]'},
            {"text": json.dumps({"inner": json.dumps([{"name": "Cookie", "value": "hunter2-keyed"}])})},
        ],
    )
    @pytest.mark.parametrize("flat", [False, True])
    def test_a_secret_beside_its_name_goes(self, held, flat):
        from tele.telemetry.fields import clean_keys

        known = flat and all(isinstance(value, str) for value in held.values()) and clean_keys(tuple(held))
        found = encode({"name": "s", "attributes": {"kept": "yes", **held}}, refuse, b"k", flat=known)
        assert b"hunter2" not in found
        assert json.loads(found)["attributes"]["kept"] == "yes"

    @pytest.mark.parametrize("value", [{"name": "auth_ms", "value": 12.5}, {"key": "colour", "value": "red"}])
    def test_a_number_or_another_name_stays(self, value):
        assert json.loads(encode({"name": "s", "attributes": {"a": value}}, refuse, b"k"))["attributes"]["a"] == value


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
