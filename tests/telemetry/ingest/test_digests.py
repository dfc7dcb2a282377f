"""Digests are counted the same whether they stand in the dictionary or in the table."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter

import duckdb
import pytest

from tele.telemetry.ingest import digests
from tele.telemetry.ingest.digests import DIGEST_SQL, Digests, digest


@pytest.fixture
def seed():
    return int(os.environ.get("TELE_SEED") or random.randrange(2**32))


@pytest.mark.parametrize("recent", [1, 50, 10_000])
def test_counts_are_those_of_a_dictionary(monkeypatch, seed, recent):
    monkeypatch.setattr(digests, "RECENT", recent)
    draw = random.Random(seed)
    keys = [draw.randbytes(16) for _ in range(200)]
    expected = Counter()

    with Digests() as found:
        for _ in range(20):
            asked = draw.sample(keys, 60)
            assert found.counts(asked) == {key: expected[key] for key in asked if expected[key]}, f"TELE_SEED={seed}"
            batch = Counter(draw.choices(keys, k=40))
            found.add(batch)
            expected.update(batch)

        assert found.counts(keys) == expected, f"TELE_SEED={seed}"


def test_digests_that_agree_in_half_of_their_bytes_are_told_apart(monkeypatch):
    monkeypatch.setattr(digests, "RECENT", 1)
    one, same_head, same_tail = b"a" * 16, b"a" * 8 + b"b" * 8, b"b" * 8 + b"a" * 8

    with Digests() as found:
        found.add({one: 1})

        assert found.counts([one, same_head, same_tail]) == {one: 1}


@pytest.mark.parametrize("text", ["", "0123456789abcdef0123456789abcdef", "é", "a id of mine"])
def test_sql_and_python_give_an_event_id_the_same_digest(text):
    rows = duckdb.execute(f"SELECT {DIGEST_SQL} FROM (SELECT ? AS event_id)", [text]).fetchall()

    (head, tail, count) = rows[0]
    assert (head.to_bytes(8, "little") + tail.to_bytes(8, "little"), count) == (digest(text), 1)
    assert digest(text) == hashlib.md5(text.encode()).digest()


def test_what_is_filled_from_sql_is_there(monkeypatch):
    ids = [f"{number:032x}" for number in range(1000)]
    rows = duckdb.sql(f"SELECT {DIGEST_SQL} FROM (SELECT printf('%032x', range) AS event_id FROM range(500))")

    with Digests() as found:
        found.fill(rows.to_arrow_reader(100))

        assert found.counts([digest(event_id) for event_id in ids]) == dict.fromkeys(map(digest, ids[:500]), 1)


def test_its_temporary_files_go_with_it(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(digests, "RECENT", 1)

    with Digests() as found:
        found.add({b"x" * 16: 1})
        before = len(list(tmp_path.iterdir()))

    assert (before, list(tmp_path.iterdir())) == (1, [])
