"""Who holds the lease: a dead holder is no obstacle, a stopped one is named."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tele.errors import StoreBusy
from tele.store.layout import open_layout, prepare
from tele.store.lease import lease

from .children import finished, fork, lines


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lease of a store."""
    prepare(tmp_path / ".tele")
    child = fork("hold", tmp_path / ".tele", tmp_path / "said")
    until = time.monotonic() + 30
    while "holding" not in lines(tmp_path / "said") and time.monotonic() < until:
        time.sleep(0.005)
    yield child
    if not child._closed:
        child.kill()
        finished(child)


def test_the_lease_of_a_killed_holder_is_free_at_once(tmp_path, holder):
    holder.kill()
    assert finished(holder) == -signal.SIGKILL
    with lease(open_layout(tmp_path / ".tele")):
        pass


def test_a_holder_that_is_busy_is_named_within_the_wait(tmp_path, holder):
    began = time.monotonic()
    with (
        pytest.raises(StoreBusy, match=f"process {holder.pid} ") as caught,
        lease(open_layout(tmp_path / ".tele"), wait=0.3),
    ):
        pass
    assert 0.3 <= time.monotonic() - began < 3
    assert "stopped" not in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells that a process is stopped")
def test_a_stopped_holder_is_named_as_stopped_and_goes_on_when_continued(tmp_path, holder):
    layout = open_layout(tmp_path / ".tele")
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(StoreBusy, match=f"process {holder.pid} .*stopped"), lease(layout, wait=0.3):
        pass
    os.kill(holder.pid, signal.SIGCONT)
    (tmp_path / "enough").touch()
    assert finished(holder) == 0, lines(tmp_path / "said")
    with lease(layout):
        pass
