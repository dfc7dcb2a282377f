"""Collectors for the tests, and none where their libraries are missing."""

from __future__ import annotations

import pytest

pytest.importorskip("h11")
pytest.importorskip("opentelemetry.proto")

from .clients import Running


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One collector for the tests of a module, without options."""
    collector = Running(tmp_path_factory.mktemp("collector"))
    yield collector
    if collector.process.poll() is None:
        collector.kill()


@pytest.fixture
def begin(tmp_path):
    """Begin collectors of one's own."""
    begun = []

    def start(*options: str, **more) -> Running:
        begun.append(Running(tmp_path, *options, **more))
        return begun[-1]

    yield start
    for collector in begun:
        if collector.process.poll() is None:
            collector.kill()
