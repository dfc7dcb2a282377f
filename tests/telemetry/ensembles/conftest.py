"""Threads that lost run on: a test's store is not taken from under them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tele.testing import TemporaryStore


@pytest.fixture
def tele_store(tele_store: TemporaryStore) -> Iterator[TemporaryStore]:
    """The temporary store, until the last member's thread has written its end."""
    yield tele_store
    for thread in threading.enumerate():
        if thread.name == "tele-member":
            thread.join(12)
