"""A chain into the log: events under the span that produced it, so that it joins with cost, latency and condition."""

from __future__ import annotations

from typing import Any

from tele.telemetry.points import event
from tele.trace.chain import Chain, chain_records

__all__ = ["record_chain"]


def record_chain(chain: Chain, **fields: Any) -> Chain:
    """Record the events of `chain` where the running code is, and return the chain.

    Keywords are as for `tele.event` and go to each of them. Never raises.
    """
    for record in chain_records(chain):
        event(record["name"], record["attributes"], **fields)
    return chain
