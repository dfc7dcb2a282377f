"""Fixtures that every test may use."""

from __future__ import annotations

import os
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
