"""The files of a journal: how they begin and end, and what is known of one that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tele.store.journal import Journal
from tele.store.journals import forget, headers, leftovers, liveness, missing, read_tail
from tele.store.layout import prepare
from tele.store.reader import open_store

from .journal_lines import files, lines, numbers, span


@pytest.fixture
def layout(tmp_path):
    return prepare(tmp_path / ".tele")


def test_a_closed_journal_says_where_it_ends_and_the_next_file_names_it(layout):
    journal = Journal(layout)
    journal.append(span(0))
    journal.append(span(1))
    journal.close()
    journal.append(span(2))
    first, second = (lines(path) for path in files(layout))
    assert {key: first[-1][key] for key in ("tele", "seq")} == {"tele": "end", "seq": 3}
    assert second[0]["previous"] == {"writer": first[0]["writer"], "next": 3}
    assert "previous" not in first[0]
    assert (first[0]["process"], first[0]["format"]) == (second[0]["process"], 2)


def test_a_reader_sees_no_row_for_the_closing_line(layout):
    journal = Journal(layout)
    journal.append(span(0))
    [header] = headers(layout)
    assert not read_tail(header, None).ended
    journal.close()
    tail = read_tail(header, None)
    assert (len(tail.scan.lines), tail.scan.next, tail.ended) == (1, 3, True)
    with open_store(layout.root) as store:
        assert store.damage == ()
        assert store.rows("SELECT start_ns FROM events_raw") == [(0,)]


def test_two_journals_of_one_process_name_the_same_process(layout, tmp_path):
    other = prepare(tmp_path / "other")
    for where in (layout, other):
        Journal(where).append(span(0))
    (here,), (there,) = (list(headers(where)) for where in (layout, other))
    assert here.process == there.process
    assert there.previous is None, "a file of another store is not one that was before"


def test_a_journal_that_was_deleted_is_missed_and_one_that_was_forgotten_is_not(layout):
    journal = Journal(layout)
    for number in range(3):
        journal.append(span(number))
        journal.close()
    forgotten, deleted, kept = files(layout)
    forget(forgotten)
    deleted.unlink()
    assert missing(layout) == [deleted.stem]
    assert sorted(path.name for path in layout.journals.iterdir()) == [
        f"{deleted.stem}.born",
        f"{kept.stem}.born",
        kept.name,
    ]


def test_what_a_process_leaves_that_is_killed_while_it_begins_a_file_is_swept(layout):
    script = """
import os, signal, sys
from pathlib import Path
from tele.store.journal import Journal
from tele.store.layout import open_layout
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Journal(open_layout(sys.argv[1])).append(b'{"name":"s"')
"""
    done = subprocess.run([sys.executable, "-c", script, str(layout.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    [left] = leftovers(layout, -1)
    assert leftovers(layout, 600) == [], "whoever makes it may be at it"
    assert missing(layout) == []
    forget(left)
    assert list(layout.journals.iterdir()) == []


def test_a_journal_that_is_being_made_is_no_leftover(layout, monkeypatch):
    seen = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda *a: (seen.append(leftovers(layout, -1)), rename(*a))[1])
    Journal(layout).append(span(0))
    assert seen == [[]]


def test_the_lock_says_whether_the_writer_lives(layout):
    journal = Journal(layout)
    journal.append(span(0))
    assert [state for _, _, state in liveness(layout)] == ["alive"]
    journal.close()
    assert [state for _, _, state in liveness(layout)] == ["dead"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_writes_a_file_of_its_own(layout):
    journal = Journal(layout, "buffered")
    journal.append(span(0))
    pid = os.fork()
    if pid == 0:
        journal.append(span(1))
        journal.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    journal.append(span(2))
    journal.close()
    assert sorted(numbers(layout)) == [0, 1, 2]
    one, other = headers(layout)
    assert one.process != other.process
    assert (one.previous, other.previous) == (None, None)


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_worker_of_multiprocessing_closes_its_journal(layout, tmp_path, way):
    script = tmp_path / "program.py"
    script.write_text("""
import multiprocessing, sys
from tele.store.journal import Journal
from tele.store.layout import open_layout
def work(root):
    Journal(open_layout(root), "buffered").append(b'{"kind":"event","name":"s","start_ns":1')
if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(sys.argv[2],))
    child.start()
    child.join()
    sys.exit(child.exitcode)
""")
    subprocess.run([sys.executable, str(script), way, str(layout.root)], check=True)
    [path] = files(layout)
    assert [line.get("name", line.get("tele")) for line in lines(path)] == ["journal", "s", "end"]
