from __future__ import annotations

import pytest

from tele.store.line import Damage, finish, scan

LINES = [finish(b'{"name":"a"', 1), finish(b'{"name":"\xc3\xa9 \\" }"', 2), finish(b'{"n":3', 3)]


def test_what_was_finished_is_read_back_in_order():
    found = scan(b"".join(LINES), expected=1)
    assert list(found.lines) == [line[:-1] for line in LINES]
    assert (found.first, found.next, found.torn, found.damage) == (1, 4, 0, [])


def test_every_single_flipped_bit_is_noticed():
    data = b"".join(LINES)
    whole = scan(data, expected=1).lines
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        found = scan(bytes(flipped), expected=1)
        assert found.damage or found.torn, f"bit {bit} went unseen"
        assert set(found.lines) < set(whole), f"bit {bit} changed a line that still counts"


@pytest.mark.parametrize("cut", range(1, len(LINES[-1])))
def test_a_tail_that_was_being_written_is_torn_and_not_damage(cut):
    found = scan(b"".join(LINES[:-1]) + LINES[-1][:cut], expected=1)
    assert (len(found.lines), found.torn, found.damage) == (2, cut, [])


def test_a_line_that_is_missing_and_one_that_stands_twice_are_named():
    assert scan(LINES[0] + LINES[2], expected=1).damage == [Damage(len(LINES[0]), 0, "lines 2 to 2 are missing")]
    again = scan(LINES[0] + LINES[0] + LINES[1], expected=1)
    assert again.damage == [Damage(len(LINES[0]), len(LINES[0]), "line 1 stands again after line 1")]
    assert len(again.lines) == 2


def test_lines_behind_damage_are_still_read():
    broken = LINES[1].replace(b"a", b"b").replace(b"\xc3", b"\xc4")
    found = scan(LINES[0] + broken + LINES[2], expected=1)
    assert [line[:6] for line in found.lines] == [LINES[0][:6], LINES[2][:6]]
    assert [d.why for d in found.damage] == ["the checksum does not match"]
