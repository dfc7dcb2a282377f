"""What a function hands over beside its result: the second of the pair `(result, chain)`."""

from __future__ import annotations

from tele.telemetry.process import process
from tele.telemetry.scope import Node

__all__ = ["handed_over"]


def handed_over(result: object, node: Node) -> bool:
    """Record the second of a pair `(result, chain)` at `node`; whether it was one. Never raises an Exception.

    What can be recorded has a method `record_at(node)` in its class: the rooms above define such things, a chain of
    reasoning is one. The object itself is not asked, for it may be a proxy that answers to anything.
    """
    if type(result) is not tuple or len(result) != 2:  # noqa: PLR2004
        return False
    record = getattr(type(result[1]), "record_at", None)
    if record is None:
        return False
    try:
        record(result[1], node)
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error)
    return True
