"""Check names what is wrong and repair saves what can be proven; neither guesses."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import tele
from tele.errors import DamagedFile, ForeignStore
from tele.store import sweep
from tele.store.check import check
from tele.store.compact import compact
from tele.store.layout import Layout, open_layout, prepare
from tele.store.manifest import load
from tele.store.reader import open_store
from tele.store.repair import repair
from tele.store.seal import seal
from tele.testing import temporary_store

WORK = "SELECT experiment, name, item_id FROM events WHERE NOT starts_with(name, 'tele.') ORDER BY ALL"
TOLD = "SELECT attributes->>'$.file' FROM events WHERE name = 'tele.repaired' ORDER BY 1"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Three segments of two experiments, sealed one after the other; the journals are still there."""
    path = tmp_path / ".tele"
    with temporary_store(path):
        for number, experiment in enumerate(("a", "b", "a")):
            with tele.experiment(experiment):
                for item in range(4):
                    with tele.span("work", item_id=f"{number}.{item}"):
                        pass
            tele.flush()
            seal(prepare(path))
    return open_layout(path)


def work(layout: Layout) -> list[tuple]:
    with open_store(layout.root) as store:
        return store.rows(WORK)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)


def forget_journals(layout: Layout, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0)
    time.sleep(0.002)
    seal(layout)
    assert not list(layout.journals.iterdir())


def paths(layout: Layout) -> list[Path]:
    return [layout.root / path for path in load(layout).segments]


def sound(layout: Layout) -> None:
    assert check(layout.root, deep=True).findings == ()


def test_a_sound_store_has_no_finding_and_nothing_to_repair(layout):
    report = check(layout.root, deep=True)
    assert (report.findings, report.notes) == ((), ())
    assert repair(layout.root).actions == ()


def test_a_damaged_segment_is_sealed_again_from_journals_that_are_still_there(layout):
    before, [first, *_] = work(layout), paths(layout)
    flip(first)
    [finding] = check(layout.root).findings
    assert finding.file == str(first.relative_to(layout.root))
    report = repair(layout.root)
    assert (report.saved > 0, report.lost) == (True, 0)
    assert work(layout) == before
    assert (layout.quarantine / "-".join(first.relative_to(layout.root).parts)).is_file()
    sound(layout)


def test_what_is_nowhere_else_is_counted_as_lost_and_the_rest_is_readable(layout, monkeypatch):
    forget_journals(layout, monkeypatch)
    [first, *_] = paths(layout)
    rows = load(layout).segments[str(first.relative_to(layout.root))].rows
    before = work(layout)
    first.unlink()
    with pytest.raises(DamagedFile, match="missing"):
        work(layout)
    report = repair(layout.root)
    assert (report.saved, report.lost) == (0, rows)
    assert [row for row in before if not row[2].startswith("0.")] == work(layout)
    with open_store(layout.root) as store:
        assert store.rows(TOLD) == [(str(first.relative_to(layout.root)),)]
    sound(layout)


def test_swapped_segments_are_put_back_by_their_hashes(layout, monkeypatch):
    forget_journals(layout, monkeypatch)
    before, [first, second, _] = work(layout), paths(layout)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert len(check(layout.root).findings) == 2
    assert repair(layout.root).lost == 0
    assert work(layout) == before
    sound(layout)


def test_a_compacted_file_that_rots_is_rebuilt_from_the_ones_it_replaced(layout, monkeypatch):
    forget_journals(layout, monkeypatch)
    before = work(layout)
    monkeypatch.undo()
    compact(layout)
    made = next(path for path in paths(layout) if load(layout).segments[str(path.relative_to(layout.root))].rows > 8)
    flip(made)
    report = repair(layout.root)
    assert report.lost == 0
    assert work(layout) == before
    sound(layout)


def test_lost_entries_of_the_manifest_are_worked_out_again_from_files_that_name_themselves(layout, monkeypatch):
    forget_journals(layout, monkeypatch)
    before = work(layout)
    for entry in layout.manifest.glob("0*.json"):
        entry.unlink()
    with pytest.raises(DamagedFile, match="no entry that names them"):
        work(layout)
    assert len(check(layout.root).findings) == 3
    repair(layout.root)
    assert work(layout) == before
    sound(layout)


