"""Secrets in a store that was written before a rule was there: they are found in every file, and purged from each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tele
from tele.errors import DamagedFile
from tele.store import purge as module
from tele.store.check import check
from tele.store.compact import compact
from tele.store.journal import Journal
from tele.store.layout import open_layout, prepare
from tele.store.manifest import load
from tele.store.purge import Cleaner, purge
from tele.store.reader import open_store
from tele.telemetry.redaction import gate
from tele.telemetry.redaction.ruleset import set_up, suspicious
from tele.telemetry.redaction.scan import scan

WORD = "ACME-" + "4711"
BEFORE = Path(__file__).parents[2] / "golden" / "stores" / "format-1"


@pytest.fixture(autouse=True)
def _own_rules():
    yield
    set_up(personal=False, keys=(), patterns={})


def forbid():
    """From now on the word must not be there: it was not forbidden when it was recorded."""
    set_up(patterns={"case": "ACME-[0-9]+"})


def run_purge(store, wait=5.0):
    cleaner = Cleaner(gate.TEXTS, suspicious, gate.row, gate.record, gate.body)
    return purge(open_layout(store.path), cleaner, wait=wait)


def places(store):
    """Files with the word in them; Parquet is read, for it is compressed."""
    found = set()
    for path in store.path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                import duckdb

                content = str(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()).encode()
            if WORD.encode() in content:
                found.add(path.relative_to(store.path).parts[0])
    return found


def fill(store):
    """The word in each column and kind, in a large body, in an artifact of a line's size, and in a carried start."""
    with tele.experiment(f"about {WORD}", condition=WORD, hypothesis=WORD, tags=[WORD]):
        for number in range(5):
            with tele.span(f"chat {WORD}", item_id=f"i{number}", input=[{"content": f"see {WORD}"}], tags=["a", WORD]):
                tele.event("note", {"text": WORD, "kept": number})
        with tele.span("large", output="x" * 40_000 + WORD, note="y" * 40_000 + WORD):
            pass
        with tele.span("plain", input=["nothing"], item_id="plain"):
            pass
    tele.flush()


class TestScan:
    def test_it_names_every_place_and_never_the_secret(self, tele_store):
        fill(tele_store)
        tele_store.seal()
        forbid()
        report = scan(open_layout(tele_store.path))
        assert set(report.rules) == {"case"}
        assert {file.split("/")[0] for file in report.files} == {"segments", "blobs", "journal"} & places(tele_store)
        assert all(WORD not in f"{hit.file} {hit.where}" for hit in report.hits)

    def test_a_store_that_was_redacted_when_written_has_none(self, tele_store):
        forbid()
        fill(tele_store)
        tele_store.seal()
        assert scan(open_layout(tele_store.path)).total == 0

    def test_a_file_that_cannot_be_read_is_no_file_without_secrets(self, tele_store):
        with tele.span("s"):
            pass
        tele.configure()
        tele_store.seal()
        [segment] = tele_store.path.glob("segments/*/*.parquet")
        (segment.parent / f"{'0' * 20}.parquet").write_bytes(b"PAR1")
        done = command("scan", tele_store)
        assert done.returncode == 1
        assert "not what was written" in done.stdout

    def test_keys_whatever_their_value_are_found(self, tele_store):
        with tele.span("s", {"pet": ["rex"], "deep": {"Pet": {"name": "rex"}}}):
            pass
        tele_store.seal()
        set_up(keys=["pet"])
        assert scan(open_layout(tele_store.path)).rules["key"] >= 2


