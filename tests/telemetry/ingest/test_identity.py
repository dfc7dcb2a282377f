"""Ids from content: the same rows give the same ids, equal rows stay distinct."""

from __future__ import annotations

import hashlib
import json
import random
import string
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tele.telemetry.ingest import with_ids

ROWS = st.lists(
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["span", "event", "metric"])},
        optional={
            "name": st.sampled_from(["a", "b", "\ud800"]),
            "value": st.floats(),
            "attributes": st.just({"x": [1]}),
        },
    ),
    max_size=12,
)


def test_the_id_is_the_head_of_a_sha256_over_experiment_record_and_occurrence():
    record = {"name": "n", "kind": "event", "value": 1.5}
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))

    ids = [r["event_id"] for r in with_ids([record, record], "e1")]

    assert ids == [hashlib.sha256(f"e1\n{canonical}\n{n}".encode()).hexdigest()[:32] for n in (0, 1)]


@given(ROWS, st.randoms())
def test_the_ids_of_a_multiset_do_not_depend_on_its_order(rows, rng: random.Random):
    shuffled = rng.sample(rows, len(rows))

    one = Counter(r["event_id"] for r in with_ids(rows, "e"))
    other = Counter(r["event_id"] for r in with_ids(shuffled, "e"))

    assert one == other
    assert set(one.values()) <= {1}


@given(ROWS)
def test_more_rows_keep_the_ids_of_those_before(rows):
    ids = [r["event_id"] for r in with_ids(rows, "e")]

    longer = [r["event_id"] for r in with_ids([*rows, *rows], "e")]

    assert longer[: len(ids)] == ids


@given(ROWS)
def test_each_span_has_ids_in_their_form_and_others_get_none(rows):
    for record in with_ids(rows, "e"):
        widths = {name: len(record[name]) for name in ("event_id", "trace_id", "span_id") if name in record}
        assert widths == {"event_id": 32, **({"trace_id": 32, "span_id": 16} if record["kind"] == "span" else {})}
        assert all(set(record[name]) <= set(string.hexdigits.lower()) for name in widths)


def test_experiments_do_not_share_ids():
    row = {"kind": "span"}

    assert [r["event_id"] for r in with_ids([row], "e1")] != [r["event_id"] for r in with_ids([row], "e2")]


def test_ids_that_are_there_stand():
    row = {"kind": "span", "event_id": "mine", "trace_id": "t", "span_id": "s"}

    assert list(with_ids([row], "e")) == [row]


def test_a_row_is_not_changed_in_place():
    row = {"kind": "span"}

    list(with_ids([row], "e"))

    assert row == {"kind": "span"}
