"""What the page on instrumenting shows, runs, and gives what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tele.store.reader import open_store

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "instrument.md"


@pytest.mark.source
def test_every_block_runs_and_records_what_it_shows(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    env = {key: value for key, value in os.environ.items() if key != "TELE_STORE"}
    for block in blocks:
        command = [sys.executable, "-W", "error", "-c", block]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with open_store(tmp_path / ".tele") as store:
        assert store.rows("SELECT name, count(*) FROM spans GROUP BY 1 ORDER BY 1") == [
            ("chat gpt-4o", 4),
            ("embeddings text-embedding-3-small", 1),
            ("plan", 3),
        ]
        assert store.rows("SELECT DISTINCT name FROM metrics ORDER BY 1") == [("accuracy",), ("load",)]
        assert store.rows("SELECT sum(input_tokens), sum(output_tokens), bool_and(cost_usd > 0) FROM llm_calls") == [
            (36, 9, True)
        ]
