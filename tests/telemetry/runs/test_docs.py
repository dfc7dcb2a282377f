"""The blocks of the page on runs run, in order and in one store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "runs.md"


@pytest.mark.source
def test_every_block_runs_in_order(tmp_path):
    env = {key: value for key, value in os.environ.items() if key not in ("TELE_STORE", "TELE_RUN_TYPE")}
    said = []
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)):
        path = tmp_path / f"block{number}.py"
        path.write_text(block)
        done = subprocess.run(
            [sys.executable, "-W", "error", path.name],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), block
        said.append(done.stdout.strip())
    assert said == ["stopped", "already_paused", "sample_size", "[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]"]
