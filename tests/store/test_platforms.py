"""On Windows, which has no locks and no fork, a store is read; recording is for Linux and macOS."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden" / "stores" / "format-2"

# As near to Windows as Linux comes: the modules and calls that it lacks are gone before tele is imported.
WINDOWS = """
import json, os, sys
sys.platform = "win32"
for module in ("fcntl", "resource"): sys.modules[module] = None
for name in ("fork", "register_at_fork", "posix_spawn", "uname", "nice", "fdatasync", "O_CLOEXEC"):
    if hasattr(os, name): delattr(os, name)
import tele
with tele.open(sys.argv[1]) as store:
    rows = store.rows("SELECT count(*) FROM events WHERE name = 'chat gpt-4o'")
print(json.dumps([rows, tele.analyze("golden", store=sys.argv[1]).summary.total_events]))
tele.view("golden", sys.argv[2], store=sys.argv[1])
"""


def test_a_store_is_read_and_viewed_where_there_are_no_locks_and_no_fork(tmp_path):
    store, page = shutil.copytree(GOLDEN, tmp_path / ".tele"), tmp_path / "page.html"
    command = [sys.executable, "-c", WINDOWS, str(store), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[[3]], 12]
    assert page.stat().st_size > 10_000
