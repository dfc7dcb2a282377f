"""The next release reads what this one wrote."""

from __future__ import annotations

import json
import subprocess
import sys

import tele
from tele.store import journals
from tele.store.layout import prepare
from tele.store.seal import seal
from tele.testing import temporary_store

NEXT_RELEASE = """
import json, sys
from tele.store import columns
columns.COLUMNS += (columns.Column("mood", "VARCHAR", "how it felt", user=True, since=2),)
columns.BY_NAME = {column.name: column for column in columns.COLUMNS}
columns.NAMES = tuple(columns.BY_NAME)
columns.SCHEMA_VERSION = 2
from tele.store.reader import open_store
with open_store(sys.argv[1]) as store:
    print(json.dumps(store.rows("SELECT name, mood FROM events WHERE kind = 'span' ORDER BY name")))
"""


def test_a_column_that_comes_later_is_lifted_out_of_what_was_written_before(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path):
        with tele.span("sealed", attributes={"user.mood": "calm"}):
            pass
        seal(prepare(path))
        with tele.span("unsealed", attributes={"user.mood": "glad"}), tele.span("without"):
            pass
    command = [sys.executable, "-c", NEXT_RELEASE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["sealed", "calm"], ["unsealed", "glad"], ["without", None]]


def test_where_a_lock_says_nothing_silence_is_told_from_death(tmp_path, monkeypatch):
    path = tmp_path / ".tele"
    with temporary_store(path):
        tele.event("x")
    layout = prepare(path)
    assert [state for *_, state in journals.liveness(layout)] == ["dead"]
    monkeypatch.setattr(journals, "machine_id", lambda _: "another machine")
    assert [state for *_, state in journals.liveness(layout)] == ["alive"]
    monkeypatch.setattr(journals, "SILENT_SECONDS", -1)
    assert [state for *_, state in journals.liveness(layout)] == ["silent"]
