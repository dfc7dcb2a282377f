"""Journal, seal, manifest and reader together: what a user would lose if one of them broke."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import threading
from pathlib import Path

import pytest

import tele
from tele.errors import BadQuery, DamagedFile, ForeignStore, NewerFormat, NoStore, StoreBusy, StoreNotWritable
from tele.store.check import check
from tele.store.columns import COLUMNS, NAMES
from tele.store.journal import Journal
from tele.store.layout import find, network_filesystem, open_layout, prepare
from tele.store.lease import lease
from tele.store.line import finish, scan
from tele.store.manifest import load
from tele.store.reader import open_store
from tele.store.repair import repair
from tele.store.seal import due, seal
from tele.testing import temporary_store


def span(number: int, **more: object) -> bytes:
    facts = {
        "event_id": f"{number:032x}",
        "kind": "span",
        "name": "s",
        "start_ns": number,
        "end_ns": number + 1000,
        "status": "ok",
    }
    return json.dumps(facts | {"span_id": f"{number:016x}", "trace_id": "f" * 32} | more).encode()[:-1]


@pytest.fixture
def layout(tmp_path):
    return prepare(tmp_path / ".tele")


def names(path: Path) -> list[str]:
    with open_store(path) as store:
        return [name for (name,) in store.rows("SELECT name FROM events ORDER BY start_ns, name")]


def journals(layout) -> list[Path]:
    return sorted(layout.journals.glob("*.jsonl"))


class TestFolder:
    def test_only_the_owner_can_look_inside_and_git_ignores_it(self, layout):
        Journal(layout).append(span(1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [layout.root, *layout.root.iterdir()]}
        assert {mode for name, mode in modes.items() if (layout.root / name).is_dir() or name == ".tele"} == {0o700}
        assert modes["store.json"] == modes[".gitignore"] == 0o600
        assert stat.S_IMODE(journals(layout)[0].stat().st_mode) == 0o600
        assert (layout.root / ".gitignore").read_text() == "*\n"

    def test_two_processes_that_make_the_store_agree_on_its_identity(self, tmp_path):
        found = []
        threads = [threading.Thread(target=lambda: found.append(prepare(tmp_path / ".tele").id)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1

    def test_the_nearest_store_above_is_found(self, tmp_path, monkeypatch):
        prepare(tmp_path / ".tele")
        (tmp_path / "a" / "b").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "a" / "b")
        monkeypatch.delenv("TELE_STORE", raising=False)
        assert find() == tmp_path / ".tele"
        monkeypatch.setenv("TELE_STORE", "/elsewhere")
        assert find() == Path("/elsewhere")

    def test_what_is_no_store_is_refused_and_stays_as_it_was(self, tmp_path):
        with pytest.raises(NoStore, match="No store at"):
            open_layout(tmp_path / "none")
        foreign = tmp_path / "foreign"
        foreign.mkdir()
        (foreign / "thesis.tex").write_text("x")
        for call in (open_layout, prepare):
            with pytest.raises(ForeignStore, match="it holds no store"):
                call(foreign)
        assert [path.name for path in foreign.iterdir()] == ["thesis.tex"]
        with pytest.raises(ForeignStore, match="it is a file"):
            open_layout(foreign / "thesis.tex")

    def test_a_newer_store_is_refused_by_its_number(self, layout):
        marker = layout.root / "store.json"
        marker.write_text(json.dumps(json.loads(marker.read_text()) | {"format": 99}))
        with pytest.raises(NewerFormat, match=r"has format 99; this tele reads formats up to 2\. Upgrade"):
            open_store(layout.root)

    def test_a_network_file_system_is_named(self, tmp_path):
        mounts = tmp_path / "mounts"
        mounts.write_text(f"/dev/vda / ext4 rw 0 0\nhost:/x {tmp_path}/share nfs4 rw 0 0\n")
        assert network_filesystem(tmp_path / "share" / ".tele", mounts) == "nfs4"
        assert network_filesystem(tmp_path / ".tele", mounts) is None


class TestSeal:
    def test_segments_are_sorted_parquet_that_other_tools_read_whole(self, layout):
        journal = Journal(layout)
        for number in (3, 1, 2):
            journal.append(span(number, attributes={"k": number}, tags=["x"]))
        seal(layout)
        files = sorted(layout.segments.rglob("*.parquet"))
        import pyarrow.parquet as pq

        table = pq.read_table(files[0])
        assert table.column_names == list(NAMES)
        assert table["start_ns"].to_pylist() == [1, 2, 3]
        polars = pytest.importorskip("polars")
        pandas = pytest.importorskip("pandas")
        assert polars.read_parquet(layout.segments / "**/*.parquet")["start_ns"].to_list() == [1, 2, 3]
        assert pandas.read_parquet(layout.segments)["start_ns"].tolist() == [1, 2, 3]

    def test_a_span_that_is_open_is_carried_until_its_end_is_sealed(self, layout):
        journal = Journal(layout)
        begun = {
            "event_id": "a" * 32,
            "kind": "span",
            "name": "long",
            "start_ns": 5,
            "status": "open",
            "span_id": "a" * 16,
        }
        journal.append(json.dumps(begun).encode()[:-1])
        assert seal(layout).open == 1
        assert names(layout.root) == ["long"]
        journal.append(span(6))
        assert seal(layout).open == 1
        with open_store(layout.root) as store:
            assert store.rows("SELECT name, status, end_ns FROM events ORDER BY 1") == [
                ("long", "open", None),
                ("s", "ok", 1006),
            ]
        journal.append(json.dumps(begun | {"status": "ok", "end_ns": 9}).encode()[:-1])
        with open_store(layout.root) as store:
            assert store.rows("SELECT status FROM events WHERE name = 'long'") == [("ok",)]
        assert seal(layout).open == 0
        with open_store(layout.root) as store:
            assert store.rows("SELECT status, end_ns FROM events WHERE name = 'long'") == [("ok", 9)]

    def test_a_long_journal_is_sealed_in_several_steps_and_read_in_several(self, layout, monkeypatch):
        journal = Journal(layout)
        for number in range(300):
            journal.append(span(number, text="x" * 200))
        monkeypatch.setattr("tele.store.reader.CHUNK_BYTES", 10_000)
        monkeypatch.setattr("tele.store.journals.CHUNK_BYTES", 10_000)
        assert len(names(layout.root)) == 300
        monkeypatch.setattr("tele.store.seal.BATCH_BYTES", 10_000)
        report = seal(layout)
        assert report.rows == 300
        assert report.segments == load(layout).n > 5
        assert len(names(layout.root)) == 300

    def test_sealing_twice_does_nothing_the_second_time(self, layout):
        journal = Journal(layout)
        journal.append(span(1))
        assert seal(layout).rows == 1
        assert seal(layout).rows == 0
        assert load(layout).n == 1

    def test_a_sealer_that_dies_before_its_entry_leaves_nothing_behind(self, layout, monkeypatch):
        journal = Journal(layout)
        journal.append(span(1))
        monkeypatch.setattr("tele.store.seal.publish", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(StoreNotWritable):
            seal(layout)
        assert names(layout.root) == ["s"]
        monkeypatch.undo()
        assert seal(layout).rows == 1
        assert len(list(layout.segments.rglob("*.parquet"))) == 1
        assert names(layout.root) == ["s"]

    def test_the_sealed_journal_of_a_dead_writer_goes_after_the_grace_period_only(self, layout, monkeypatch):
        journal = Journal(layout)
        journal.append(span(1))
        path = journals(layout)[0]
        os.utime(path, (1, 1))
        seal(layout)
        journal.close()
        seal(layout)
        assert path.exists(), "a reader that began before the seal may be at it, however old the file is"
        journal.append(span(2))
        monkeypatch.setattr("tele.store.sweep.GRACE_SECONDS", -1)
        seal(layout)
        living, *_ = [found for found in journals(layout) if found != path]
        assert living.exists(), "its writer lives"
        assert not path.exists()
        journal.close()
        seal(layout)
        assert journals(layout) == []
        assert names(layout.root) == ["s", "s"]
        assert load(layout).journals == {}

    def test_one_sealer_at_a_time_and_the_other_is_named(self, layout):
        with lease(layout), pytest.raises(StoreBusy, match=rf"held by process {os.getpid()} since \d{{4}}-"):
            seal(layout)

    def test_what_a_dead_process_left_is_due(self, layout):
        journal = Journal(layout)
        assert not due(layout)
        journal.append(span(1))
        assert not due(layout), "a live writer's few records can wait"
        journal.close()
        assert due(layout)
        seal(layout)
        assert not due(layout)

    def test_damage_in_the_middle_costs_the_line_and_is_named(self, layout, monkeypatch):
        journal = Journal(layout)
        for number in range(3):
            journal.append(span(number))
        journal.close()
        path = journals(layout)[0]
        content = path.read_bytes()
        at = content.index(b'"start_ns": 1,')
        path.write_bytes(content[:at] + b'"start_ns": 7,' + content[at + 14 :])
        with open_store(layout.root) as store:
            assert store.rows("SELECT start_ns FROM events ORDER BY 1") == [(0,), (2,)]
            assert re.fullmatch(rf"{path.name}: the checksum does not match \(offset \d+\)", store.damage[0])
        report = seal(layout)
        assert report.rows == 2
        assert "the checksum does not match" in report.damage[0]
        monkeypatch.setattr("tele.store.sweep.GRACE_SECONDS", -1)
        seal(layout)
        assert path.exists(), "a journal with damage is evidence"
        with open_store(layout.root) as store:
            assert "the checksum does not match" in store.damage[0]

    def test_an_experiment_id_never_becomes_a_path(self, layout):
        journal = Journal(layout)
        journal.append(span(1, experiment="../../etc", experiment_id="../../etc"))
        seal(layout)
        assert [path.parent.parent for path in layout.segments.rglob("*.parquet")] == [layout.segments]
        assert names(layout.root) == ["s"]

    def test_a_journal_of_another_store_is_left_alone_and_named(self, layout, tmp_path):
        other = prepare(tmp_path / "other")
        Journal(other).append(span(1))
        path = journals(other)[0]
        (layout.journals / path.name).write_bytes(path.read_bytes())
        assert seal(layout).rows == 0
        with open_store(layout.root) as store:
            assert store.damage == (f"{path.name}: it belongs to another store (offset 0)",)


class TestManifest:
    def test_many_entries_fold_to_the_same_state_through_checkpoints(self, layout):
        journal = Journal(layout)
        for number in range(70):
            journal.append(span(number))
            seal(layout)
        state = load(layout)
        assert (state.n, len(state.segments), sum(s.rows for s in state.segments.values())) == (70, 70, 70)
        for entry in range(1, 60):
            (layout.manifest / f"{entry:012d}.json").unlink()  # a reader needs the last checkpoint and what follows
        assert load(layout) == state
        assert len(names(layout.root)) == 70

    @pytest.mark.parametrize("harm", ["flip", "missing", "swap"])
    def test_a_broken_chain_is_refused_by_name(self, layout, harm):
        journal = Journal(layout)
        for number in range(3):
            journal.append(span(number))
            seal(layout)
        first, second = layout.manifest / "000000000001.json", layout.manifest / "000000000002.json"
        if harm == "flip":
            second.write_bytes(second.read_bytes().replace(b'"rows":1', b'"rows":2'))
        elif harm == "missing":
            second.unlink()
        else:
            second.write_bytes(first.read_bytes())
        with pytest.raises(DamagedFile, match=r"00000000000[23]\.json is damaged"):
            open_store(layout.root)

    def test_a_newer_entry_is_refused_by_its_number(self, layout):
        journal = Journal(layout)
        journal.append(span(1))
        seal(layout)
        path = layout.manifest / "000000000001.json"
        newer = path.read_bytes().replace(b'"version":2', b'"version":7')
        path.write_bytes(finish(newer[: newer.rfind(b',"seq":')], 1))
        with pytest.raises(NewerFormat, match="format 7"):
            open_store(layout.root)

    def test_two_publishers_cannot_both_win(self, layout):
        from tele.store.manifest import Entry, State, publish

        publish(layout, State(), Entry(reason="one", time_ns=1))
        with pytest.raises(StoreBusy):
            publish(layout, State(), Entry(reason="two", time_ns=1))
        assert load(layout).n == 1

    @pytest.mark.parametrize("harm", ["flip", "truncate", "delete", "swap"])
    def test_a_segment_that_is_not_what_was_sealed_is_refused(self, layout, harm):
        journal = Journal(layout)
        for number in range(2):
            journal.append(span(number))
            seal(layout)
        one, two = sorted(layout.segments.rglob("*.parquet"))
        content = bytearray(one.read_bytes())
        if harm == "flip":
            content[len(content) // 3] ^= 4
            one.write_bytes(content)
        elif harm == "truncate":
            one.write_bytes(content[:-9])
        elif harm == "delete":
            one.unlink()
        else:
            one.write_bytes(two.read_bytes())
        with pytest.raises(DamagedFile, match=one.name):
            open_store(layout.root)


class TestReader:
    def test_a_snapshot_does_not_move_while_others_write_and_seal(self, layout):
        journal = Journal(layout)
        journal.append(span(1))
        with open_store(layout.root) as store:
            journal.append(span(2))
            seal(layout)
            journal.append(span(3))
            assert store.rows("SELECT count(*) FROM events") == [(1,)]
        assert len(names(layout.root)) == 3

    @pytest.mark.parametrize(
        "query",
        [
            "COPY (SELECT 1) TO '/tmp/out.csv'",
            "CREATE TABLE x AS SELECT 1",
            "SELECT 1; SELECT 2",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "ATTACH '/tmp/x.db'",
            "INSTALL httpfs",
            "SET threads = 1",
            "SELEC 1",
            "SELECT nothing FROM events",
            "",
        ],
    )
    def test_sql_reads_the_store_and_nothing_else(self, layout, query):
        with open_store(layout.root) as store, pytest.raises(BadQuery):
            store.sql(query).fetchall()

    def test_a_relation_goes_to_arrow_polars_and_pandas(self, layout):
        Journal(layout).append(span(1, tags=["a"], attributes={"k": [1, 2]}))
        with open_store(layout.root) as store:
            relation = store.sql("SELECT * FROM events")
            assert relation.to_arrow_table().num_rows == 1
            assert relation.pl()["tags"].to_list() == [["a"]]
            assert relation.df()["attributes"].tolist() == ['{"k":[1,2]}']

    def test_an_empty_store_answers_with_no_rows(self, layout):
        with open_store(layout.root) as store:
            for view in ("events", "spans", "llm_calls", "runs", "experiments", "metrics", "votes", "chains"):
                assert store.rows(f"SELECT * FROM {view}") == []

    def test_columns_are_those_that_were_declared(self, layout):
        with open_store(layout.root) as store:
            described = store.rows("DESCRIBE events")
        types = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
        assert [(row[0], row[1]) for row in described] == [(c.name, types.get(c.type, c.type)) for c in COLUMNS]

    def test_a_journal_of_a_newer_schema_is_refused(self, layout):
        header = {"tele": "journal", "version": 2, "store": layout.id, "writer": "w1", "process": "p", "machine": ""}
        (layout.journals / "w1.jsonl").write_bytes(finish(json.dumps(header).encode()[:-1], 0))
        with pytest.raises(NewerFormat, match="format 2"):
            open_store(layout.root)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
    def test_a_read_only_store_can_be_read(self, layout):
        Journal(layout).append(span(1))
        layout.journals.chmod(0o500)
        try:
            assert names(layout.root) == ["s"]
            with pytest.raises(StoreNotWritable):
                prepare(layout.root)
        finally:
            layout.journals.chmod(0o700)


class TestAmendments:
    def test_the_latest_amendment_shows_and_what_was_written_stays(self, layout):
        with temporary_store(layout.root):
            with tele.span("chat", model="m") as call:
                call.usage(input_tokens=1, output_tokens=1, cost_usd=1.0)
            tele.score(call, "cost_usd", 2.0)
            tele.score(call.span_id, "cost_usd", 3.5, reason="new price")
            tele.score(call.event_id, "tags", ["a", "b"])
            tele.score(call, "helpful", {"by": "ann", "value": 0.5})
        for _ in range(2):
            with open_store(layout.root) as store:
                shown = store.rows("SELECT cost_usd, tags, attributes FROM events WHERE name = 'chat'")
                raw = store.rows("SELECT cost_usd, tags, attributes FROM events_raw WHERE name = 'chat'")
            assert shown == [(3.5, ["a", "b"], '{"helpful":{"by":"ann","value":0.5}}')]
            assert raw == [(1.0, None, None)]
            seal(layout)

    def test_a_value_that_does_not_fit_its_column_reads_null_and_harms_nothing_else(self, layout):
        with temporary_store(layout.root):
            with tele.span("chat") as call:
                pass
            tele.score(call, "input_tokens", "many")
            tele.score("0" * 32, "cost_usd", 1.0)
        with open_store(layout.root) as store:
            assert store.rows("SELECT input_tokens, status FROM events WHERE name = 'chat'") == [(None, "ok")]


def test_writing_loads_neither_duckdb_nor_arrow(tmp_path):
    import subprocess

    script = """
