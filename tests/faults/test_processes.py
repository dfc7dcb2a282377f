"""Every way of having many processes: each counts exactly, all are one run, each has a journal of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tele.store.reader import open_store

PREAMBLE = """
import os, subprocess, sys, tele
STORE = sys.argv[1] if len(sys.argv) > 1 else os.environ["TELE_STORE"]

def work(carrier, n):
    tele.configure(store=STORE, seal="manual")
    with tele.attach(carrier), tele.span("child", n=n):
        pass
    return n
"""

MAIN = """
if __name__ == "__main__":
    tele.configure(store=STORE, seal="manual")
    with tele.experiment("workers", condition="c"), tele.span("parent", item_id="i7"):
        carrier = tele.propagate()
        {body}
"""

MULTIPROCESSING = """import multiprocessing
        context = multiprocessing.get_context({way!r})
        children = [context.Process(target=work, args=(carrier, n)) for n in range({count})]
        for child in children: child.start()
        for child in children: child.join()
        assert [child.exitcode for child in children] == [0] * {count}"""

POOL = """import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        context = multiprocessing.get_context({way!r})
        with ProcessPoolExecutor(3, mp_context=context) as pool:
            assert sorted(pool.map(work, [carrier] * 12, range(12))) == list(range(12))"""

WAYS = {
    "fork": (MULTIPROCESSING.format(way="fork", count=6), 6),
    "spawn": (MULTIPROCESSING.format(way="spawn", count=3), 3),
    "forkserver": (MULTIPROCESSING.format(way="forkserver", count=6), 6),
    "a pool of forked processes": (POOL.format(way="fork"), 12),
    "a pool of spawned processes": (POOL.format(way="spawn"), 12),
    "joblib": (
        """import joblib
        calls = (joblib.delayed(work)(carrier, n) for n in range(12))
        assert sorted(joblib.Parallel(n_jobs=3)(calls)) == list(range(12))""",
        12,
    ),
    "torch": (
        """import torch
        class Items(torch.utils.data.Dataset):
            def __len__(self): return 12
            def __getitem__(self, n): return work(carrier, n)
        loader = torch.utils.data.DataLoader(Items(), batch_size=2, num_workers=3)
        assert sorted(n for batch in loader for n in batch.tolist()) == list(range(12))""",
        12,
    ),
    "programs that find TRACEPARENT": (
        """program = "import sys, tele; tele.configure(seal='manual'); tele.span('child', n=int(sys.argv[1]))(id)(0)"
        env = {**os.environ, **carrier, "TELE_STORE": STORE}
        children = [subprocess.Popen([sys.executable, "-c", program, str(n)], env=env) for n in range(3)]
        assert [child.wait() for child in children] == [0] * 3""",
        3,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_workers_join_the_run_that_started_them(tmp_path, way):
    if way in ("joblib", "torch") and importlib.util.find_spec(way) is None:
        pytest.skip(f"{way} is not installed")
    body, count = WAYS[way]
    script = tmp_path / "program.py"
    script.write_text(PREAMBLE + MAIN.replace("{body}", body))
    store = tmp_path / ".tele"
    command = [sys.executable, str(script), str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert_one_run(store, count)


def assert_one_run(store, count):
    """`count` children, each once, within the parent's span, item, condition and run; the parent wrote none of them."""
    with open_store(store) as reader:
        assert reader.damage == ()
        rows = reader.rows("""SELECT (c.attributes->>'$.n')::INT, c.item_id, c.condition, c.parent_id = p.span_id,
                                     c.trace_id = p.trace_id, c.run_id = p.run_id, c.writer <> p.writer
                              FROM events c, events p WHERE c.name = 'child' AND p.name = 'parent' ORDER BY 1""")
        assert rows == [(n, "i7", "c", True, True, True, True) for n in range(count)]
        assert reader.rows("SELECT status, count(*) FROM runs GROUP BY 1") == [("stopped", 1)]
        assert reader.rows("SELECT count(*) - count(DISTINCT event_id) FROM events") == [(0,)]


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


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A notebook's client and kernel, with a store beside the notebook."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("TELE_STORE", str(tmp_path / ".tele"))
    notebook = nbformat.v4.new_notebook()
    client = nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True)
    return client, nbformat.v4.new_code_cell


NOTEBOOK = """
import tele
tele.configure(seal="manual")
exp = tele.experiment("notebook", condition="c")
exp.__enter__()
for n in range(5):
    with tele.span("cell", n=n): pass
"""
INTERRUPTED = """
import os, signal, threading, time
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
with tele.span("interrupted"):
    time.sleep(30)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_keeps_its_run_over_an_interrupted_cell_and_a_restart_begins_another(tmp_path, kernel):
    client, cell = kernel
    for ending in ("exp.__exit__(None, None, None)", None):
        with client.setup_kernel():
            for number, source in enumerate(filter(None, [NOTEBOOK, INTERRUPTED, "tele.event('after')", ending])):
                client.nb.cells.append(cell(source))
                client.execute_cell(client.nb.cells[-1], number)
    with open_store(tmp_path / ".tele") as reader:
        assert reader.damage == ()
        assert reader.rows("SELECT status, n_spans FROM runs ORDER BY started") == [("stopped", 6), ("interrupted", 6)]
        assert reader.rows("SELECT count(*), count(DISTINCT writer) FROM events WHERE name = 'cell'") == [(10, 2)]
        assert (
            reader.rows("SELECT status, error_type FROM events WHERE name = 'interrupted'")
            == [("error", "KeyboardInterrupt")] * 2
        )
        assert reader.rows("SELECT count(*) FROM events WHERE name = 'after' AND run_id IS NOT NULL") == [(2,)]
