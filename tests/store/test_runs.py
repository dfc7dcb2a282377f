"""Runs as facts, read from a store."""

from __future__ import annotations

import pytest

import tele
from tele.errors import UnknownTarget


def test_runs_come_newest_first_and_with_what_they_were_told(tele_store):
    with tele.experiment("e", "c", hypothesis="h", tags=["t"], sample_size=1, stop_at_sample_size=True) as first:
        first.pause()
        with tele.span("s"):
            pass
    with tele.experiment("other", run_type="milestone", snapshot=False) as second:
        pass

    found = tele.runs(path=tele_store.path)

    assert [run.run_id for run in found] == [second.run_id, first.run_id]
    assert [(run.run_type, run.status) for run in found] == [("milestone", "stopped"), ("trial", "stopped")]
    one = tele.load_run(first.run_id, path=tele_store.path)
    assert one == tele.runs("e", path=tele_store.path)[0]
    assert (one.condition, one.hypothesis, one.tags, one.sample_size, one.reason, one.pause_count, one.n_spans) == (
        *("c", "h", ("t",), 1),
        *("sample_size", 1, 1),
    )
    assert one.started <= one.ended


def test_a_run_that_is_not_there_names_the_nearest(tele_store):
    with tele.experiment("e", run_id="v1.0"):
        pass
    with pytest.raises(UnknownTarget, match=r"Nearest: v1\.0"):
        tele.load_run("v1.1", path=tele_store.path)


def test_where_there_is_no_store_yet_there_are_no_runs(tmp_path):
    assert tele.runs(path=tmp_path / "none") == []