import sys, tele
tele.configure(store=sys.argv[1], seal="manual")
with tele.experiment("e"), tele.span("s"):
    tele.event("x")
heavy = {"duckdb", "pyarrow", "polars", "numpy", "opentelemetry", "jinja2", "typer"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / ".tele")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_line_of_the_journal_verifies_by_hand(layout):
    """A stranger's reader: zlib and json are enough."""
    import zlib

    Journal(layout).append(span(1))
    line = journals(layout)[0].read_bytes().splitlines()[1]
    content, _, tail = line.rpartition(b',"crc":"')
    assert tail == f'{zlib.crc32(content):08x}"}}'.encode()
    assert list(scan(line + b"\n", expected=1).lines) == [line]


def test_a_store_that_comes_to_be_while_it_is_looked_for_is_not_taken_for_a_foreign_folder(tmp_path, monkeypatch):
    layout = prepare(tmp_path / "made")
    root = tmp_path / ".tele"
    root.mkdir()
    read = Path.read_bytes

    def read_then_made(path):
        try:
            return read(path)
        finally:
            monkeypatch.setattr(Path, "read_bytes", read)
            (root / "store.json").write_bytes((layout.root / "store.json").read_bytes())

    monkeypatch.setattr(Path, "read_bytes", read_then_made)
    assert prepare(root).id == layout.id


