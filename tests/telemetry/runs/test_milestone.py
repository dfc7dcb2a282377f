"""A milestone keeps what it ran, and is closed once it is finished."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import threading

import pytest

import tele
from tele.store.check import check
from tele.store.layout import open_layout
from tele.store.prune import prune
from tele.telemetry.process import process

KEY = "sk-ant-" + "a1B2c3D4e5F6g7H8i9J0"
PASSWORD = "hunter2" * 2 + "-of-a-milestone"  # no literal: this file is loaded code too


def milestone(name="e", **settings):
    return tele.experiment(name, run_type="milestone", **settings)


def kept(store, role):
    """Name and text of the artifacts of a role."""
    with store.open() as reader:
        rows = reader.rows("SELECT artifact, body FROM artifacts WHERE role = $1 ORDER BY artifact", [role])
        return {name: reader.blob(body).decode() for name, body in rows}


def bytes_of(store):
    return b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())


class TestCode:
    def test_the_commit_and_what_differs_from_it_are_kept(self, tele_store, repository):
        (repository / "train.py").write_text("rate = 2\n")
        (repository / "new.py").write_text("new = 1\n")
        with milestone():
            pass
        found = kept(tele_store, "code")
        assert "-rate = 1\n+rate = 2\n" in found["working-tree.diff"]
        assert found["new.py"] == "new = 1\n"
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.snapshot'")
        facts = json.loads(text)
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        assert (facts["source"], facts["commit"], facts["dirty"]) == ("git", head, True)

    def test_the_difference_applies_to_the_commit_and_gives_the_code_that_ran(self, tele_store, repository):
        (repository / "train.py").write_text("rate = 2\n")
        with milestone():
            pass
        diff = kept(tele_store, "code")["working-tree.diff"]
        subprocess.run(["git", "stash", "-q"], check=True)
        subprocess.run(["git", "apply"], input=diff.encode(), check=True)
        assert (repository / "train.py").read_text() == "rate = 2\n"

    def test_lock_files_and_installed_packages_are_kept(self, tele_store, repository):
        (repository / "requirements-dev.txt").write_text("pytest\n")
        with milestone():
            pass
        assert kept(tele_store, "lock") == {"requirements-dev.txt": "pytest\n", "uv.lock": "version = 1\n"}
        [(text,)] = tele_store.rows("SELECT environment FROM runs")
        assert json.loads(text)["packages"]["pytest"] == pytest.__version__

    def test_without_git_the_loaded_code_is_kept_and_nothing_else_of_the_folder(self, tmp_path):
        (tmp_path / "diary.txt").write_text("private")
        (tmp_path / "model.py").write_text("answer = 42\n")
        program = (
            "import sys, tele, model\ntele.configure(store=sys.argv[1], seal='manual')\n"
            "with tele.experiment('e', run_type='milestone'): pass\n"
        )
        (tmp_path / "main.py").write_text(program)
        subprocess.run([sys.executable, "main.py", str(tmp_path / "s")], cwd=tmp_path, check=True)
        with tele.open(tmp_path / "s") as reader:
            found = dict(reader.rows("SELECT artifact, body FROM artifacts WHERE role = 'code'"))
            assert reader.blob(found["model.py"]) == b"answer = 42\n"
            assert reader.blob(found["main.py"]).decode() == program
        assert "diary.txt" not in found

    def test_loaded_code_that_git_ignores_is_kept(self, tele_store, repository, monkeypatch):
        (repository / ".git" / "info" / "exclude").write_text("generated.py\n")
        (repository / "generated.py").write_text("made = 1\n")
        monkeypatch.syspath_prepend(str(repository))
        __import__("generated")
        monkeypatch.delitem(sys.modules, "train", raising=False)
        with milestone():
            pass
        monkeypatch.delitem(sys.modules, "generated")
        found = kept(tele_store, "code")
        assert found["generated.py"] == "made = 1\n"
        assert "train.py" not in found

    def test_code_of_teles_own_is_left_out_under_whatever_name(self, tele_store, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setitem(sys.modules, "scryptorum", __import__("tele.scryptorum").scryptorum)
        with milestone():
            pass
        assert not [name for name in kept(tele_store, "code") if name.startswith("scryptorum")]

    def test_secrets_of_code_never_reach_the_store(self, tele_store, repository):
        (repository / "train.py").write_text(f"key = '{KEY}'\nDB_PASSWORD = '{PASSWORD}'\n")
        (repository / "new.py").write_text(f"key = '{KEY}'\nconnect(password='{PASSWORD}')\n")
        (repository / "new.yaml").write_text(f"db:\n  password: {PASSWORD}\n")
        (repository / ".env").write_text(f"DB_PASSWORD={PASSWORD}\n")
        (repository / "server.pem").write_text(PASSWORD)
        with milestone(config={"api_key": PASSWORD, "rate": 1}):
            pass
        assert "REDACTED" in kept(tele_store, "code")["working-tree.diff"]
        found = bytes_of(tele_store)
        assert KEY.encode() not in found
        assert PASSWORD.encode() not in found
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.snapshot'")
        assert sorted(json.loads(text)["left_out"]) == [".env", "server.pem"]

    def test_a_large_file_is_left_out_and_named(self, tele_store, repository):
        (repository / "data.csv").write_text("x" * 2_000_000)
        with milestone():
            pass
        assert "data.csv" not in kept(tele_store, "code")
        [(text,)] = tele_store.rows("SELECT attributes FROM events WHERE name = 'tele.experiment.snapshot'")
        assert json.loads(text)["left_out"] == ["data.csv"]

    def test_a_trial_keeps_no_code(self, tele_store, repository):
        (repository / "new.py").write_text("new = 1\n")
        with tele.experiment("e") as run:
            run.snapshot_code(["new.py"])
        assert kept(tele_store, "code") == {}
        assert tele_store.rows("SELECT count(*) FROM events WHERE name = 'code_snapshot_skipped'") == [(1,)]

    def test_named_files_and_folders_are_kept_beside_it(self, tele_store, repository):
        (repository / ".git" / "info" / "exclude").write_text("prompts\n")
        (repository / "prompts").mkdir()
        (repository / "prompts" / "a.txt").write_text("Be brief.")
        with milestone() as run:
            run.snapshot_code(["prompts"])
        assert kept(tele_store, "code")["prompts/a.txt"] == "Be brief."


class TestArtifacts:
    def test_bytes_text_objects_and_files_come_back_as_they_were(self, tele_store, tmp_path):
        weights = bytes(range(256)) * 10
        (tmp_path / "w.bin").write_bytes(weights)
        with milestone(snapshot=False) as run:
            references = [
                run.artifact("w", tmp_path / "w.bin"),
                run.artifact("raw", weights),
                run.artifact("t", "text"),
            ]
            run.preserve_artifacts({"results": {"accuracy": 0.9}})
        assert references[0] == references[1] == f"blob:{hashlib.sha256(weights).hexdigest()}"
        with tele_store.open() as reader:
            assert reader.blob(references[0]) == weights
            [(body, media)] = reader.rows("SELECT body, media_type FROM artifacts WHERE artifact = 'results'")
            assert (json.loads(reader.blob(body)), media) == ({"accuracy": 0.9}, "application/json")
        assert tele_store.rows("SELECT DISTINCT run_id FROM artifacts") == [(run.run_id,)]

    def test_secrets_in_them_are_replaced_before_they_are_written(self, tele_store):
        with milestone(snapshot=False) as run:
            run.artifact("text", f"key {KEY}")
            run.artifact("object", {"password": PASSWORD, "inner": [KEY]})
        assert KEY.encode() not in bytes_of(tele_store)
        assert PASSWORD.encode() not in bytes_of(tele_store)
        assert tele_store.rows("SELECT redacted FROM artifacts") == [(True,), (True,)]

    def test_a_trial_tells_their_hash_and_keeps_only_what_it_is_asked_to(self, tele_store):
        with tele.experiment("e") as run:
            assert run.artifact("a", b"one") is None
            assert run.artifact("b", b"two", keep=True) is not None
        assert tele_store.rows("SELECT artifact, sha256, body IS NULL FROM artifacts ORDER BY 1") == [
            ("a", hashlib.sha256(b"one").hexdigest(), True),
            ("b", hashlib.sha256(b"two").hexdigest(), False),
        ]

    def test_a_list_that_is_too_long_for_a_record_is_whole_in_an_artifact(self, tele_store):
        with milestone(snapshot=False) as run:
            reference = run.artifact("long", list(range(30_000)))
        with tele_store.open() as reader:
            assert json.loads(reader.blob(reference)) == list(range(30_000))

    def test_what_cannot_be_read_is_counted_and_raises_nothing(self, tele_store, tmp_path):
        with milestone(snapshot=False) as run:
            assert run.artifact("gone", tmp_path / "gone") is None
        assert sum(tele.dropped().values()) == 1

    def test_bodies_stay_through_a_seal_and_a_prune_and_go_with_their_run(self, tele_store, monkeypatch):
        with milestone(snapshot=False) as run:
            reference = run.artifact("a", b"\x00\xff bytes")
        process.close()
        tele_store.seal()
        layout = open_layout(tele_store.path)
        path = layout.blobs / reference[5:7] / reference[5:]
        monkeypatch.setattr("tele.store.prune.YOUNG_SECONDS", -1)

        assert prune(layout, older_than_ns=0).blobs == 0
        assert check(tele_store.path, deep=True).ok
        assert path.is_file()

        assert prune(layout, max_bytes=0).blobs == 1


class TestClosed:
    def test_what_comes_after_the_end_is_refused_counted_and_shown(self, tele_store, caplog):
        caplog.set_level(logging.WARNING)
        with milestone(snapshot=False) as run:
            tele.metric("in time", 1)
            with tele.span("open at the end"):
                run.stop()
            tele.metric("late", 1)
            tele.event("late")
            run.log_metric("late", 1)
            assert run.artifact("late", b"x") is None
        assert tele_store.rows("SELECT count(*) FROM events WHERE name IN ('late', 'open at the end')") == [(0,)]
        assert tele_store.rows("SELECT count(*) FROM metrics WHERE name = 'in time'") == [(1,)]
        assert sum(tele.dropped().values()) == 5
        assert len([r for r in caplog.records if "closed once it is finished" in r.message]) == 2
        process.close()
        notes = [str(note) for note in check(tele_store.path).notes]
        assert any("5 records could not be written" in note and "milestone" in note for note in notes)

    def test_an_attached_thread_is_refused_too(self, tele_store):
        with milestone(snapshot=False):
            carrier = tele.propagate()

        def work():
            with tele.attach(carrier):
                tele.event("late")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert tele_store.rows("SELECT count(*) FROM events WHERE name = 'late'") == [(0,)]

    def test_another_process_that_joined_before_its_end_and_writes_late_is_shown(self, tele_store):
        script = (
            "import json, sys, tele; tele.configure(store=sys.argv[1], seal='manual')\n"
            "with tele.attach(json.loads(sys.argv[2])):\n"
            "    tele.event('in time'); print('joined', flush=True); input(); tele.event('late')"
        )
        with milestone(snapshot=False):
            command = [sys.executable, "-c", script, str(tele_store.path), json.dumps(tele.propagate())]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert child.stdout.readline() == "joined\n"
        child.communicate("\n")
        assert child.returncode == 0
        assert tele_store.rows("SELECT status, written_late FROM runs") == [("stopped", True)]

    def test_other_runs_and_a_trial_go_on(self, tele_store):
        with milestone(snapshot=False):
            pass
        with tele.experiment("e") as trial:
            trial.stop()
            tele.event("after the end of a trial")
        assert tele.dropped() == {}
        assert tele_store.rows("SELECT count(*) FROM events WHERE name LIKE 'after%'") == [(1,)]

    def test_it_can_be_archived_and_corrected(self, tele_store):
        with milestone(snapshot=False) as run, tele.span("s") as span:
            pass
        with run.active():
            tele.score(span, "helpful", 1)
        run.archive()
        assert tele.dropped() == {}
        assert tele_store.rows("SELECT status FROM runs") == [("archived",)]
        assert tele_store.rows("SELECT attributes->>'$.helpful' FROM spans") == [("1",)]

    def test_its_end_waits_for_its_snapshot(self, tele_store, repository):
        (repository / "new.py").write_text("new = 1\n")
        with milestone() as run:
            run.stop()
        order = [name for (name,) in tele_store.rows("SELECT name FROM events_raw ORDER BY seq")]
        assert order.index("tele.experiment.snapshot") < order.index("tele.experiment.stopped")


class TestIds:
    def test_an_id_is_the_users_and_safe(self, tele_store, caplog):
        ids = []
        for asked in ("v1.0", "../../etc", "", "a b", "x" * 129, 5):
            with tele.experiment("e", run_id=asked) as run:
                ids.append(run.run_id)
        assert ids[0] == "v1.0"
        assert all(found[0] == "r" and len(found) == 21 for found in ids[1:])
        assert "is none" in caplog.text

    def test_two_processes_that_ask_for_one_id_have_two(self, tele_store):
        script = (
            "import sys, tele; tele.configure(store=sys.argv[1], seal='manual')\n"
            "with tele.experiment('e', run_id='v1', run_type='milestone', snapshot=False): tele.event('x')"
        )
        command = [sys.executable, "-c", script, str(tele_store.path)]
        children = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
        assert [child.wait(60) for child in children] == [0, 0]
        rows = tele_store.rows("SELECT run_id, count(*) FROM events WHERE name = 'x' GROUP BY 1 ORDER BY 1")
        assert [count for _, count in rows] == [1, 1]
        assert rows[0][0] == "v1"

    def test_one_id_in_two_experiments_is_two_runs(self, tele_store):
        for name, count in (("a", 1), ("b", 2)):
            with tele.experiment(name, run_id="v1"):
                for _ in range(count):
                    with tele.span("s"):
                        pass
        assert tele_store.rows("SELECT experiment, run_id, status, n_spans FROM runs ORDER BY 1") == [
            ("a", "v1", "stopped", 1),
            ("b", "v1", "stopped", 2),
        ]
