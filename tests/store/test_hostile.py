"""What others put into a store's folder, by intent or by accident, costs at most itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

import tele
from tele.errors import DamagedFile, ForeignStore
from tele.store import prune as pruning
from tele.store import sweep
from tele.store.check import check
from tele.store.journal import Journal
from tele.store.layout import Layout, open_layout, prepare
from tele.store.line import finish
from tele.store.manifest import load
from tele.store.prune import prune
from tele.store.reader import open_store
from tele.store.repair import repair
from tele.store.seal import seal
from tele.testing import temporary_store

OLD = Path(__file__).parents[1] / "golden" / "stores" / "format-1"


@pytest.fixture
def layout(tmp_path) -> Layout:
    path = tmp_path / ".tele"
    with temporary_store(path), tele.experiment("x"), tele.span("work"):
        pass
    seal(prepare(path))
    return open_layout(path)


def spans(layout: Layout) -> list[tuple]:
    with open_store(layout.root) as store:
        return store.rows("SELECT name FROM spans ORDER BY name")


@pytest.mark.parametrize("part", ["segments", "journal", "manifest", "blobs", "quarantine", "readers", "lease"])
def test_a_part_that_is_a_link_is_refused_and_what_is_behind_it_is_left_alone(layout, tmp_path, part):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    target = layout.root / part
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    target.symlink_to(outside if part != "lease" else outside / "mine.txt")
    for act in (seal, check, repair):
        with pytest.raises(ForeignStore, match="symbolic link"):
            act(open_layout(layout.root) if act is seal else layout.root)
    assert (outside / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a path is always text")
def test_a_folder_whose_path_duckdb_cannot_read_is_refused_before_anything_is_recorded_there(layout, tmp_path):
    moved = layout.root.rename(tmp_path / os.fsdecode(b"caf\xe9"))
    for act in (open_layout, open_store, check, repair, prepare):
        with pytest.raises(ForeignStore, match="no UTF-8 text"):
            act(moved)
    with pytest.raises(ForeignStore, match="no UTF-8 text"):
        prepare(tmp_path / os.fsdecode(b"new\xff"))
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9"]


@pytest.mark.parametrize("place", ["segments/zz", "blobs/aa"])
def test_a_link_within_a_part_is_passed_over(layout, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("table.parquet", ".hidden", ".x.parquet", ".bashrc"):
        (outside / name).write_text("mine")
        os.utime(outside / name, (0, 0))
    (layout.root / place).symlink_to(outside)
    seal(layout)
    repair(layout.root)
    assert sorted(path.name for path in outside.iterdir()) == [".bashrc", ".hidden", ".x.parquet", "table.parquet"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_and_is_called_like_one_of_ours_holds_nobody_up(layout, make):
    for name in ("journal/w00ff.jsonl", f"readers/{1:012d}-1-{7:012x}"):
        make(layout.root / name)
    assert seal(layout).rows == 0
    assert check(layout.root, deep=True).findings == ()
    assert repair(layout.root).actions == ()
    assert spans(layout) == [("work",)]


def test_a_pipe_in_the_place_of_an_entry_is_named_and_set_aside(layout):
    os.mkfifo(layout.manifest / f"{load(layout).n + 1:012d}.json")
    with pytest.raises(DamagedFile, match="it is no file"):
        load(layout)
    assert [one.what for one in check(layout.root).findings] == ["it is no file"]
    repair(layout.root)
    assert check(layout.root).ok
    assert spans(layout) == [("work",)]


def test_files_that_are_not_ours_are_not_removed_from_the_folders_of_ours(layout):
    strangers = [layout.readers / "notes", layout.manifest / ".DS_Store", layout.manifest / "000020000000.json.bak"]
    for path in strangers:
        path.write_text("mine")
        os.utime(path, (0, 0))
    seal(layout)
    assert all(path.exists() for path in strangers)


def test_a_stray_number_in_the_manifest_is_one_finding_and_can_be_repaired(layout):
    (layout.manifest / "000020000000.json").touch()
    (layout.manifest / "²²²²².json").touch()
    assert len(check(layout.root).findings) <= 2
    repair(layout.root)
    assert check(layout.root).findings == ()
    assert spans(layout) == [("work",)]


def test_a_stray_file_among_the_bodies_does_not_stop_a_prune(layout, monkeypatch):
    monkeypatch.setattr(pruning, "YOUNG_SECONDS", 0)
    (layout.blobs / "ab").mkdir()
    (layout.blobs / "ab" / "Thumbs.db").write_text("x")
    prune(layout, older_than_ns=2**62)
    assert spans(layout) == []


def test_a_file_named_by_its_hash_that_is_no_segment_stops_nothing(layout):
    content = b"no parquet at all"
    folder = next(layout.segments.iterdir())
    (folder / f"{hashlib.sha256(content).hexdigest()[:20]}.parquet").write_bytes(content)
    seal(layout)
    assert not check(layout.root).ok
    repair(layout.root)
    assert check(layout.root).ok
    assert spans(layout) == [("work",)]


@pytest.mark.parametrize("number", [10**25, int("9" * 4000)])
def test_a_number_too_large_for_a_line_is_damage_of_that_line(layout, number):
    journal = Journal(layout)
    journal.append(b'{"event_id":"a","kind":"span","name":"before","status":"ok"')
    path = layout.journals / f"{journal.writer}.jsonl"
    with path.open("ab") as file:
        file.write(finish(b'{"event_id":"b","kind":"span","name":"forged"', number))
    journal.close()
    seal(layout)
    assert spans(layout) == [("before",), ("work",)]
    repair(layout.root)
    assert check(layout.root).ok


def test_an_event_that_only_looks_like_a_loss_does_not_stop_a_check(layout):
    with temporary_store(layout.root):
        tele.event("tele.dropped", attributes={"count": "many"})
        tele.event("tele.dropped")
    assert check(layout.root).ok


def test_a_store_that_lost_its_identity_is_not_given_a_new_one(tmp_path):
    store = Path(shutil.copytree(OLD, tmp_path / ".tele"))
    (store / "store.json").unlink()
    with pytest.raises(DamagedFile, match="tele repair"):
        prepare(store)
    repair(store)
    with open_store(store) as reader:
        assert reader.rows("SELECT count(*) FROM events WHERE name = 'chat gpt-4o'") == [(3,)]


def test_segments_that_cannot_prove_themselves_are_a_finding_and_stay_until_a_repair(tmp_path):
    store = Path(shutil.copytree(OLD, tmp_path / ".tele"))
    for entry in (store / "manifest").glob("*.json"):
        entry.unlink()
    assert not check(store).ok
    seal(open_layout(store))
    assert len(list((store / "segments").glob("*/*.parquet"))) >= 3


def test_corrections_apply_after_a_repair_of_lost_entries(layout, monkeypatch):
    with open_store(layout.root) as store:
        [(target,)] = store.rows("SELECT event_id FROM spans")
    with temporary_store(layout.root):
        tele.score(target, "item_id", "corrected")
    seal(layout)
    monkeypatch.setattr(sweep, "GRACE_SECONDS", -1)
    seal(layout)
    for entry in layout.manifest.glob("0*.json"):
        entry.unlink()
    repair(layout.root)
    with open_store(layout.root) as store:
        assert store.rows("SELECT item_id FROM spans") == [("corrected",)]


def test_two_journals_that_claim_one_name_are_both_kept(layout, tmp_path):
    with temporary_store(layout.root), tele.span("one"):
        pass
    [journal] = [path for path in layout.journals.glob("w*.jsonl") if b'"one"' in path.read_bytes()]
    whole = journal.read_bytes()
    journal.unlink()
    for name, content in (("w0000000000aa", whole), ("w0000000000bb", b"".join(whole.splitlines(True)[:1]))):
        (layout.journals / f"{name}.jsonl").write_bytes(content)
    repair(layout.root)
    kept = [path.read_bytes() for path in (*layout.quarantine.iterdir(), *layout.journals.glob("w*.jsonl"))]
    assert whole in kept
    assert check(layout.root).ok


def test_a_pruned_run_takes_its_open_span_along_and_is_pruned_once(tmp_path):
    import subprocess
    import sys

    path = tmp_path / ".tele"
    script = f"""