class TestPurge:
    def test_it_is_nowhere_afterwards_and_everything_else_stands(self, tele_store):
        fill(tele_store)
        process_of_the_past(tele_store)
        tele_store.seal()
        before = facts(tele_store)
        assert places(tele_store) >= {"segments", "blobs"}
        tele.configure()  # the journal ends here, as if the process had
        forbid()
        report = run_purge(tele_store)
        assert report.rows > 10
        assert not report.waiting
        assert places(tele_store) == set()
        assert scan(open_layout(tele_store.path)).total == 0
        assert check(tele_store.path, deep=True).ok
        after = facts(tele_store)
        assert [row[:3] for row in after] == [row[:3] for row in before]
        assert [tuple(map(replaced, row[3:])) for row in after] == [tuple(map(replaced, row[3:])) for row in before]

    def test_large_bodies_can_still_be_read(self, tele_store):
        fill(tele_store)
        tele_store.seal()
        tele.configure()
        forbid()
        run_purge(tele_store)
        with open_store(tele_store.path) as store:
            [(reference,)] = store.rows("SELECT output FROM events WHERE name = 'large'")
            assert json.loads(store.blob(reference)) == "x" * 40_000 + f"[REDACTED:case:{len(WORD)}]"

    def test_a_body_that_a_living_writer_refers_to_again_is_not_lost(self, tele_store, monkeypatch):
        """Its line comes when the journals are sealed already and the purge has not yet said what goes."""
        fill(tele_store)
        forbid()
        real = module.seal

        def seal(*args, **kwargs):
            done = real(*args, **kwargs)
            code = "import sys, tele; tele.configure(store=sys.argv[1], seal='manual')\n"
            code += "with tele.span('again', output='x' * 40_000 + sys.argv[2]): pass"
            subprocess.run([sys.executable, "-c", code, str(tele_store.path), WORD], check=True)
            return done

        monkeypatch.setattr(module, "seal", seal)
        run_purge(tele_store)
        monkeypatch.undo()
        tele.configure()
        for _ in range(2):
            with open_store(tele_store.path) as store:
                references = store.rows("SELECT output FROM events WHERE name IN ('again', 'large') AND kind = 'span'")
                assert len([store.blob(reference) for (reference,) in references]) == 2
            run_purge(tele_store)
        assert places(tele_store) == set()
        assert check(tele_store.path, deep=True).ok

    def test_a_damaged_body_is_not_made_to_look_whole_and_a_strange_file_is_left(self, tele_store):
        fill(tele_store)
        tele_store.seal()
        tele.configure()
        damaged = next(path for path in tele_store.path.glob("blobs/*/*") if WORD.encode() in path.read_bytes())
        damaged.write_bytes(damaged.read_bytes().replace(b"xxx", b"xyx", 1).replace(b"yyy", b"yxy", 1))
        strange = tele_store.path / "blobs" / "notes.txt"
        strange.write_text(WORD)
        forbid()
        run_purge(tele_store)
        assert places(tele_store) == {"blobs"}
        assert damaged.exists()
        assert strange.read_text() == WORD
        assert not check(tele_store.path, deep=True).ok

    def test_a_damaged_segment_that_may_refer_to_a_body_is_repaired_first(self, tele_store):
        fill(tele_store)
        tele.configure()
        tele_store.seal()
        segment = next(tele_store.path.glob("segments/*/*.parquet"))
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 1
        segment.write_bytes(content)
        forbid()
        with pytest.raises(DamagedFile, match="tele repair"):
            run_purge(tele_store)

    def test_a_store_of_the_format_before_is_searched_and_purged(self, tele_store, tmp_path):
        """The names of its segments are no hashes."""
        old = Path(shutil.copytree(BEFORE, tmp_path / "old" / ".tele"))
        layout = open_layout(old)
        set_up(patterns={"case": "gpt-4o|in the journal"})
        with open_store(old) as store:
            before = store.rows("SELECT event_id, start_ns, attributes FROM events_raw ORDER BY event_id")
        report = scan(layout)
        assert {file.split("/")[0] for file in report.files} == {"segments", "journal"}
        assert report.unreadable == []
        cleaner = Cleaner(gate.TEXTS, suspicious, gate.row, gate.record, gate.body)
        assert purge(layout, cleaner, wait=5.0).rows > 0
        assert scan(layout).total == 0
        assert check(old, deep=True).ok
        with open_store(old) as store:
            query = (
                "SELECT event_id, start_ns, attributes FROM events_raw WHERE name <> 'tele.purged' ORDER BY event_id"
            )
            assert store.rows(query) == before

    def test_old_and_new_hashes_are_in_the_log(self, tele_store):
        fill(tele_store)
        tele_store.seal()
        tele.configure()
        old = {path: s.sha256 for path, s in load(open_layout(tele_store.path)).segments.items()}
        forbid()
        run_purge(tele_store)
        new = {s.sha256 for s in load(open_layout(tele_store.path)).segments.values()}
        with open_store(tele_store.path) as store:
            rows = store.rows("SELECT attributes FROM events WHERE name = 'tele.purged'")
        told = {f["file"]: f for f in (json.loads(row) for (row,) in rows)}
        for path, digest in old.items():
            assert told[path]["sha256_before"] == digest
            assert told[path]["sha256_after"] in new

    def test_a_start_that_is_carried_is_carried_without_it_and_its_old_entries_go(self, tele_store):
        process_of_the_past(tele_store)
        tele_store.seal()
        assert "manifest" in places(tele_store)
        head = load(open_layout(tele_store.path)).head
        with tele.span("later"):
            pass
        tele.configure()
        tele_store.seal()
        forbid()
        report = run_purge(tele_store)
        assert report.entries > 0
        assert places(tele_store) == set()
        assert check(tele_store.path, deep=True, expect=head).ok
        with open_store(tele_store.path) as store:
            [(name,)] = store.rows("SELECT name FROM spans WHERE status = 'open'")
        assert name == f"open [REDACTED:case:{len(WORD)}]"

    def test_segments_that_were_compacted_away_go_as_well(self, tele_store):
        for _ in range(3):
            fill(tele_store)
            tele.configure()
            tele_store.seal()
        compact(open_layout(tele_store.path))
        forbid()
        run_purge(tele_store)
        assert places(tele_store) == set()

    def test_a_reader_that_began_before_sees_what_it_saw_and_the_next_purge_ends_it(self, tele_store):
        fill(tele_store)
        tele_store.seal()
        tele.configure()
        forbid()
        with open_store(tele_store.path) as store:
            count = store.rows("SELECT count(*) FROM events")
            assert run_purge(tele_store, wait=0.1).waiting
            assert store.rows(f"SELECT count(*) FROM events WHERE name = 'chat {WORD}'") == [(5,)]
            assert store.rows("SELECT count(*) FROM events") == count
            assert places(tele_store) != set()
        run_purge(tele_store)
        assert places(tele_store) == set()

    def test_what_a_living_process_still_holds_is_named_and_goes_when_it_has_ended(self, tele_store):
        layout = prepare(tele_store.path)
        journal = Journal(layout)
        journal.append(b'{"event_id":"01","kind":"event","name":"%b","start_ns":1' % WORD.encode())
        forbid()
        run_purge(tele_store, wait=0.1)
        report = scan(layout)
        assert {file.split("/")[0] for file in report.files} == {"journal"}
        journal.close()
        run_purge(tele_store)
        assert scan(layout).total == 0
        with open_store(tele_store.path) as store:
            assert store.rows("SELECT count(*) FROM events WHERE name LIKE '[REDACTED:case%'") == [(1,)]

    def test_without_a_finding_nothing_is_written(self, tele_store):
        fill(tele_store)
        tele.configure()
        tele_store.seal()
        before = load(open_layout(tele_store.path)).n
        run_purge(tele_store)
        state = load(open_layout(tele_store.path))
        assert not any(s.path for s in state.segments.values() if "purge" in s.path)
        assert state.n - before <= 1  # the sweep may say that a journal went

    def test_two_at_once_do_it_once(self, tele_store):
        fill(tele_store)
        tele.configure()
        tele_store.seal()
        forbid()
        threads = [threading.Thread(target=run_purge, args=(tele_store,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert places(tele_store) == set()
        assert check(tele_store.path, deep=True).ok

    @pytest.mark.parametrize("step", [1, 3, 5, 7, 10])
    def test_one_that_was_killed_is_ended_by_the_next(self, tele_store, step):
        fill(tele_store)
        process_of_the_past(tele_store)
        tele_store.seal()
        tele.configure()
        before = facts(tele_store)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(tele_store.path), str(step)], check=False, capture_output=True, text=True
        )
        assert killed.returncode in (0, 77), killed.stderr
        assert check(tele_store.path, deep=True).ok
        forbid()
        run_purge(tele_store)
        assert places(tele_store) == set()
        assert check(tele_store.path, deep=True).ok
        assert [row[0] for row in facts(tele_store)] == [row[0] for row in before]


KILLED = """
import os, sys
from pathlib import Path
from tele.store.layout import open_layout, prepare
from tele.store.purge import Cleaner, purge
from tele.telemetry.redaction.ruleset import set_up, suspicious
from tele.telemetry.redaction import gate

layout, left = open_layout(Path(sys.argv[1])), [int(sys.argv[2])]

def watched(function):
    def call(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os._exit(77)
        return function(*args, **kwargs)
    return call

for name in ("link", "rename", "replace", "unlink"):
    setattr(os, name, watched(getattr(os, name)))
set_up(patterns={"case": "ACME-[0-9]+"})
purge(layout, Cleaner(gate.TEXTS, suspicious, gate.row, gate.record, gate.body), wait=5.0)
"""


def command(name, store):
    arguments = [sys.executable, "-m", "tele", name, "--store", str(store.path)]
    return subprocess.run(arguments, check=False, capture_output=True, text=True, env=dict(os.environ))


OPEN = """
import os, sys, time, tele
tele.configure(store=sys.argv[1], seal="manual")
with tele.span("open " + sys.argv[2], note=sys.argv[2]):
    time.sleep(0.4)
    os._exit(0)
"""


def process_of_the_past(store):
    """A process that was killed within a span, whose start it had written."""
    subprocess.run([sys.executable, "-c", OPEN, str(store.path), WORD], check=True, env=dict(os.environ))


def facts(store):
    with open_store(store.path) as reader:
        return reader.rows("""
            SELECT event_id, start_ns, seq, name, attributes, condition, tags[-1], input
            FROM events_raw WHERE name <> 'tele.purged' ORDER BY event_id""")


def replaced(text):
    text = (text or "").replace(WORD, f"[REDACTED:case:{len(WORD)}]")
    return re.sub(r'"\$blob":"[0-9a-f]{64}"', '"$blob":""', text)
