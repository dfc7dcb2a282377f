"""Every way in which a process may end: each keeps what its mode of durability promises."""

from __future__ import annotations

import signal
import time

import pytest

from tele.store.layout import open_layout
from tele.store.reader import open_store
from tele.store.seal import seal

from .children import start, wait_until_ready

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
        wait_until_ready(writer)
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
    wait_until_ready(writer)
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
