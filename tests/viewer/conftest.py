"""Makes stores in memory for the tests of the page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def _memory():
    spec = importlib.util.spec_from_file_location("viewer_memory", Path(__file__).with_name("memory.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def memory():
    """The module that makes records and stores in memory."""
    return _memory()
