"""Reason: spans as trees, and chains of causal reasoning from what models write."""

from tele.trace.chain import TYPES, Chain, ParseWarning, ReasoningEvent, chain_records
from tele.trace.parse import parse_chain
from tele.trace.record import record_chain
from tele.trace.tree import Forest, Node, build

__all__ = [
    "TYPES",
    "Chain",
    "Forest",
    "Node",
    "ParseWarning",
    "ReasoningEvent",
    "build",
    "chain_records",
    "parse_chain",
    "record_chain",
]
