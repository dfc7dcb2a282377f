"""A chain into the log: events under the span that produced it, so that it joins with cost, latency and condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tele.errors import BadInput
from tele.telemetry.plain import plain
from tele.telemetry.points import record_point
from tele.telemetry.process import process
from tele.telemetry.redact import redact
from tele.telemetry.scope import Node
from tele.trace.chain import CHAIN_NAME, SAID, SAVED_NAME, Chain, chain_records, content_hash
from tele.trace.stages import staged

__all__ = ["record_answer", "record_chain", "written"]

MOST_WARNINGS = 200
"""Warnings of the parser that are kept; how many there were is told in any case."""


def record_chain(chain: Chain, *, node: Node | None = None, **fields: Any) -> Chain:
    """Record the events of `chain` where the running code is, else at `node`, and return the chain.

    Events that name no stage take that of the innermost `trace_stage` around. Before them goes one event that tells of
    the chain: its hash, its parent, how many events and warnings there are. Keywords are as for `tele.event` and go to
    each of them. Never raises.
    """
    try:
        chain = staged(chain, node)
        told, events = written(chain)
        record_point("event", CHAIN_NAME if chain.version <= 1 else SAVED_NAME, {}, fields, told, node=node)
        for name, attributes in events:
            record_point("event", name, {}, fields, attributes, node=node)
    except Exception as error:  # noqa: BLE001  # telemetry never raises into the program; it counts instead
        process.lose(error)
    return chain


def written(chain: Chain) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Return the attributes that tell of the chain, and name and attributes of each of its events.

    The hash is of the events as the log keeps them, secrets taken out: a hash of a secret would let it be guessed.
    """
    records = chain_records(chain)
    clean = [redact(record["attributes"]) for record in records]
    digest = content_hash({key: value for key, value in said.items() if key in SAID} for said in clean)
    told = {
        "chain_id": chain.id,
        "name": chain.name,
        "version": chain.version,
        "hash": digest,
        "parent_hash": chain.parent_hash,
        "n_events": len(records),
        "n_warnings": len(chain.warnings),
        "description": chain.description,
        "created_at": None if chain.created_at is None else chain.created_at.isoformat(),
        "metadata": dict(chain.metadata),
        "warnings": [[w.code, w.message, w.line, w.column] for w in chain.warnings[:MOST_WARNINGS]],
    }
    kept = plain({key: value for key, value in told.items() if value not in (None, [], {})})
    marked = [
        (record["name"], {**attributes, "chain_hash": digest})
        for record, attributes in zip(records, clean, strict=True)
    ]
    return kept, marked


def record_answer(node: Node, text: str, name: str, parse: Callable[..., Chain] | None = None) -> None:
    """Parse what a model answered and record its chain under the span `node`, which it is named after.

    One span has one chain, whose id begins with the span's. `parse` takes the text and returns a chain, by default
    `parse_chain`. An answer without a single event is a chain without events: that too is to be seen.
    """
    identity = f"{node.span_id}{node.trace_id[:16]}"
    if parse is None:
        from tele.trace.parse import parse_chain

        chain = parse_chain(text, name=name, chain_id=identity)
    else:
        chain = parse(text)
        if not isinstance(chain, Chain):
            raise BadInput(f"parse= takes a function of a text that returns a tele.Chain, not {type(chain).__name__}.")
    record_chain(chain, node=node)