import os, time, tele
tele.configure(store={str(path)!r}, seal="manual")
with tele.experiment("x"), tele.span("in flight"):
    time.sleep(0.4)
    os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    layout = open_layout(path)
    seal(layout)
    assert len(load(layout).opened) == 1
    prune(layout, older_than_ns=2**62)
    assert load(layout).opened == {}
    assert prune(layout, older_than_ns=2**62).units == ()
    assert spans(layout) == []


def test_an_entry_that_does_not_follow_is_mended_for_good(layout):
    with temporary_store(layout.root), tele.span("more"):
        pass
    seal(layout)
    path = sorted(layout.manifest.glob("0*.json"))[1]
    forged = path.read_bytes().replace(b'"previous":"', b'"previous":"0')
    path.write_bytes(finish(forged[: forged.rfind(b',"seq":')], 2))
    assert not check(layout.root).ok
    repair(layout.root)
    assert check(layout.root).ok
    assert repair(layout.root).actions == ()


def test_a_line_that_is_finished_while_the_sealer_looks_is_not_lost(layout, monkeypatch):
    from tele.store import seal as sealing

    journal = Journal(layout)
    journal.append(b'{"event_id":"a","kind":"span","name":"first","status":"ok"')
    path = layout.journals / f"{journal.writer}.jsonl"
    line = finish(b'{"event_id":"b","kind":"span","name":"second","status":"ok"', 2)
    with path.open("ab") as file:
        file.write(line[:20])
    dead = sealing.dead

    def finished_and_gone(where, header):
        if header.path == path and journal._file.fd >= 0:
            with path.open("ab") as file:
                file.write(line[20:])
            os.close(journal._file.fd)  # as the kernel does when the process ends
            journal._file.fd = -1
        return dead(where, header)

    monkeypatch.setattr(sealing, "dead", finished_and_gone)
    seal(layout)
    seal(layout)
    assert spans(layout) == [("first",), ("second",), ("work",)]
