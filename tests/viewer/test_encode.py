"""Blocks and coded columns."""

from __future__ import annotations

import base64
import gzip
import json

from tele.viewer.encode import BlockWriter, Coded, pack, unpack


def test_a_block_is_gzipped_json_in_base64_and_the_same_each_time():
    value = {"text": "</script>\u2028", "n": [1, None, 2.5]}

    block = pack(value)

    assert json.loads(gzip.decompress(base64.b64decode(block))) == value
    assert (block, unpack(block)) == (pack(value), value)


def test_a_coded_column_gives_back_its_texts():
    column = Coded()

    for value in ("b", None, "a", "b", ""):
        column.add(value)

    assert column.to_dict() == {"codes": [1, 0, 2, 1, 3], "values": ["b", "a", ""]}


def test_blocks_hold_rows_in_order_and_the_last_may_be_short():
    writer = BlockWriter(budget=10_000, rows=2)

    writer.extend(["a", "b", "c"])
    writer.close()

    assert ([unpack(block) for block in writer.blocks], writer.left_out) == ([["a", "b"], ["c"]], 0)


def test_rows_beyond_the_budget_are_counted_and_left_out():
    writer = BlockWriter(budget=1, rows=1)

    writer.extend(["a", "b", "c"])
    writer.close()

    assert (len(writer.blocks), writer.left_out) == (1, 2)
