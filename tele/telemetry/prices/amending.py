"""New costs into the log, as amendments: two events for each call, one of `cost_usd` and one of `price_ref`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tele.errors import StoreNotWritable
from tele.store.amend import AMENDED
from tele.store.journal import Journal
from tele.store.lease import lease
from tele.telemetry.ambient import ambient
from tele.telemetry.redact import redact
from tele.telemetry.scope import OUTSIDE

if TYPE_CHECKING:
    from tele.store.layout import Layout
    from tele.telemetry.prices.reprice import Plan

__all__ = ["amend"]


def amend(layout: Layout, plan: Plan) -> int:
    """Append what `plan` changes; return how many events that were. They are for the next seal to fold.

    What was written before stays as it is. Raises StoreBusy while another bulk of events is being brought in, and
    StoreNotWritable where some could not be written; those that were are found again by the next try.
    """
    events = 0
    with lease(layout, wait=5.0, name="ingest"):
        journal = Journal(layout, "buffered")
        try:
            refs: dict[str, str] = {}
            for batch in plan.changes():
                for target, cost, ref in batch:
                    if ref not in refs:  # names in a table of the user's own may hold what they should not
                        refs[ref] = redact(ref)
                    # The cost stands last: where a crash comes between, the next try finds it unchanged.
                    journal.append(_line(target, "price_ref", refs[ref]))
                    journal.append(_line(target, "cost_usd", cost))
                events += 2 * len(batch)
        finally:
            journal.close()
        if dropped := journal.dropped:
            why = f"{dropped.total():,} amendments were not written ({next(iter(dropped))})"
            raise StoreNotWritable(layout.root, why)
    return events


def _line(target: str, column: str, value: float | str) -> bytes:
    """The amendment as `tele.score` records it, in the experiment of what belongs to none."""
    now = ambient.now()
    facts = {"target": target, "column": column, "value": value, "reason": "repriced"}
    record = {"event_id": ambient.ids.event(now), "kind": "event", "name": AMENDED, "start_ns": now}
    return OUTSIDE.scope.encoded + orjson.dumps(record | {"attributes": facts})[1:-1]
