"""What the how-to page shows, runs, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "ensembles.md"


@pytest.mark.source
def test_every_block_runs_and_prints_what_stands_beside_it(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text("\n".join(blocks))
    env = {key: value for key, value in os.environ.items() if key != "TELE_STORE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    promised = re.findall(r"print\(.*\)   # (.*)", "\n".join(blocks))
    assert len(promised) > 3
    printed = done.stdout.splitlines()
    assert [line for line in promised if line not in printed] == []
