"""The page on durability, word by word: what no other test holds of it, and that each of its lines is held by one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tele
from tele.store.blobs import put
from tele.store.journal import Journal
from tele.store.journals import headers, read_tail
from tele.store.layout import open_layout, prepare
from tele.store.reader import open_store
from tele.store.seal import seal
from tele.testing import temporary_store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "durability.md"
LINK = re.compile(r"\[(test_\w+)\]\(([\w./]+)\)")
RECORD = b'{"kind":"event","name":"e","start_ns":1'


def events(store: Path) -> int:
    with open_store(store) as reader:
        return reader.rows("SELECT count(*) FROM events WHERE name = 'e'")[0][0]


@pytest.mark.source
def test_each_line_of_the_page_ends_with_a_test_that_exists():
    lines = re.findall(r"^\* (.*?)(?=\n\n|\n\* |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(lines) > 30
    for line in lines:
        named = LINK.findall(line)
        assert named, f"no test holds this: {line}"
        assert line.rstrip().endswith(")"), line
        for test, path in named:
            source = (PAGE.parent / path).resolve().read_text()
            assert re.search(rf"^ *def {test}\(", source, re.MULTILINE), f"{path} has no {test}"


def noting(monkeypatch, *names):
    """Note the calls of functions of `os` on regular files, and whether they have returned."""
    noted = []
    for name in names:
        real = getattr(os, name)

        def call(fd, *rest, name=name, real=real):
            done = real(fd, *rest)
            noted.append(name)
            return done

        monkeypatch.setattr(os, name, call)
    return noted


def test_a_record_is_one_write_that_is_done_when_its_call_returns(tmp_path, monkeypatch):
    journal = Journal(prepare(tmp_path / ".tele"))
    journal.append(RECORD)
    noted = noting(monkeypatch, "write", "fsync", "fdatasync")
    for number in range(1, 4):
        journal.append(RECORD)
        assert noted == ["write"] * number


def test_a_record_is_synced_before_its_call_returns(tmp_path, monkeypatch):
    journal = Journal(prepare(tmp_path / ".tele"), "fsync")
    journal.append(RECORD)
    noted = noting(monkeypatch, "write", "fsync", "fdatasync")
    for number in range(1, 4):
        journal.append(RECORD)
        assert noted == ["write", "fdatasync"] * number


BUFFERED = """
import os, sys, time, tele
tele.configure(store=sys.argv[1], seal="manual", durability="buffered")
number = 0
while True:
    tele.event("e", n=number, at=time.monotonic_ns())
    number += 1
    time.sleep(0.002)
    if number % 100 == 0:
        os.write(1, b"%d\\n" % number)
"""


def test_a_killed_process_loses_no_more_of_its_buffer_than_the_last_quarter_second(tmp_path):
    store = tmp_path / ".tele"
    program = subprocess.Popen([sys.executable, "-c", BUFFERED, str(store)], stdout=subprocess.PIPE)
    assert program.stdout is not None
    for _ in range(3):
        program.stdout.readline()
    program.send_signal(signal.SIGKILL)
    killed = time.monotonic_ns()
    program.communicate(timeout=30)
    with open_store(store) as reader:
        rows = reader.rows("SELECT (attributes->>'$.n')::INT, (attributes->>'$.at')::BIGINT FROM events ORDER BY 1")
    assert [n for n, _ in rows] == list(range(len(rows)))
    # 250 ms to the flush, and what a busy machine takes to run it and to deliver the signal.
    assert (killed - rows[-1][1]) / 1e9 < 0.25 + 0.75


def test_a_body_is_in_its_place_before_the_record_that_refers_to_it(tmp_path, monkeypatch):
    store, seen = tmp_path / ".tele", []
    append = Journal.append

    def look(journal, body):
        seen.append([path.stat().st_size for path in store.glob("blobs/??/[0-9a-f]*")])
        append(journal, body)

    with temporary_store(store):
        tele.event("e")
        monkeypatch.setattr(Journal, "append", look)
        tele.event("e", input="x" * 50_000)
    assert seen == [[50_002]], "the body is there as JSON text, two quotes more"


def test_flush_hands_over_what_was_recorded_and_nothing_less(tmp_path):
    store = tmp_path / ".tele"
    for number, mode in enumerate(("process", "fsync", "buffered"), 1):
        with temporary_store(store):
            tele.configure(durability=mode)
            for _ in range(5):
                tele.event("e")
            tele.flush()
            assert events(store) == number * 5


def test_a_torn_line_of_a_killed_process_costs_nothing_else_and_is_named(tmp_path):
    store = tmp_path / ".tele"
    script = """
import os, signal, sys
from tele.store.blobs import put
from tele.store.journal import Journal
from tele.store.layout import prepare
journal = Journal(prepare(sys.argv[1]))
for number in range(3):
    journal.append(b'{"kind":"event","name":"e","start_ns":%d' % number)
write = os.write
def half(fd, data):
    write(fd, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = half
journal.append(b'{"kind":"event","name":"e","start_ns":3')
"""
    done = subprocess.run([sys.executable, "-c", script, str(store)], check=False)
    assert done.returncode == -signal.SIGKILL
    layout = open_layout(store)
    [header] = headers(layout)
    assert not read_tail(header, None).ended
    assert events(store) == 3
    [torn] = seal(layout).damage
    assert "a line was being written when the process died" in torn
    assert seal(layout).rows == 0
    assert events(store) == 3


def test_a_body_that_another_mode_left_in_memory_is_synced_before_a_record_refers_to_it(tmp_path, monkeypatch):
    body = b'"x"' * 20_000
    put(tmp_path, body)
    [path] = tmp_path.glob("??/*")
    synced: list[int] = []
    for call in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, call, lambda fd: synced.append(os.fstat(fd).st_ino))
    put(tmp_path, body, durable=True)
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino, tmp_path.stat().st_ino]
