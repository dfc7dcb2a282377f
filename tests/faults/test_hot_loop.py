"""Writers, readers, a sealer and a compactor at once: exact counts, no error, no reader sees a duplicate or a hole."""

from __future__ import annotations

import os

from .hot_loop import run, show

WRITERS = int(os.environ.get("TELE_HOT_WRITERS", "4"))
EVENTS = int(os.environ.get("TELE_HOT_EVENTS", "2000"))


def test_everybody_at_once_loses_nothing_and_sees_nothing_twice(tmp_path):
    spread = 2.0 if EVENTS <= 2000 else 0.0  # so few are recorded before a reader has looked twice
    figures = run(tmp_path / ".tele", writers=WRITERS, events=EVENTS, seconds=spread)
    show(figures)
    assert figures.total == WRITERS * EVENTS
    assert figures.findings == []
    assert figures.roles["sealer"]["with work"] > 1
    assert figures.roles["compactor"]["with work"] > 0
    assert figures.roles["reader1"]["with work"] > 1
