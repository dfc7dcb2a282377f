"""Stores of every format since the first release are read for ever, by tele and by a stranger's sixty lines.

What is expected is what `tests/golden/stores/make_store.py` says it recorded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

import tele
from tele.store import journals, manifest
from tele.store.compact import compact
from tele.store.layout import open_layout, prepare
from tele.store.reader import open_store
from tele.store.repair import repair
from tele.store.seal import seal
from tele.store.upgrade import upgrade
from tele.testing import temporary_store

HERE = Path(__file__).resolve().parents[1]
FORMATS = sorted((HERE / "golden" / "stores").glob("format-*"))
STRANGER = HERE.parent / "examples" / "read_store.py"
JSON_COLUMNS = {"input", "output", "attributes", "resource", "links"}

PROMPT = [{"role": "user", "content": "a long prompt " * 4_000}]
COUNTS = [
    ("default", None, "tele.amended", 1),
    ("golden", "a", "big", 1),
    ("golden", "a", "chat gpt-4o", 3),
    ("golden", "a", "score", 1),
    ("golden", "a", "tele.experiment.environment", 1),
    ("golden", "a", "tele.experiment.started", 1),
    ("golden", "a", "tele.experiment.stopped", 1),
    ("golden", "b", "in flight", 1),
    ("golden", "b", "in the journal", 1),
    ("golden", "b", "tele.experiment.environment", 1),
    ("golden", "b", "tele.experiment.started", 1),
    ("other", None, "note", 1),
    ("other", None, "tele.experiment.environment", 1),
    ("other", None, "tele.experiment.started", 1),
    ("other", None, "tele.experiment.stopped", 1),
]
CALLS = [
    ("i0", "gpt-4o", "openai", "chat", "ok", True, ["x", "ü"], 100, 10, 0.25),
    ("i1", "gpt-4o", "openai", "chat", "ok", True, ["x", "ü"], 101, 10, 0.5),
    ("i2", "gpt-4o", "openai", "chat", "ok", True, ["x", "ü"], 102, 10, 9.0),
]
SPANS = [("big", "big", "ok", True), ("in flight", "i9", "open", False), ("in the journal", "i1", "ok", True)]
RUNS = [("golden", "a", "stopped", 0), ("golden", "b", "interrupted", 1), ("other", None, "stopped", 0)]


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def store(request, tmp_path, monkeypatch):
    """A copy of a golden store, on the machine that wrote it: elsewhere nobody knows that its writer is dead."""
    path = shutil.copytree(request.param, tmp_path / ".tele")
    [journal] = (path / "journal").glob("*.jsonl")
    machine = json.loads(journal.read_bytes().splitlines()[0])["machine"]
    monkeypatch.setattr(journals, "machine_id", lambda _: machine)
    return path


def check(path: Path) -> None:
    """The store says what its maker recorded, and no damage."""
    with open_store(path) as store:
        assert store.damage == ()
        assert (
            store.rows("SELECT experiment, condition, name, count(*) FROM events GROUP BY ALL ORDER BY ALL") == COUNTS
        )
        calls = "SELECT item_id, model, provider, operation, status, success, tags, input_tokens, output_tokens"
        assert store.rows(f"{calls}, cost_usd FROM llm_calls ORDER BY item_id") == CALLS
        assert store.rows("SELECT cost_usd FROM events_raw WHERE item_id = 'i2'") == [(0.75,)]
        spans = "SELECT name, item_id, status, duration_ms >= 0 AND end_ns >= start_ns FROM spans"
        found = store.rows(f"{spans} WHERE operation IS NULL ORDER BY name")
        assert [(name, item, status, bool(ended)) for name, item, status, ended in found] == SPANS
        assert store.rows("SELECT name, value, step, item_id FROM metrics") == [("score", 0.5, 7, "i0")]
        assert store.rows("SELECT attributes->>'$.text' FROM events WHERE name = 'note'") == [("line\nbreak and ☃",)]
        [(keys,)] = store.rows("SELECT attributes FROM events WHERE name = 'in the journal'")
        assert json.loads(keys) == {"k.dotted": [1, None, "2"]}
        inside = "SELECT count(*) FROM spans c JOIN spans p ON c.parent_id = p.span_id AND c.trace_id = p.trace_id"
        assert store.rows(f"{inside} WHERE c.name = 'in the journal' AND p.name = 'in flight'") == [(1,)]
        assert store.rows("SELECT experiment, condition, status, n_open FROM runs ORDER BY 1, 2") == RUNS
        hypothesis = "SELECT attributes->>'$.hypothesis' FROM events WHERE name = 'tele.experiment.started'"
        assert store.rows(f"{hypothesis} AND condition = 'a'") == [("formats last",)]
        [(reference,)] = store.rows("SELECT input FROM events WHERE name = 'big'")
        assert reference == "blob:" + hashlib.sha256(orjson.dumps(PROMPT)).hexdigest()
        assert json.loads(store.blob(reference)) == PROMPT


def test_the_first_format_is_there():
    assert "format-1" in [path.name for path in FORMATS]


def test_it_is_read_as_it_was_written(store):
    check(store)


def test_sealing_and_compacting_change_no_answer(store):
    assert seal(prepare(store)).open == 1
    check(store)
    compact(prepare(store))
    check(store)


def test_an_upgrade_changes_no_answer(store):
    upgrade(store)
    check(store)
    assert json.loads((store / "store.json").read_bytes())["format"] == open_layout(store).format == 2
    upgrade(store)
    seal(prepare(store))
    compact(prepare(store))
    check(store)


def test_a_newer_process_writes_on_in_it(store):
    with temporary_store(store), tele.experiment("golden", condition="c"):
        tele.event("note", text="later")
    with open_store(store) as reader:
        assert reader.damage == ()
        assert reader.rows("SELECT count(*) FROM events WHERE condition = 'c' AND name = 'note'") == [(1,)]
        assert reader.rows("SELECT count(*) FROM events WHERE condition IS DISTINCT FROM 'c'") == [
            (sum(row[-1] for row in COUNTS),)
        ]


class TestStranger:
    """`examples/read_store.py` has the standard library, pyarrow and the page on the format, and nothing of tele."""

    def run(self, path):
        command = [sys.executable, "-W", "error", str(STRANGER), str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def rows(self, path):
        done = self.run(path)
        assert (done.returncode, done.stderr) == (0, "")
        return [parsed(json.loads(line)) for line in done.stdout.splitlines()]

    def ours(self, path):
        with open_store(path) as store:
            assert store.damage == ()
            columns = [column for column, *_ in store.rows("DESCRIBE events_raw") if column not in ("time", "end_time")]
            rows = store.rows(f"SELECT {', '.join(columns)} FROM events_raw")
        return [parsed({c: v for c, v in zip(columns, row, strict=True) if v is not None}) for row in rows]

    def test_it_is_short_and_knows_nothing_of_tele(self):
        text = STRANGER.read_text()
        assert len(text.splitlines()) <= 60
        assert "import tele" not in text
        assert "from tele" not in text

    def test_it_reads_every_format_as_tele_does(self, store):
        assert by_id(self.rows(store)) == by_id(self.ours(store))

    def test_it_reads_tails_carried_starts_checkpoints_and_blobs_as_tele_does(self, tmp_path, monkeypatch):
        monkeypatch.setattr(manifest, "CHECKPOINT_EVERY", 4)
        path = tmp_path / ".tele"
        with temporary_store(path):
            for number in range(6):
                with tele.span("sealed", n=number, text="ü\n\u2028", ratio=1 / 3), tele.span("inside"):
                    seal(prepare(path))
            with tele.experiment("e", condition="ü"), tele.span("open", input="x"):
                time.sleep(0.3)  # its start is written after 100 ms
                tele.flush()
                with tele.span("ends later"):
                    time.sleep(0.3)
                    tele.flush()
                    seal(prepare(path))
                tele.configure()  # another file of the same process
                tele.event("big", output="long " * 10_000, tags=["a", "b"])
                tele.metric("m", 0.1, step=2)
                assert by_id(self.rows(path)) == by_id(self.ours(path))
        with open_store(path) as store:
            assert store.state.n > 4

    def test_it_reads_a_store_that_was_compacted_and_mended_as_tele_does(self, tmp_path):
        path = tmp_path / ".tele"
        with temporary_store(path):
            for number in range(4):
                tele.event("sealed", n=number)
                seal(prepare(path))
            compact(prepare(path))
            (path / "manifest" / f"{2:012d}.json").unlink()
            repair(path)
            tele.event("in the journal")
            found = self.rows(path)
        assert by_id(found) == by_id(self.ours(path))
        assert sorted(row["name"] for row in found if row["name"] != "tele.repaired") == [
            "in the journal",
            *["sealed"] * 4,
        ]

    @pytest.mark.parametrize("kind", ["manifest/*.json", "journal/*.jsonl", "segments/*/*.parquet", "blobs/*/*"])
    def test_it_stops_at_a_flipped_bit(self, store, kind):
        for path in store.glob(kind):
            content = bytearray(path.read_bytes())
            content[-9] ^= 1
            path.write_bytes(content)
        done = self.run(store)
        assert done.returncode == 1
        assert "damaged" in done.stderr


def parsed(row):
    """The row with its JSON text parsed: two writers of JSON may space it differently."""
    return row | {
        column: json.loads(row[column]) for column in JSON_COLUMNS & row.keys() if not row[column].startswith("blob:")
    }


def by_id(rows):
    found = {row["event_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found
