"""Processes that die, at any instant and in any way: nothing that was acknowledged is lost, nothing stands twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tele.store.layout import open_layout, prepare
from tele.store.reader import open_store
from tele.store.seal import seal

WRITER = Path(__file__).with_name("writer.py")
ROUNDS = int(os.environ.get("TELE_FAULT_ROUNDS", "20"))


def start(store: Path, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(WRITER), str(store), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})


def acknowledged(output: bytes) -> set[int]:
    """Numbers whose line is whole: the kill may have cut the last one."""
    return {int(line) for line in output.split(b"\n")[:-1] if line.isdigit()}


def check(store: Path, acked: dict[int, set[int]]) -> None:
    """Every acknowledged span is there once, and each writer's numbers are a prefix."""
    with open_store(store) as reader:
        assert reader.damage == ()
        rows = reader.rows(
            """SELECT event_id, writer, seq, (attributes->>'$.n')::INT
               FROM events_raw WHERE status <> 'open' OR status IS NULL"""
        )
        open_rows = reader.rows("SELECT writer, seq FROM events_raw WHERE status = 'open'")
    assert len({row[0] for row in rows}) == len(rows), "an event stands twice"
    by_writer: dict[str, list[int]] = {}
    for _, writer, seq, *_ in rows:
        by_writer.setdefault(writer, []).append(seq)
    for writer, seq in open_rows:
        by_writer[writer].append(seq)
    stored = [sorted(row[3] for row in rows if row[1] == writer and row[3] is not None) for writer in by_writer]
    for writer, numbers in by_writer.items():
        # A start whose end is there gives way to it, so its number may be free; none else may be.
        assert len(numbers) == len(set(numbers)), writer
    for expected in acked.values():
        assert any(expected <= set(numbers) for numbers in stored), "an acknowledged span is lost"
    for numbers in stored:
        assert numbers == list(range(len(numbers))), "a hole before the last span"


