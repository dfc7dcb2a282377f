"""What each command prints, and one clear sentence with exit code 2 for what cannot be done."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tele
from tele.store.layout import prepare
from tele.testing import temporary_store


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tele", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment}
    )


def refused(*arguments: object, **environment: str) -> str:
    """The one sentence that the command answers with."""
    done = run(*arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("commands") / ".tele"
    with temporary_store(path):
        for condition in ("baseline", "few-shot"):
            with tele.experiment("prompt-ab", condition=condition, hypothesis="it helps"):
                for number in range(4):
                    with tele.span("chat m", item_id=f"i{number}", model="gpt-4o", operation="chat") as span:
                        span.usage(input_tokens=100, output_tokens=10)
                    tele.metric("correct", number % 2 == 0)
    return path


HUNGRY = "SELECT quantile_cont(hash(range)::DOUBLE, 0.5) AS middle FROM range(4_000_000)"


class TestAnswers:
    def test_a_query_that_needs_more_memory_says_how_to_give_it_and_then_runs(self, store):
        said = refused("sql", HUNGRY, "--memory", "20MB", "--store", store)
        assert said.count("\n") == 0
        assert "tele sql --memory" in said
        assert "middle" in run("sql", HUNGRY, "--memory", "2GB", "--store", store).stdout
        assert "amount of memory" in refused("sql", "SELECT 1", "--memory", "plenty", "--store", store)

    def test_experiments_and_runs(self, store):
        found = json.loads(run("experiments", "--store", store, "--format", "json").stdout)
        assert [(e["experiment"], e["status"], e["runs"], e["conditions"]) for e in found] == [
            ("prompt-ab", "stopped", 2, ["baseline", "few-shot"])
        ]
        table = run("runs", "prompt-ab", "--store", store).stdout
        assert re.search(r"baseline +stopped", table)
        assert table.endswith("(2 rows)\n")

    @pytest.mark.parametrize("format_", ["json", "csv", "table", "parquet"])
    def test_sql_in_every_format(self, store, format_, tmp_path):
        query = "SELECT condition, count(*) AS n, list(DISTINCT model) AS m FROM llm_calls GROUP BY 1 ORDER BY 1"
        out = tmp_path / "out"
        done = run("sql", query, "--store", store, "--format", format_, "-o", out)
        assert (done.returncode, done.stdout) == (0, "")
        expected = [("baseline", 4, ["gpt-4o"]), ("few-shot", 4, ["gpt-4o"])]
        if format_ == "json":
            assert [tuple(row.values()) for row in json.loads(out.read_text())] == expected
        elif format_ == "csv":
            rows = list(csv.reader(io.StringIO(out.read_text())))[1:]
            assert [(c, int(n), json.loads(m)) for c, n, m in rows] == expected
        elif format_ == "parquet":
            import pyarrow.parquet as pq

            assert [tuple(row.values()) for row in pq.read_table(out).to_pylist()] == expected
        else:
            assert out.read_text().splitlines()[2:] == ["baseline   4  gpt-4o", "few-shot   4  gpt-4o", "(2 rows)"]

    def test_a_large_answer_streams_without_a_cap(self, store):
        done = run("sql", "SELECT range AS n FROM range(25000)", "--store", store, "--format", "csv")
        assert done.stdout.splitlines() == ["n", *map(str, range(25000))]

    def test_views_are_printed_as_sql_that_runs(self, store):
        printed = run("sql", "--views", "--store", store).stdout
        views = set(re.findall(r"CREATE OR REPLACE VIEW (\w+)", printed))
        assert {"spans", "llm_calls", "runs"} <= views
        assert {"events", *views} == set(
            re.findall(r"\w+", run("sql", "--help").stdout.split("Views:")[1].split(".")[0])
        )

    def test_analyze_in_json_has_the_names_of_the_contract(self, store):
        found = json.loads(run("analyze", "prompt-ab", "--store", store, "--format", "json").stdout)
        assert found["experiment"] == "prompt-ab"
        assert found["on"] == "llm"
        assert [group["key"] for group in found["groups"]] == [{"condition": "baseline"}, {"condition": "few-shot"}]
        group = found["groups"][0]
        # gpt-4o: 2.50 and 10.00 dollars per million tokens, as OpenAI publishes
        assert group["cost"]["total"] == pytest.approx(4 * (100 * 2.5 + 10 * 10) / 1e6)
        assert group["reliability"]["total_requests"] == 4
        assert group["tokens"]["total"] == 440
        assert {"count", "mean", "median", "std_dev", "min", "max", "p50", "p90", "p95", "p99"} <= group[
            "latency"
        ].keys()

    def test_a_score_from_the_command_shows_in_sql(self, store, tmp_path):
        copy = tmp_path / ".tele"
        shutil.copytree(store, copy)
        span = json.loads(run("sql", "SELECT span_id FROM spans LIMIT 1", "--store", copy, "--format", "json").stdout)[
            0
        ]["span_id"]
        done = run("score", span, "helpful", "0.5", "--reason", "second look", "--store", copy)
        assert (done.returncode, done.stdout) == (0, f"Recorded helpful = 0.5 for {span}.\n")
        query = f"SELECT attributes->>'$.helpful' AS h FROM spans WHERE span_id = '{span}'"
        assert json.loads(run("sql", query, "--store", copy, "--format", "json").stdout) == [{"h": "0.5"}]

    def test_tail_prints_what_is_there_and_then_what_comes(self, tmp_path):
        path = tmp_path / ".tele"
        with temporary_store(path):
            tele.event("first", n=1)
            command = [sys.executable, "-u", "-m", "tele", "tail", "--store", str(path)]
            follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert follower.stdout is not None
            assert "first" in follower.stdout.readline()
            time.sleep(0.3)
            with tele.experiment("later"), tele.span("second"):
                pass
            lines = [follower.stdout.readline() for _ in range(2)]
        follower.terminate()
        follower.wait(10)
        follower.stdout.close()
        assert "later  tele.experiment.started" in lines[0]

    def test_terminal_escapes_in_stored_text_never_reach_the_terminal(self, tmp_path):
        path = tmp_path / ".tele"
        with temporary_store(path):
            tele.event("red \x1b[31m \u202e bell \x07")
            for condition in ("red \x1b[31m \u202e", "b"):
                with tele.experiment("trial", condition=condition), tele.span("work", item_id="i"):
                    tele.metric("red \x1b[2J", condition == "b")
        compare = ("analyze", "trial", "--baseline", "b")
        for arguments in (("sql", "SELECT name FROM events"), ("tail", "--no-follow"), compare):
            shown = run(*arguments, "--store", path).stdout
            assert "red" in shown
            assert not re.search("[\x1b\u202e\x07]", shown)

    def test_what_a_killed_process_left_is_sealed_by_the_next_command(self, tmp_path):
        path = tmp_path / ".tele"
        script = f"import tele, os; tele.configure(store={str(path)!r}); tele.event('x'); os._exit(0)"
        subprocess.run([sys.executable, "-c", script], check=True)
        assert list((path / "segments").rglob("*.parquet")) == []
        assert run("experiments", "--store", path).returncode == 0
        assert len(list((path / "segments").rglob("*.parquet"))) == 1

    def test_a_run_seals_itself_in_a_process_of_its_own(self, tmp_path):
        path = tmp_path / ".tele"
        script = f"""
