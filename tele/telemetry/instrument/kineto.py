"""A finished `torch.profiler` profile as spans, read from Kineto's events in memory.

They carry exact nanoseconds since the epoch, and no name of the host; a trace that was exported to a file is for
`tele ingest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from typing import Any

from tele.telemetry.ambient import ambient
from tele.telemetry.process import process
from tele.telemetry.sampling import keeps
from tele.telemetry.scope import Node, here

__all__ = ["record_profile"]

MOST_EVENTS = 20_000


def record_profile(profiler: Any) -> None:
    """Record the profile that `profiler` has just finished as spans below one span, at where the running code is."""
    events = [event for event in profiler.profiler.kineto_results.events() if _is_span(event)]
    kept = sorted(
        nsmallest(MOST_EVENTS, events, key=lambda event: (-event.duration_ns(), event.start_ns())), key=_order
    )
    above = here.get()
    if not events or not above.sampled:
        return
    first = min(event.start_ns() for event in events)
    last = max(event.start_ns() + event.duration_ns() for event in events)
    trace = above.trace_id or ambient.ids.trace(first)
    if not above.trace_id and not keeps(trace, above.scope.sampling_rate):
        return
    root = ambient.ids.span()
    facts = {"torch.events": len(events), "torch.step": profiler.step_num}
    if len(kept) < len(events):
        facts["torch.events_left_out"] = len(events) - len(kept)
    _write(above, "torch.profile", (first, last), (trace, root, above.span_id), facts)
    ids = {id(event): ambient.ids.span() for event in kept}
    for event, parent in zip(kept, _parents(kept), strict=True):
        span = (event.start_ns(), event.start_ns() + event.duration_ns())
        place = (trace, ids[id(event)], root if parent is None else ids[id(parent)])
        _write(above, event.name(), span, place, _facts(event))


def _is_span(event: Any) -> bool:
    return not event.is_hidden_event() and "instant" not in event.activity_type()


def _on_host(event: Any) -> bool:
    return str(event.device_type().name) == "CPU"


def _order(event: Any) -> tuple[int, int]:
    """Of two that begin together the longer is around the other."""
    return event.start_ns(), -event.duration_ns()


def _parents(events: Sequence[Any]) -> list[Any]:
    """Find what each event is within: of its own thread, or for work of a device the operation that called for it."""
    open_: dict[int, list[Any]] = {}
    callers = {event.correlation_id(): event for event in events if _on_host(event)}
    found: list[Any] = []
    for event in events:
        if not _on_host(event):
            found.append(callers.get(event.linked_correlation_id()))
            continue
        stack = open_.setdefault(event.start_thread_id(), [])
        end = event.start_ns() + event.duration_ns()
        while stack and stack[-1].start_ns() + stack[-1].duration_ns() < end:
            stack.pop()
        found.append(stack[-1] if stack else None)
        stack.append(event)
    return found


def _facts(event: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"torch.activity": event.activity_type(), "thread.id": event.start_thread_id()}
    if shapes := event.shapes():
        facts["torch.input_shapes"] = [list(shape) for shape in shapes]
    if flops := event.flops():
        facts["torch.flops"] = flops
    if not _on_host(event):
        facts["torch.device"] = f"{event.device_type().name.lower()}:{event.device_index()}"
    return facts


def _write(above: Node, name: str, span: tuple[int, int], place: tuple[str, str, str], facts: dict[str, Any]) -> None:
    trace, span_id, parent = place
    record: dict[str, Any] = {
        "event_id": ambient.ids.event(span[0]),
        "kind": "span",
        "name": name,
        "start_ns": span[0],
        "trace_id": trace,
        "span_id": span_id,
        "end_ns": span[1],
        "status": "ok",
        "success": True,
        "attributes": facts,
    }
    if parent:
        record["parent_id"] = parent
    process.write(record, above.scope.encoded)
