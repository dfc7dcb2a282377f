"""The programs of `examples/` run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if path.name != "read_store.py")
"""The reader of the format is run by `tests/store/test_golden.py`: it wants a store."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_it_runs_in_an_empty_folder_without_a_warning(path, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TELE_STORE"}
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / ".tele" / "store.json").exists()
    assert "correct" in done.stdout
