"""`tele archive` says of one run that it is left out, and nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys

import tele


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tele", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_an_archived_run_is_left_out_and_stays_in_the_log(tele_store):
    ids = []
    for _ in range(2):
        with tele.experiment("e") as run, tele.span("s"):
            pass
        ids.append(run.run_id)
    done = command("archive", ids[0], "--reason", "wrong prompt", "--store", tele_store.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert dict(tele_store.rows("SELECT run_id, status FROM runs")) == {ids[0]: "archived", ids[1]: "stopped"}
    assert tele.analyze("e", store=tele_store.path).runs.archived == 1
    assert tele_store.rows("SELECT count(*) FROM spans") == [(2,)]
    [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.archived'")
    assert json.loads(text) == {"reason": "wrong prompt"}
    assert "already" in command("archive", ids[0], "--store", tele_store.path).stdout


def test_what_is_no_run_or_two_is_refused_in_one_sentence(tele_store):
    for name in ("a", "b"):
        with tele.experiment(name, run_id="v1.0"):
            pass
    done = command("archive", "v1.1", "--store", tele_store.path)
    assert (done.returncode, "v1.0" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    done = command("archive", "v1.0", "--store", tele_store.path)
    assert (done.returncode, "--experiment" in done.stderr) == (2, True)
    assert command("archive", "v1.0", "--experiment", "b", "--store", tele_store.path).returncode == 0
    assert dict(tele_store.rows("SELECT experiment, status FROM runs")) == {"a": "stopped", "b": "archived"}


def test_the_runs_table_shows_their_types(tele_store):
    with tele.experiment("e", run_type="milestone", snapshot=False):
        pass
    done = command("runs", "--format", "json", "--store", tele_store.path)
    assert [run["type"] for run in json.loads(done.stdout)] == ["milestone"]