def test_a_damaged_entry_costs_nothing_while_the_journals_are_there(layout):
    before = work(layout)
    flip(sorted(layout.manifest.glob("0*.json"))[1])
    with pytest.raises(DamagedFile, match="checksum"):
        work(layout)
    repair(layout.root)
    assert work(layout) == before
    sound(layout)
    seal(layout)
    assert work(layout) == before


def test_a_rolled_back_manifest_is_found_by_the_hash_kept_elsewhere(layout):
    head = load(layout).head
    seal(layout)
    assert check(layout.root, expect=head).ok
    copy = shutil.copytree(layout.root, layout.root.with_name("copy"))
    with temporary_store(layout.root), tele.span("later"):
        pass
    seal(layout)
    later = load(layout).head
    assert check(layout.root, expect=head).ok
    assert check(layout.root, expect=later).ok
    assert not check(copy, expect=later).ok


def test_journals_that_were_swapped_get_their_own_names_back(tmp_path):
    path = tmp_path / ".tele"
    for name in ("one", "two"):
        with temporary_store(path), tele.span(name):
            pass
    layout = open_layout(path)
    before = work(layout)
    a, b = sorted(layout.journals.glob("w*.jsonl"))
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)
    assert len(check(path).findings) == 2
    repair(path)
    assert work(layout) == before
    sound(layout)


def test_a_damaged_line_is_told_once_and_the_journal_kept(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path):
        for item in range(3):
            with tele.span("work", item_id=str(item)):
                pass
    layout = open_layout(path)
    [journal] = layout.journals.glob("w*.jsonl")
    content = journal.read_bytes()
    changed = content.replace(b'"item_id":"1"', b'"item_id":"9"')
    journal.write_bytes(changed)
    [finding] = check(path).findings
    assert (finding.file, finding.offset) == (
        f"journal/{journal.name}",
        content.index(b"\n", content.index(b'"0"')) + 1,
    )
    repair(path)
    assert [item for *_, item in work(layout)] == ["0", "2"]
    assert (layout.quarantine / f"journal-{journal.name}").read_bytes() == changed
    sound(layout)


def test_a_journal_that_was_removed_is_named(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path), tele.span("gone"):
        pass
    [journal] = (path / "journal").glob("w*.jsonl")
    journal.unlink()
    [finding] = check(path).findings
    assert (finding.file, finding.what) == (f"journal/{journal.name}", "it is missing")
    repair(path)
    sound(open_layout(path))


def test_a_store_without_its_identity_is_known_by_the_second_copy(layout):
    before, key = work(layout), layout.hash_key
    (layout.root / "store.json").unlink()
    assert [f.file for f in check(layout.root).findings] == ["store.json"]
    repair(layout.root)
    assert open_layout(layout.root).hash_key == key
    assert work(layout) == before
    sound(layout)


def test_a_store_without_both_copies_is_known_by_what_its_files_agree_on(layout):
    before = work(layout)
    (layout.root / "store.json").write_bytes(b"{")
    (layout.manifest / "store.copy").unlink()
    repair(layout.root)
    assert open_layout(layout.root).id == layout.id
    assert work(layout) == before
    sound(layout)