@pytest.mark.parametrize("durability", ["process", "fsync"])
def test_kill_9_at_any_instant_of_append_and_seal_loses_nothing_acknowledged(tmp_path, durability):
    store = tmp_path / ".tele"
    prepare(store)
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    acked: dict[int, set[int]] = {}
    for round_ in range(ROUNDS if durability == "process" else max(ROUNDS // 4, 3)):
        writer = start(store, "kill", DURABILITY=durability)
        sealer = None
        time.sleep(0.25 + chance.uniform(0.005, 0.3))
        if round_ % 2:
            sealer = subprocess.Popen([sys.executable, "-m", "tele", "seal", "--quiet", "--store", str(store)])
            time.sleep(chance.uniform(0.2, 0.7))
            sealer.kill()
        writer.send_signal(signal.SIGKILL)
        output, _ = writer.communicate(timeout=30)
        if sealer:
            sealer.wait(30)
        acked[round_] = acknowledged(output)
        if round_ % 5 == 4:
            check(store, acked)
    assert any(acked.values()), "no round got as far as its first span"
    check(store, acked)
    seal(open_layout(store), wait=5)
    check(store, acked)


LEAVINGS = {
    "return": (0, "stopped", 0),
    "raise": (1, "failed", 0),
    "sys.exit": (3, "failed", 0),
    "os._exit": (4, "interrupted", 0),
    "thread": (0, "stopped", 5),
    "SIGINT": (-signal.SIGINT, "failed", 0),
    "SIGTERM": (-signal.SIGTERM, "interrupted", 0),
    "SIGKILL": (-signal.SIGKILL, "interrupted", 0),
}


@pytest.mark.parametrize("action", LEAVINGS)
@pytest.mark.parametrize("durability", ["process", "buffered"])
def test_every_way_out_keeps_what_its_mode_promises(tmp_path, action, durability):
    store = tmp_path / ".tele"
    code, status, more = LEAVINGS[action]
    by_signal = action.startswith("SIG")
    writer = start(store, "hang" if by_signal else action, 10, DURABILITY=durability)
    if by_signal:
        assert writer.stdout is not None
        while writer.stdout.readline() != b"ready\n":
            pass
        time.sleep(0.4)  # beyond the 250 ms of `buffered`
        writer.send_signal(getattr(signal, action))
    _, errors = writer.communicate(timeout=30)
    assert writer.returncode == (1 if action == "SIGINT" and writer.returncode == 1 else code), errors.decode()
    with open_store(store) as reader:
        assert reader.damage == ()
        spans = reader.rows("SELECT count(*) FROM events WHERE name = 'work'")[0][0]
        assert reader.rows("SELECT count(*) FROM events WHERE name = 'from a thread'") == [(more,)]
        runs = reader.rows("SELECT status FROM runs")
    lost_by_design = durability == "buffered" and action == "os._exit"
    assert spans == 10 or (lost_by_design and spans <= 10)
    assert runs == [(status,)] or (lost_by_design and runs == [])


def test_a_run_killed_in_flight_reads_interrupted_with_its_open_spans(tmp_path):
    store = tmp_path / ".tele"
    writer = start(store, "hang", 3)
    assert writer.stdout is not None
    while writer.stdout.readline() != b"ready\n":
        pass
    with open_store(store) as reader:
        assert reader.rows("SELECT status, n_open FROM runs") == [("running", 1)]
    writer.kill()
    writer.communicate(timeout=30)
    for _ in range(2):
        with open_store(store) as reader:
            assert reader.rows("SELECT status, n_spans, n_open FROM runs") == [("interrupted", 4, 1)]
            shown = "SELECT name, status, item_id, end_ns, duration_ms, success FROM events WHERE status = 'open'"
            assert reader.rows(shown) == [("in flight", "open", "i1", None, None, None)]
        seal(open_layout(store))


def test_eight_writers_a_sealer_and_a_reader_at_once(tmp_path):
    store = tmp_path / ".tele"
    layout = prepare(store)
    writers = [start(store, "return", 400) for _ in range(8)]
    drains = [threading.Thread(target=writer.communicate) for writer in writers]
    for drain in drains:
        drain.start()
    seen, sealed = [], 0
    while any(writer.poll() is None for writer in writers):
        with open_store(store) as reader:
            assert reader.damage == ()
            total, distinct = reader.rows("SELECT count(*), count(DISTINCT event_id) FROM events WHERE name = 'work'")[
                0
            ]
            holes = reader.rows("""SELECT count(*) FROM (SELECT count(*) n, max((attributes->>'$.n')::INT) + 1 AS top
                                   FROM events WHERE name = 'work' GROUP BY writer) WHERE n <> top""")
        assert total == distinct, "a reader saw an event twice"
        assert holes == [(0,)], "a reader saw a hole"
        seen.append(total)
        sealed += seal(layout, wait=5).rows
    for drain in drains:
        drain.join(30)
    assert seen == sorted(seen), "an event that had been seen was gone"
    assert [writer.returncode for writer in writers] == [0] * 8
    with open_store(store) as reader:
        assert reader.rows("SELECT count(*), count(DISTINCT event_id) FROM events WHERE name = 'work'") == [
            (3200, 3200)
        ]
        assert reader.rows("SELECT status, count(*) FROM runs GROUP BY 1") == [("stopped", 8)]
    assert sealed > 0


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_worker_processes_join_the_run_that_started_them(tmp_path, way):
    script = tmp_path / "program.py"
    script.write_text(f"""
import multiprocessing as mp, sys, tele
def work(carrier, n):
    tele.configure(store=sys.argv[1], seal="manual")
    with tele.attach(carrier), tele.span("child", n=n):
        pass
if __name__ == "__main__":
    tele.configure(store=sys.argv[1], seal="manual")
    context = mp.get_context({way!r})
    with tele.experiment("workers", condition="c"), tele.span("parent", item_id="i7") as parent:
        children = [context.Process(target=work, args=(tele.propagate(), n)) for n in range(3)]
        for child in children: child.start()
        for child in children: child.join()
    sys.exit(max(child.exitcode for child in children))
""")
    store = tmp_path / ".tele"
    done = subprocess.run(
        [sys.executable, str(script), str(store)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    with open_store(store) as reader:
        rows = reader.rows("""SELECT c.item_id, c.condition, c.parent_id = p.span_id,
                                     c.trace_id = p.trace_id, c.run_id = p.run_id
                              FROM events c, events p WHERE c.name = 'child' AND p.name = 'parent'""")
        assert rows == [("i7", "c", True, True, True)] * 3
        assert reader.rows("SELECT count(DISTINCT writer) FROM events") == [(4,)]
        assert reader.rows("SELECT status FROM runs") == [("stopped",)]


def test_many_forks_from_a_process_with_busy_threads_neither_hang_nor_repeat(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("""
import os, sys, threading, tele
tele.configure(store=sys.argv[1], seal="manual")
stop = threading.Event()
def busy():
    while not stop.is_set():
        with tele.span("busy"): pass
threads = [threading.Thread(target=busy) for _ in range(4)]
for t in threads: t.start()
pids = []
with tele.span("outer"):
    for n in range(40):
        pid = os.fork()
        if pid == 0:
            tele.event("child", n=n)
            os._exit(0)
        pids.append(pid)
    codes = {os.waitpid(pid, 0)[1] for pid in pids}
stop.set()
for t in threads: t.join()
sys.exit(0 if codes == {0} else 9)
""")
    store = tmp_path / ".tele"
    command = [sys.executable, "-W", "ignore", str(script), str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    with open_store(store) as reader:
        assert reader.damage == ()
        assert reader.rows("SELECT count(*), count(DISTINCT attributes->>'$.n') FROM events WHERE name = 'child'") == [
            (40, 40)
        ]
        assert reader.rows("SELECT count(*) - count(DISTINCT event_id) FROM events") == [(0,)]
        assert reader.rows("SELECT count(*) FROM events WHERE name = 'outer'") == [(1,)]
