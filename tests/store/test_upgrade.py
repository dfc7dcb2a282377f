"""A store of the format before is read, written to, and brought up to date without losing anything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tele
from tele.errors import NewerFormat
from tele.store.check import check
from tele.store.layout import FORMAT, open_layout
from tele.store.reader import open_store
from tele.store.seal import seal
from tele.store.upgrade import upgrade
from tele.testing import temporary_store

BEFORE = Path(__file__).parents[1] / "golden" / "stores" / "format-1"
ALL = "SELECT event_id, name, item_id, cost_usd, status, attributes FROM events ORDER BY event_id"

# What the next release's upgrade does with the segments of this one.
NEXT_RELEASE = """
import json, sys
from tele.store import columns
columns.COLUMNS += (columns.Column("mood", "VARCHAR", "how it felt", user=True, since=2),)
columns.BY_NAME = {column.name: column for column in columns.COLUMNS}
columns.NAMES = tuple(columns.BY_NAME)
columns.SCHEMA_VERSION = 2
from tele.store.reader import open_store
from tele.store.upgrade import upgrade
report = upgrade(sys.argv[1])
with open_store(sys.argv[1]) as store:
    rows = store.rows("SELECT name, mood FROM events WHERE kind = 'span' ORDER BY name")
    versions = sorted({segment.schema for segment in store.state.segments.values()})
print(json.dumps([report.segments, report.rows, versions, rows]))
"""


@pytest.fixture
def old(tmp_path) -> Path:
    return Path(shutil.copytree(BEFORE, tmp_path / ".tele"))


def rows(path: Path) -> list[tuple]:
    with open_store(path) as store:
        return store.rows(ALL)


def test_an_upgrade_changes_the_format_and_no_answer(old):
    before = rows(old)
    report = upgrade(old)
    assert (report.format_before, report.format_after) == (1, FORMAT)
    assert rows(old) == before
    assert open_layout(old).format == FORMAT
    assert check(old, deep=True).ok
    assert upgrade(old).format_before == FORMAT


def test_a_store_that_is_not_upgraded_takes_new_records_and_is_only_noted(old):
    before = len(rows(old))
    with temporary_store(old), tele.span("new"):
        pass
    assert len(rows(old)) == before + 1
    report = check(old)
    assert report.ok
    assert [note.file for note in report.notes if "upgrade" in note.what] == ["store.json"]


def test_segments_of_older_columns_are_written_anew(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path):
        for mood in ("calm", "glad"):
            with tele.span(mood, attributes={"user.mood": mood}):
                pass
            tele.flush()
            seal(open_layout(path))
    done = subprocess.run([sys.executable, "-c", NEXT_RELEASE, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2, 2, [2], [["calm", "calm"], ["glad", "glad"]]]
    with pytest.raises(NewerFormat):
        rows(path)