def test_a_folder_that_is_no_store_is_not_repaired_into_one(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ForeignStore):
        repair(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_body_is_set_aside_and_named_by_what_refers_to_it(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path), tele.span("big", input="x" * 50_000):
        pass
    layout = open_layout(path)
    [body] = layout.blobs.glob("??/*")
    flip(body)
    assert [f.file for f in check(path, deep=True).findings] == [str(body.relative_to(path))]
    repair(path)
    report = check(path, deep=True)
    assert report.ok
    assert [note.file for note in report.notes] == [str(body.relative_to(path))]


def test_a_forged_line_with_a_right_checksum_is_damage_of_one_line(tmp_path):
    from tele.store.journal import Journal

    journal = Journal(prepare(tmp_path / ".tele"))
    journal.append(b'{"event_id":"a","kind":"event","name":"before","start_ns":1')
    journal.append(b"no json at all")
    journal.append(b'{"event_id":"\xff\xfe","kind":"event","name":"not utf-8"')
    journal.append(b'{"event_id":"b","kind":"event","name":"after","start_ns":2')
    journal.close()
    layout = open_layout(tmp_path / ".tele")
    with open_store(layout.root) as store:
        assert store.rows("SELECT name FROM events ORDER BY start_ns") == [("before",), ("after",)]
        assert len(store.damage) == 2
    seal(layout)
    with open_store(layout.root) as store:
        assert store.rows("SELECT name FROM events ORDER BY start_ns") == [("before",), ("after",)]
    assert len(check(layout.root).findings) == 2
    repair(layout.root)
    sound(layout)


def test_a_missing_body_is_told_once(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path), tele.span("big", input="x" * 50_000):
        pass
    [body] = (path / "blobs").glob("??/*")
    body.unlink()
    assert len(check(path, deep=True).findings) == 1
    repair(path)
    sound(open_layout(path))


@pytest.mark.parametrize("keep", [0, 40])
def test_a_journal_whose_first_line_is_damaged_gives_what_it_still_has(tmp_path, keep):
    path = tmp_path / ".tele"
    with temporary_store(path), tele.span("work"):
        pass
    [journal] = (path / "journal").glob("w*.jsonl")
    content = bytearray(journal.read_bytes())
    content[20] ^= 1
    journal.write_bytes(bytes(content) if keep else b"")
    assert not check(path).ok
    repair(path)
    sound(open_layout(path))
    assert [name for _, name, _ in work(open_layout(path))] == (["work"] if keep else [])


def test_a_closed_journal_that_is_cut_at_the_end_of_a_line_is_named(tmp_path):
    path = tmp_path / ".tele"
    with temporary_store(path):
        for _ in range(5):
            tele.event("x")
    [journal] = (path / "journal").glob("w*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4]))
    [finding] = check(path).findings
    assert (finding.file, finding.lost) == (f"journal/{journal.name}", "2 records")
    repair(path)
    sound(open_layout(path))


def half_sealed(path: Path) -> tuple[Layout, Path, bytes, int]:
    """A store whose one journal is sealed up to its third span of six: the journal, its bytes, and where that ends."""
    with temporary_store(path):
        for item in range(6):
            with tele.span("work", item_id=str(item)):
                pass
            if item == 2:
                tele.flush()
                seal(prepare(path))
    layout = open_layout(path)
    [sealed] = load(layout).journals.values()
    [journal] = layout.journals.glob("w*.jsonl")
    return layout, journal, journal.read_bytes(), sealed.offset


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("behind", [1, 3])
def test_zeros_across_the_sealed_offset_cost_what_stands_behind_it(tmp_path, behind, deep):
    layout, journal, content, offset = half_sealed(tmp_path / ".tele")
    tail = content[offset:].splitlines(keepends=True)
    first, last = offset - 60, offset + sum(map(len, tail[:behind])) - 5
    journal.write_bytes(content[:first] + bytes(last - first) + content[last:])
    lost = f"the records in {sum(map(len, tail[:behind])):,} bytes"
    found = [(one.file, one.offset, one.lost) for one in check(layout.root, deep=deep).findings]
    assert found == [(f"journal/{journal.name}", offset, lost)]
    repair(layout.root)
    assert [item for *_, item in work(layout)] == list("012") + list("345")[behind:]
    sound(layout)


@pytest.mark.parametrize("deep", [False, True])
def test_zeros_from_before_the_sealed_offset_to_the_end_are_counted_without_what_is_sealed(tmp_path, deep):
    layout, journal, content, offset = half_sealed(tmp_path / ".tele")
    first = offset - 60
    journal.write_bytes(content[:first] + bytes(len(content) - first))
    [finding] = check(layout.root, deep=deep).findings
    assert (finding.file, finding.lost) == (f"journal/{journal.name}", "3 records")
    repair(layout.root)
    assert [item for *_, item in work(layout)] == ["0", "1", "2"]
    sound(layout)
