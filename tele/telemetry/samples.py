"""What counts as a sample of a run, and whether there is room for one more.

A sample is a distinct `item_id`; where no record of the run names an item, it is a root span.
"""

from __future__ import annotations

import os
import threading

__all__ = ["Samples"]

_lock = threading.RLock()  # a signal's handler, or a finalizer, may record within
"""One for all runs: each holds it for the time of a look into a set."""


class Samples:
    """Counts the samples of one run against the size that its plan asks for."""

    __slots__ = ("_items", "_roots", "_taken", "left_out", "size", "stops")

    def __init__(self, size: int, *, stops: bool) -> None:
        """Take the `size`; with `stops` a root span that begins a sample beyond it is not admitted."""
        self.size = size
        self.stops = stops
        self.left_out = 0
        """Root spans that were not admitted."""
        self._items: set[str] = set()
        self._roots = 0
        self._taken = 0

    @property
    def count(self) -> int:
        """Samples begun so far."""
        return max(len(self._items) or self._roots, self._taken)

    @property
    def full(self) -> bool:
        """Whether the plan's size is reached."""
        return self.count >= self.size

    def take(self) -> bool:
        """Take the next sample of a loop; False where there is no room for it."""
        with _lock:
            if self.full:
                return False
            self._taken = self.count + 1
            return True

    def saw(self, item: object) -> None:
        """Count the item that a record within the run names."""
        with _lock:
            if not (self.stops and len(self._items) >= self.size):
                self._items.add(str(item))

    def admits(self, item: object) -> bool:
        """Whether a root span may be recorded that is about `item`, or about none that it names."""
        with _lock:
            if item is not None:
                admitted = str(item) in self._items
            elif self._items:
                admitted = True
            else:
                admitted = self._roots < self.size
                self._roots += admitted or not self.stops
            self.left_out += self.stops and not admitted
            return admitted or not self.stops


def _after_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_in_child)
