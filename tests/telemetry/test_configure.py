"""What `tele.configure` says holds for recording and for reading."""

from __future__ import annotations

import pytest

import tele
from tele.analysis import LiveMetrics
from tele.store.journal import Journal
from tele.store.layout import prepare
from tele.telemetry.process import process
from tele.telemetry.settings import Settings
from tele.testing import temporary_store


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Two stores: the one that was configured holds one call, the one of the environment holds nothing."""
    with temporary_store(tmp_path / "of the environment"):
        tele.event("elsewhere")
    with temporary_store(tmp_path / "configured"):
        with tele.experiment("e") as run, tele.span("chat", model="gpt-4o", input_tokens=1):
            pass
        monkeypatch.setenv("TELE_STORE", str(tmp_path / "of the environment"))
        yield run


def test_what_reads_reads_the_store_that_is_recorded_into(configured, tmp_path):
    with tele.open() as store:
        assert store.rows("SELECT name FROM spans") == [("chat",)]
    assert [run.run_id for run in tele.runs()] == [configured.run_id]
    assert tele.load_run(configured.run_id).n_spans == 1
    assert tele.analyze("e").summary.event_types["chat"] == 1
    assert LiveMetrics("e").poll().total_requests == 1
    assert tele.view(configured.run_id, tmp_path / "page.html").is_file()


def test_a_store_that_is_named_stands_over_it(configured, tmp_path):
    with tele.open(tmp_path / "of the environment") as store:
        assert store.rows("SELECT name FROM events") == [("elsewhere",)]
    assert tele.runs(path=tmp_path / "of the environment") == []


def test_a_relative_folder_stays_the_one_that_it_was(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with temporary_store():
        tele.configure(store="here")
        monkeypatch.chdir("elsewhere")
        tele.event("e")
        assert process.settings.store == tmp_path / "here"
        with tele.open() as store:
            assert store.rows("SELECT name FROM events") == [("e",)]


def test_settings_change_as_a_whole():
    before = Settings()
    after = before.but(durability="fsync", sampling_rate=None, run_type="milestone")
    assert before == Settings()
    assert after == Settings(durability="fsync", run_type=after.run_type)
    assert str(after.run_type) == "milestone"


def test_what_is_recorded_while_the_journal_of_before_closes_goes_by_the_new_settings(tmp_path, monkeypatch):
    close = Journal.close

    def meanwhile(journal):
        close(journal)
        tele.event("meanwhile")

    with temporary_store(tmp_path / "before"):
        tele.event("before")
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "close", meanwhile)
            tele.configure(store=tmp_path / "after")
        tele.event("after")

    with tele.open(tmp_path / "after") as store:
        assert store.rows("SELECT name FROM events ORDER BY seq") == [("meanwhile",), ("after",)]


def test_a_first_record_during_which_the_settings_change_goes_by_the_new_ones(tmp_path, monkeypatch):
    def meanwhile(path):
        if path != tmp_path / "after":
            tele.configure(store=tmp_path / "after")
        return prepare(path)

    with temporary_store(tmp_path / "before"):
        monkeypatch.setattr("tele.telemetry.process.prepare", meanwhile)
        tele.event("first")
        tele.event("second")

    with tele.open(tmp_path / "after") as store:
        assert store.rows("SELECT name FROM events ORDER BY seq") == [("first",), ("second",)]
