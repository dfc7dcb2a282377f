"""Foreign text made visible."""

from __future__ import annotations

from tele.viewer.text import visible


def test_control_and_direction_characters_become_marks():
    text = "a\x1b[31mred\x00 \u202egnp.exe\u2069 \x7f \x85 \ufeff"

    assert visible(text) == "a␛[31mred␀ ‹U+202E›gnp.exe‹U+2069› ␡ ‹U+0085› ‹U+FEFF›"


def test_tabs_lines_emoji_and_joiners_stay():
    text = "a\tb\nc 👩\u200d🔬 \u0645\u06cc\u200c\u062e"

    assert visible(text) == text