import tele
tele.configure(store={str(path)!r})
with tele.experiment("e"): tele.event("x")
"""
        subprocess.run([sys.executable, "-c", script], check=True)
        for _ in range(200):
            if list((path / "manifest").glob("*.json")):
                break
            time.sleep(0.05)
        assert len(list((path / "segments").rglob("*.parquet"))) == 1


class TestRefusals:
    def test_a_missing_store_says_what_to_do(self, tmp_path):
        said = refused("experiments", "--store", tmp_path / "none")
        assert said == (
            f"tele: No store at {tmp_path / 'none'}. "
            "Run an experiment or `tele demo` there, or name one with --store or "
            "TELE_STORE."
        )

    def test_a_folder_of_something_else_and_a_file_are_refused(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        assert "is not a tele store: it holds no store.json" in refused("runs", "--store", tmp_path)
        assert "it is a file" in refused("runs", "--store", tmp_path / "notes.txt")
        assert "is not a tele store" in refused("ingest", tmp_path / "notes.txt", "--store", tmp_path)
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_a_newer_store_is_refused(self, store, tmp_path):
        copy = tmp_path / ".tele"
        shutil.copytree(store, copy)
        marker = copy / "store.json"
        marker.write_text(marker.read_text().replace('"format": 2', '"format": 3'))
        assert "Upgrade tele to read this store." in refused("experiments", "--store", copy)

    def test_an_unknown_experiment_names_the_nearest(self, store):
        for command in ("analyze", "runs"):
            said = refused(command, "promt-ab", "--store", store)
            assert (
                said == "tele: No experiment 'promt-ab' in this store. Nearest: prompt-ab. "
                "List them with `tele experiments`."
            )
        assert "Nearest: prompt-ab" in refused("view", "promt-ab", "--store", store)

    @pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a\nb", "", "x" * 300, "'; DROP TABLE events; --"])
    def test_hostile_names_are_only_names(self, store, name):
        assert "No experiment" in refused("analyze", name, "--store", store)

    def test_invalid_sql_gives_duckdbs_message(self, store):
        said = refused("sql", "SELEKT 1", "--store", store)
        assert said.startswith("tele: Parser Error: syntax error")
        assert "Catalog Error" in refused("sql", "SELECT * FROM nowhere", "--store", store)
        assert (
            refused("sql", "DELETE FROM tail", "--store", store)
            == "tele: The store is read-only: give one SELECT statement."
        )
        assert "does not exist" in refused("sql", "SELECT * FROM '/etc/passwd'", "--store", store)
        assert "operations are disabled" in refused("sql", "SELECT * FROM read_csv('/etc/passwd')", "--store", store)
        assert "Give a query" in refused("sql", "--store", store)

    def test_options_that_are_none_are_named(self, store):
        said = refused("sql", "SELECT 1", "--format", "xml", "--store", store)
        assert said == "tele: --format is table, csv, json or parquet, not 'xml'."
        assert "Nearest: condition" in refused("analyze", "prompt-ab", "--by", "conditoin", "--store", store)

    def test_a_read_only_store_can_be_read_and_not_written(self, store, tmp_path):
        if os.geteuid() == 0:
            pytest.skip("root writes into read-only folders")
        copy = tmp_path / ".tele"
        shutil.copytree(store, copy)
        for folder in (copy / "journal", copy / "segments", copy / "manifest", copy):
            folder.chmod(0o500)
        assert run("experiments", "--store", copy).returncode == 0
        assert "Cannot write to the store" in refused("ingest", store / "store.json", "--store", copy)

    def test_a_full_disk_is_one_sentence_and_the_next_try_completes(self, tmp_path):
        table = tmp_path / "calls.csv"
        table.write_text("ms\n" + "\n".join(map(str, range(3000))))
        path = tmp_path / ".tele"
        prepare(path)
        ingest = (
            "ingest",
            table,
            "--experiment",
            "e",
            "--select",
            "SELECT ms AS duration_ms FROM source",
            "--store",
            path,
        )
        limited = [sys.executable, "-c", _LIMITED, *map(str, ingest)]
        done = subprocess.run(limited, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "Cannot write to the store" in done.stderr
        assert "Traceback" not in done.stderr
        again = run(*ingest)
        assert again.returncode == 0, again.stderr
        query = """SELECT count(*) AS n, count(DISTINCT event_id) AS distinct_ids FROM events WHERE kind = 'span'"""
        found = json.loads(run("sql", query, "--store", path, "--format", "json").stdout)
        assert found == [{"n": 3000, "distinct_ids": 3000}]

    def test_a_network_file_system_is_said(self, store, monkeypatch, capsys):
        from tele.cli.reading import reading

        monkeypatch.setattr("tele.store.reader.network_filesystem", lambda _: "nfs4")
        with reading(store):
            pass
        assert "network file system (nfs4)" in capsys.readouterr().err

    def test_empty_binary_truncated_and_unknown_files_are_named_and_the_rest_is_taken(self, tmp_path):
        folder = tmp_path / "mixed"
        folder.mkdir()
        span = {"traceId": "1" * 16, "id": "2" * 16, "name": "get", "timestamp": 1, "duration": 1}
        (folder / "good.json").write_text(json.dumps([span]))
        (folder / "cut.json").write_text(json.dumps([span])[:-20])
        (folder / "empty.json").write_text("")
        (folder / "noise.bin").write_bytes(bytes(range(256)))
        (folder / "readme.md").write_text("# hello")
        done = run("ingest", folder, "--experiment", "e", "--store", tmp_path / ".tele")
        assert done.returncode == 0, done.stderr
        assert "Added 1." in done.stdout
        for name in ("cut.json", "empty.json", "noise.bin", "readme.md"):
            assert name in done.stderr
        assert "Traceback" not in done.stderr
        strict = refused("ingest", folder, "--experiment", "e", "--strict", "--store", tmp_path / "strict")
        assert strict.startswith("tele: ")
        said = run("ingest", folder / "empty.json", "--store", tmp_path / ".tele")
        assert (said.returncode, "empty" in said.stderr) == (2, True)

    def test_ingest_refuses_a_column_that_is_none_with_the_nearest(self, tmp_path):
        (tmp_path / "a.csv").write_text("x\n1\n")
        said = refused(
            "ingest",
            tmp_path / "a.csv",
            "--select",
            "SELECT x AS inptu_tokens FROM source",
            "--store",
            tmp_path / ".tele",
        )
        assert "input_tokens" in said


_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv = ["tele", *sys.argv[1:]]
from tele.cli import main
main()
"""
