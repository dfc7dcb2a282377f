"""Stores that hold the common workload: recorded through the public face with a clock that says what the workload
says, or, where they are large, filled quickly with spans of the same shape.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.steps import step
from benchmarks.workload import START_NS, TRACE_SPANS, Op, traces

__all__ = ["EXPERIMENT", "filled", "record", "recorded", "seal_all"]

EXPERIMENT = "common"


class _Clock:
    """Says the time that the workload is at."""

    def __init__(self) -> None:
        self.ns = START_NS

    def __call__(self) -> int:
        return self.ns


def record(store: Path, spans: int, *, conditions: int = 1) -> None:
    """Record `spans` spans of the common workload into `store`; its journal stays unsealed.

    They are divided among `conditions` runs of one experiment, one after the other, named `c0`, `c1`, ...
    """
    import tele
    from tele.telemetry.ambient import ambient

    clock = _Clock()
    before = ambient.now, ambient.monotonic
    tele.configure(store=store, durability="buffered", seal="manual")
    ambient.now = ambient.monotonic = clock
    try:
        for number in range(conditions):
            with tele.experiment(EXPERIMENT, condition=f"c{number}" if conditions > 1 else None):
                for root in traces(spans // conditions, seed=42 + number):
                    _play(root, clock)
    finally:
        ambient.now, ambient.monotonic = before
        tele.flush()
        lost = tele.dropped()
        tele.configure(durability="process", seal="manual")  # closes the journal
    if lost:
        raise RuntimeError(f"records were lost: {lost}")


def _play(op: Op, clock: _Clock) -> None:
    import tele

    clock.ns = op.start
    with tele.span(op.name, attributes=op.attributes) as span:
        for below in op.children:
            _play(below, clock)
        if op.model:
            span.set(operation="chat", provider=op.model.provider, model=op.model.name)
            span.set(
                input=[{"role": "user", "content": op.prompt}], output=[{"role": "assistant", "content": op.completion}]
            )
            span.usage(input_tokens=op.input_tokens, output_tokens=op.output_tokens)
        elif op.name.startswith("execute_tool"):
            span.set(operation="execute_tool")
        if op.fails:
            span.fail("TimeoutError", "no answer within 30 s")
        clock.ns = op.end


def seal_all(store: Path) -> None:
    """Seal what the journals of `store` hold."""
    from tele.store.layout import open_layout
    from tele.store.seal import seal

    seal(open_layout(store))


@contextmanager
def recorded(spans: int, *, conditions: int = 1, sealed: bool = True) -> Iterator[Path]:
    """Give the path of a temporary store that holds the workload."""
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        store = Path(folder) / ".tele"
        record(store, spans, conditions=conditions)
        if sealed:
            seal_all(store)
        yield store


@contextmanager
def filled(spans: int) -> Iterator[Path]:
    """Give the path of a temporary store of that many spans of the workload's shape in four conditions, compacted."""
    with tempfile.TemporaryDirectory(prefix="tele-bench-") as folder:
        store = Path(folder) / ".tele"
        step("append", store, first=0, traces=spans // TRACE_SPANS)
        step("seal", store)
        step("compact", store)
        yield store