class TestHostileAndLost:
    def test_a_lost_manifest_destroys_nothing(self, layout):
        journal = Journal(layout)
        journal.append(span(1))
        seal(layout)
        journal.close()
        journals(layout)[0].unlink()
        for entry in layout.manifest.glob("*.json"):
            entry.unlink()
        with pytest.raises(DamagedFile, match="no entry that names them"):
            open_store(layout.root)
        Journal(layout).append(span(2))
        seal(layout)
        assert [finding.lost[:6] for finding in check(layout.root).findings if "segments" in finding.file] == ["1 rows"]
        repair(layout.root)
        with open_store(layout.root) as store:
            assert store.rows("SELECT count(*) FROM spans") == [(2,)]

    @pytest.mark.parametrize("writer", ["../../../results", "w/../../x", ""])
    def test_a_manifest_cannot_name_files_outside_the_store(self, layout, writer):
        Journal(layout).append(span(1))
        seal(layout)
        path = layout.manifest / "000000000001.json"
        facts = json.loads(path.read_bytes())
        facts["entry"]["journals"] = {writer: next(iter(facts["entry"]["journals"].values()))}
        del facts["seq"], facts["crc"]
        path.write_bytes(finish(json.dumps(facts).encode()[:-1], 1))
        with pytest.raises(DamagedFile, match="is no writer"):
            seal(layout)

    @pytest.mark.parametrize("identity", ["it's", "/tmp/victim", "../../x"])
    def test_a_store_id_that_tele_did_not_draw_is_refused(self, layout, identity):
        marker = layout.root / "store.json"
        marker.write_text(json.dumps(json.loads(marker.read_text()) | {"id": identity}))
        with pytest.raises(ForeignStore, match="not one of tele's"):
            open_store(layout.root)

    def test_every_flipped_bit_of_the_newest_entry_is_noticed(self, layout):
        Journal(layout).append(span(1))
        seal(layout)
        path = layout.manifest / "000000000001.json"
        content = path.read_bytes()
        for bit in range(0, len(content) * 8, 37):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises((DamagedFile, NewerFormat)):
                load(layout)

    def test_a_torn_end_of_a_dead_writer_is_told_once_and_is_not_due_for_ever(self, layout):
        journal = Journal(layout)
        journal.append(span(1))
        journal.close()
        path = journals(layout)[0]
        path.write_bytes(path.read_bytes() + b'{"kind":"sp')
        assert due(layout)
        assert "was being written when the process died" in seal(layout).damage[0]
        assert not due(layout)
        assert names(layout.root) == ["s"]


def test_a_program_that_changes_its_folder_goes_on_in_the_same_store(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with temporary_store(Path("st")):
        tele.event("before")
        monkeypatch.chdir(tmp_path / "other")
        with tele.span("after", output="x" * 100_000):
            pass
        with open_store(tmp_path / "st") as store:
            [(reference,)] = store.rows("SELECT output FROM events WHERE name = 'after'")
            assert json.loads(store.blob(reference)) == "x" * 100_000
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_that_leaves_the_block_does_not_end_its_parents_run(tmp_path):
    with temporary_store(tmp_path / ".tele") as store:
        with tele.experiment("e") as run:
            pid = os.fork()
            if pid == 0:
                run.__exit__(None, None, None)  # as leaving the block does
                os._exit(0)
            os.waitpid(pid, 0)
            assert store.rows("SELECT status FROM runs") == [("running",)]
        assert store.rows("SELECT status FROM runs") == [("stopped",)]
