"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of real traces and tables that others published, or a skip where it is absent."""
    here = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("TELE_FIXTURES", here.parent / "shared" / "fixtures"))
    if not folder.is_dir():
        pytest.skip(f"no fixtures at {folder}; set TELE_FIXTURES to a folder that has them")
    return folder


@pytest.fixture
def cpu_seconds() -> Callable[[Callable[[], object]], float]:
    """The CPU seconds of a call, for laws of growth: the least of three, and no collection of garbage comes in between.

    How fast a thing is, is measured in `benchmarks/`; here a cost is held against the same cost of a smaller text.
    """

    def least(call: Callable[[], object]) -> float:
        gc.disable()
        try:
            return min(_seconds(call) for _ in range(3))
        finally:
            gc.enable()

    return least


def _seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin
