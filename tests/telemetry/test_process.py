"""A failure of telemetry never raises into the program and never goes unseen."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import warnings

import pytest

import tele
from tele.errors import BadInput
from tele.store.check import check
from tele.telemetry.process import process
from tele.testing import temporary_store


@pytest.fixture(autouse=True)
def not_warned_yet(monkeypatch):
    monkeypatch.setattr(process, "warned", set())


def work(count=5):
    """A program that records, and answers as it would without."""
    for number in range(count):
        with tele.span("s", n=number):
            pass
    return "done"


class TestConfigure:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"sampling_rate": 0},
            {"sampling_rate": -0.1},
            {"sampling_rate": 1.1},
            {"sampling_rate": float("nan")},
            {"sampling_rate": "half"},
            {"durability": "never"},
            {"seal": "sometimes"},
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_changes(self, tele_store, wrong):
        before = process.settings
        with pytest.raises(BadInput):
            tele.configure(**wrong)
        assert process.settings is before

    def test_what_is_not_given_stays(self, tele_store):
        tele.configure(durability="buffered")
        tele.configure(sampling_rate=0.5)
        now = process.settings
        assert (now.store, now.durability, now.sampling_rate) == (tele_store.path, "buffered", 0.5)

    @pytest.mark.parametrize("mode", ["process", "fsync", "buffered"])
    def test_every_durability_keeps_every_record(self, tele_store, mode):
        tele.configure(durability=mode)
        work(50)
        tele.flush()
        assert tele_store.rows("SELECT count(*) FROM events") == [(50,)]

    def test_flush_without_a_record_is_harmless(self, tele_store):
        tele.flush()
        assert not tele_store.path.exists()


class TestUnwritable:
    def check(self, caplog, count):
        assert sum(tele.dropped().values()) == count
        found = [record for record in caplog.records if record.name == "tele"]
        assert len(found) == len(tele.dropped())
        assert all("could not record" in record.getMessage() for record in found)
        assert all(".." not in record.getMessage() for record in found)

    @pytest.fixture
    def quiet(self, caplog):
        with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING, logger="tele"):
            warnings.simplefilter("always")
            yield caplog
        assert caught == []

    def test_a_file_in_the_way(self, tmp_path, quiet):
        (tmp_path / "file").write_text("x")
        with temporary_store(tmp_path / "file"):
            assert work() == "done"
            self.check(quiet, 5)
        assert (tmp_path / "file").read_text() == "x"

    def test_a_folder_that_is_something_else(self, tmp_path, quiet):
        (tmp_path / "thesis.tex").write_text("x")
        with temporary_store(tmp_path):
            assert work() == "done"
            self.check(quiet, 5)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
    def test_a_read_only_folder(self, tmp_path, quiet):
        tmp_path.chmod(0o500)
        with temporary_store(tmp_path / ".tele"):
            assert work() == "done"
            self.check(quiet, 5)

    def test_a_full_disk_from_the_start(self, tele_store, quiet, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tele.store.journal.os.write", full)
        assert work() == "done"
        monkeypatch.undo()
        self.check(quiet, 5)

    def test_a_disk_that_fills_and_empties_loses_only_what_it_refused_and_says_so_in_the_store(
        self, tele_store, quiet, monkeypatch
    ):
        work(2)
        with monkeypatch.context() as patched:

            def full(*_):
                raise OSError(28, "No space left on device")

            patched.setattr("tele.store.journal.os.write", full)
            work(3)
        work(2)
        self.check(quiet, 3)
        assert tele_store.rows("SELECT count(*) FROM spans") == [(4,)]
        assert tele_store.rows("SELECT attributes->>'$.count' FROM events WHERE name = 'tele.dropped'") == [("3",)]

    def test_a_short_write_loses_nothing(self, tele_store, monkeypatch):
        work(1)
        true = os.write
        with monkeypatch.context() as patched:
            patched.setattr("os.write", lambda fd, data: true(fd, bytes(data)[:10]))
            work(1)
        work(1)
        assert tele.dropped() == {}
        assert tele_store.rows("SELECT count(*) FROM spans") == [(3,)]

    def test_a_limit_on_file_size(self, tmp_path):
        script = """
