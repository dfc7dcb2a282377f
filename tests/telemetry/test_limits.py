"""What is too large for a line is kept beside it or cut, and said so."""

from __future__ import annotations

import hashlib
import json

import pytest

import tele
from tele.store.layout import open_layout
from tele.telemetry import limits
from tele.telemetry.limits import BODY_BYTES, LINE_BYTES, cap

WIDE = {1: "a", 2: "é", 3: "あ", 4: "😀"}
"""Characters by their bytes in UTF-8."""


class Kept(dict):
    """Blobs by their hash."""

    def __call__(self, body):
        name = hashlib.sha256(body).hexdigest()
        self[name] = body
        return name


def text_of(length, width):
    """A text of exactly `length` bytes, of characters of `width` bytes."""
    return WIDE[width] * (length // width) + "a" * (length % width)


@pytest.mark.parametrize("width", WIDE)
@pytest.mark.parametrize("over", [-1, 0, 1])
class TestAtTheLimit:
    def test_a_string_is_a_blob_only_above_it(self, width, over):
        text = text_of(BODY_BYTES + over, width)
        kept = Kept()
        found = cap({"attributes": {"a": [text]}}, kept, b"k")["attributes"]["a"][0]
        if over <= 0:
            assert (found, kept) == (text, {})
        else:
            name = hashlib.sha256(text.encode()).hexdigest()
            assert (found, kept) == ({"$blob": name, "length": BODY_BYTES + 1}, {name: text.encode()})

    def test_a_body_is_a_blob_only_above_it(self, width, over):
        text = text_of(BODY_BYTES + over - 2, width)  # two quotes are part of the JSON text
        kept = Kept()
        found = cap({"output": text}, kept, b"k")
        if over <= 0:
            assert (found, kept) == ({"output": text}, {})
        else:
            body = json.dumps(text, ensure_ascii=False).encode()
            name = hashlib.sha256(body).hexdigest()
            assert (found, kept) == ({"blobs": {"output": name}}, {name: body})

    def test_a_string_is_cut_only_above_it_and_on_a_character(self, width, over, monkeypatch):
        monkeypatch.setattr(limits, "CUT_BYTES", 50_000)
        text = text_of(50_000 + over, width)
        kept = Kept()
        found = cap({"attributes": {"a": text}}, kept, b"k")["attributes"]["a"]
        body = kept[found["$blob"]].decode()
        assert text.startswith(body)
        if over <= 0:
            assert (body, "$cut" in found) == (text, False)
        else:
            assert 50_000 - width < len(body.encode()) <= 50_000
            keyed = hashlib.blake2b(text.encode(), key=b"k", digest_size=16).hexdigest()
            assert found["$cut"] == {"length": 50_001, "hash": keyed}


def test_a_string_of_a_body_that_is_cut_says_its_length_and_keyed_hash(monkeypatch):
    monkeypatch.setattr(limits, "CUT_BYTES", 1_000)
    found = cap({"input": [{"content": "é" * 600}]}, Kept(), b"key")["input"]
    keyed = hashlib.blake2b(("é" * 600).encode(), key=b"key", digest_size=16).hexdigest()
    assert found == [{"content": {"$cut": {"length": 1_200, "hash": keyed}, "text": "é" * 500}}]


@pytest.mark.parametrize("over", [0, 1])
def test_attributes_above_a_line_are_one_blob(over):
    parts = LINE_BYTES // 30_000
    attributes = {str(n): "x" * 30_000 for n in range(parts)}
    attributes["rest"] = "x" * (LINE_BYTES + over - len(json.dumps(attributes | {"rest": ""}, separators=(",", ":"))))
    kept = Kept()
    found = cap({"attributes": attributes}, kept, b"k")["attributes"]
    if not over:
        assert (found, kept) == (attributes, {})
    else:
        assert found == {"$blob": next(iter(kept)), "length": LINE_BYTES + 1}
        assert json.loads(kept[found["$blob"]]) == attributes


class TestInTheStore:
    def test_a_large_body_is_read_back_from_its_blob(self, tele_store):
        messages = [{"role": "user", "content": "é" * 40_000}]
        with tele.span("s", input=messages, output="short"):
            pass
        [(given, answer)] = tele_store.rows("SELECT input, output FROM events")
        body = json.dumps(messages, ensure_ascii=False, separators=(",", ":")).encode()
        assert (given, answer) == ("blob:" + hashlib.sha256(body).hexdigest(), '"short"')
        with tele_store.open() as store:
            assert store.blob(given) == body

    def test_a_large_attribute_is_read_back_from_its_blob(self, tele_store):
        with tele.span("s", note="あ" * 20_000, other=1):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events")
        found = json.loads(text)
        assert (found["note"]["length"], found["other"]) == (60_000, 1)
        with tele_store.open() as store:
            assert store.blob(found["note"]["$blob"]).decode() == "あ" * 20_000

    def test_attributes_above_a_line_are_read_back_from_one_blob(self, tele_store):
        attributes = {f"k{n}": "x" * 30_000 for n in range(50)}
        with tele.span("s", attributes):
            pass
        [(text,)] = tele_store.rows("SELECT attributes FROM events")
        with tele_store.open() as store:
            assert json.loads(store.blob(json.loads(text)["$blob"])) == attributes

    def test_one_body_twice_is_one_blob(self, tele_store):
        for _ in range(3):
            with tele.span("s", output="x" * 50_000):
                pass
        assert sum(path.is_file() for path in (tele_store.path / "blobs").rglob("*")) == 1

    def test_a_value_that_looks_like_a_mark_is_the_users_own_text(self, tele_store):
        body = {"$blob": "0" * 64, "length": 5}
        with tele.span("s", output=body):
            pass
        [(answer,)] = tele_store.rows("SELECT output FROM events")
        assert json.loads(answer) == body

    def test_the_hash_of_what_was_cut_is_keyed_with_the_stores_key(self, tele_store, monkeypatch):
        monkeypatch.setattr(limits, "CUT_BYTES", 40_000)
        with tele.span("s", note="x" * 50_000):
            pass
        key = open_layout(tele_store.path).hash_key
        expected = hashlib.blake2b(b"x" * 50_000, key=key, digest_size=16).hexdigest()
        [(text,)] = tele_store.rows("SELECT attributes FROM events")
        found = json.loads(text)["note"]["$cut"]["hash"]
        assert found == expected

    @pytest.mark.parametrize("column", ["error_message", "model", "item_id", "conversation_id"])
    def test_a_long_text_column_keeps_its_record(self, tele_store, column):
        with tele.span("s", **{column: "x" * 100_000}):
            pass
        assert tele_store.rows("SELECT count(*) FROM events") == [(1,)]
        assert tele.dropped() == {}

    def test_a_blob_that_cannot_be_written_is_counted_and_raises_nothing(self, tele_store, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        with tele.span("before"):
            pass
        monkeypatch.setattr("tele.store.blobs.put", full)
        with tele.span("s", output="x" * 50_000):
            pass
        monkeypatch.undo()
        assert sum(tele.dropped().values()) == 1
