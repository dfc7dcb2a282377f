from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tele.analysis import stats


def test_scipy_is_imported_by_the_functions_that_need_it_and_statsmodels_never():
    modules = [f"tele.analysis.stats.{path.stem}" for path in Path(stats.__file__).parent.glob("[a-z]*.py")]
    script = f"""
import importlib, sys
for name in {modules}: importlib.import_module(name)
assert not {{"scipy", "statsmodels", "pandas"}} & set(sys.modules), "on import"
from tele.analysis.stats.paired import paired_t
paired_t([1, 2, 4], [0, 2, 1])
assert "scipy.stats" not in sys.modules, "a t test needs distributions alone"
"""
    assert len(modules) > 15
    subprocess.run([sys.executable, "-c", script], check=True)