import resource, signal, sys, tele
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tele.configure(store=sys.argv[1], seal="manual")
with tele.span("first"): pass
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
for number in range(100):
    with tele.span("s", n=number): pass
print(sum(tele.dropped().values()))
"""
        store = tmp_path / ".tele"
        done = subprocess.run(
            [sys.executable, "-c", script, str(store)], capture_output=True, text=True, timeout=60, check=True
        )
        with tele.open(store) as reader:
            [(kept,)] = reader.rows("SELECT count(*) FROM spans")
        assert kept + int(done.stdout) == 101

    def test_what_was_lost_is_told_also_after_another_configure(self, tele_store, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("tele.store.journal.os.write", full)
            work(3)
        tele.configure(durability="fsync")
        assert sum(tele.dropped().values()) == 3

    def test_an_error_that_cannot_be_read_raises_nothing(self, tele_store, monkeypatch):
        class Mute(Exception):
            def __str__(self):
                raise ValueError("no")

        def broken(*_):
            raise Mute

        monkeypatch.setattr("tele.telemetry.process.encode", broken)
        assert work() == "done"
        assert sum(tele.dropped().values()) == 5


class _Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("there is no text")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("no: " + "sk-" + "ant-api03-" + "Zx9" * 15), "ValueError: no: [REDACTED:"),
        (_Unreadable(), "_Unreadable"),
    ],
)
def test_why_something_was_lost_is_told_without_secrets_and_never_raises(tele_store, error, why, caplog):
    process.lose(error)
    assert [reason.startswith(why) for reason in tele.dropped()] == [True]
    with tele.span("s"):
        pass
    tele.flush()
    process.lost.clear()
    assert "Zx9" not in caplog.text
    assert b"Zx9" not in b"".join(path.read_bytes() for path in tele_store.path.rglob("*.jsonl"))


def test_a_network_file_system_is_warned_of_once(tele_store, monkeypatch, caplog):
    monkeypatch.setattr("tele.telemetry.process.network_filesystem", lambda _: "nfs4")
    with caplog.at_level(logging.WARNING, logger="tele"):
        work()
    [message] = [record.getMessage() for record in caplog.records]
    assert "network file system (nfs4)" in message
    assert tele_store.rows("SELECT count(*) FROM events") == [(5,)]


def test_a_folder_that_vanishes_is_counted_or_made_again(tele_store):
    import shutil

    work(1)
    shutil.rmtree(tele_store.path)
    assert work(2) == "done"


def test_recording_loads_no_reader(tmp_path):
    script = """
import sys, tele
tele.configure(store=sys.argv[1], seal="manual")
with tele.experiment("e"), tele.span("s", model="gpt-4o", input_tokens=5): tele.metric("m", 1)
print(sorted({"duckdb", "pyarrow", "polars", "numpy", "jinja2", "rich"} & sys.modules.keys()))
"""
    arguments = [sys.executable, "-c", script, str(tmp_path / ".tele")]
    assert subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout == "[]\n"


def test_a_check_names_every_reason_for_which_records_were_lost(tele_store):
    for why, count in ((ValueError('a "quoted" one'), 3), (OSError(28, "No space left on device"), 2)):
        process.lose(why, count)
        tele.event("told with the next record")
        process.close()
    process.lose(OSError(28, "No space left on device"), 4)
    tele.event("told with the next record")
    process.close()
    notes = [str(note) for note in check(tele_store.path).notes]
    assert sum('ValueError: a "quoted" one: 3' in note for note in notes) == 1
    assert sum(int(n) for note in notes for n in re.findall(r"No space left on device: (\d+)", note)) == 6
