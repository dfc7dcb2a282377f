"""Ids of experiments."""

from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from tele.store.names import experiment_id


def test_an_id_is_e_and_the_head_of_a_sha256():
    assert experiment_id("prompt-ab") == "e" + hashlib.sha256(b"prompt-ab").hexdigest()[:20]


def test_two_ways_to_write_a_name_are_one_name():
    assert experiment_id("Cafe\u0301") == experiment_id("Caf\u00e9")


@given(st.text() | st.sampled_from(["", "../../etc", "\ud800", "a\0b", "x" * 5000]))
def test_any_name_gives_a_plain_id(name):
    assert re.fullmatch("e[0-9a-f]{20}", experiment_id(name))
